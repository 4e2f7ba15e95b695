//! A Chinese explanation is Chinese: nothing in it is English but names, and what people have typed.

use holdback::message::Reason;
use holdback::message::incoming::InputType;
use holdback::rules::explain::words::{self, Language};
use holdback::rules::explain::{BlockExplained, Explanation, Owed};
use holdback::rules::ids::{MerchantId, ReleaseId};
use holdback::rules::money::{Amount, Currency};
use holdback::rules::order::Block;
use holdback::rules::pause::Scope;
use holdback::rules::payout::{Payout, PayoutState};
use holdback::rules::time::Instant;
use jiff::Timestamp;
use uuid::Uuid;

use super::explained::{answer, circumstances, clock, pause};
use super::situations::{COMPLETED, SALE, SITUATIONS};

/// Names of the situations, codes, and what people of the situations have typed.
const NAMES: &[&str] = &[
    "AG-1",
    "Ann",
    "Asia/Shanghai",
    "CN",
    "CNY",
    "D1",
    "LAW",
    "O1",
    "R1",
    "V1",
    "audit",
    "because",
    "dispute.updated:D2:1",
    "looks",
    "odd",
    "release.not_before",
    "reserve",
    "rest",
    "sale",
];

/// What of a text is neither Chinese nor a name.
fn english(text: &str) -> Vec<&str> {
    let ends = |c: char| c.is_whitespace() || "，。：；（）".contains(c);
    let words = text.split(ends);
    let words = words.filter(|word| word.contains(|c: char| c.is_ascii_alphabetic()));
    let strange = words.filter(|word| {
        let place = word.split('/').count() == 3 || word.starts_with("review/");
        let known = NAMES.contains(word) || *word == "M1" || place;
        let typed = InputType::ALL.iter().any(|it| it.as_str() == *word);
        let reason = Reason::ALL.iter().any(|it| it.as_str() == *word);
        let made = word.parse::<Uuid>().is_ok() || word.parse::<Timestamp>().is_ok();
        !(known || typed || reason || made)
    });
    strange.collect()
}

fn is_chinese(answer: &Explanation) {
    let text = words::tell(answer, Language::Chinese);
    assert_eq!(english(&text), Vec::<&str>::new(), "{text}");
}

#[test]
fn every_situation_is_told_without_english() {
    for situation in SITUATIONS {
        is_chinese(&answer(
            situation.lines,
            clock(situation.asked),
            &circumstances(),
        ));
    }
    let cut = "agreement sale 10% 7d min 60; reserve 10% 30d max 1.00; rest 100% 7d";
    let cut = answer(&[cut, COMPLETED], clock("05-02"), &circumstances());
    is_chinese(&cut);
    let steps = words::tell(&cut, Language::Chinese);
    for step in [
        "，提高至下限 60.00",
        "，降低至上限 1.00",
        "，以余额为限 36.00",
    ] {
        assert!(steps.contains(step), "{steps}");
    }
    for scope in ["all", "currency", "merchant"] {
        let mut around = circumstances();
        around.paused = Some(pause(match scope {
            "all" => Scope::All,
            "currency" => Scope::Currency(Currency::from_code("CNY").unwrap()),
            _ => Scope::Merchant(MerchantId::parse("M1").unwrap()),
        }));
        is_chinese(&answer(&[SALE, COMPLETED], clock("05-03"), &around));
    }
    let mut early = clock("05-10");
    early.not_before = clock("05-12").now;
    is_chinese(&answer(&[SALE, COMPLETED], early, &circumstances()));
    early.gate = None;
    is_chinese(&answer(&[SALE, COMPLETED], early, &circumstances()));
}

#[test]
fn what_the_payout_system_has_answered_is_told_in_both_languages() {
    let currency = Currency::from_code("CNY").unwrap();
    let at: Timestamp = "2026-05-12T01:00:00Z".parse().unwrap();
    let payout = |state, attempt, at: Option<Timestamp>| Payout {
        merchant: MerchantId::parse("M1").unwrap(),
        release: ReleaseId(Uuid::nil()),
        order: None,
        hold: None,
        currency,
        amount: Amount::parse("9.00", currency).unwrap(),
        attempt,
        state,
        at: at.map(Instant::new),
    };
    let mut around = circumstances();
    around.payouts = vec![
        payout(PayoutState::Paid, 1, Some(at)),
        payout(PayoutState::Failed, 1, Some(at)),
        payout(PayoutState::Issued, 2, None),
    ];
    let answer = answer(&[SALE, COMPLETED], clock("05-13"), &around);
    is_chinese(&answer);
    let text = words::tell(&answer, Language::English);
    let release = Uuid::nil();
    for line in [
        format!("Paid at 2026-05-12T01:00:00Z: 9.00 of release {release}, attempt 1."),
        format!(
            "The payout of 9.00 failed at 2026-05-12T01:00:00Z: release {release}, attempt 1. It waits until it is issued again, which an operator can do."
        ),
        format!("Issued again: 9.00 of release {release}, attempt 2, not answered yet."),
    ] {
        assert!(text.contains(&line), "{line} is missing in\n{text}");
    }
}

#[test]
fn every_reason_that_is_kept_in_english_is_told_without() {
    let lines = [SALE, COMPLETED, "05-02 disputed O1 D1 complaint"];
    let told = answer(&lines, clock("05-03"), &circumstances());
    let with = |block: &'static str, reason: &str| {
        let mut other = told.clone();
        other.blocks[0] = BlockExplained {
            block,
            reason: reason.to_owned(),
            ..told.blocks[0].clone()
        };
        is_chinese(&other);
    };
    for kind in ["complaint", "return", "exchange", "chargeback", "inquiry"] {
        with("dispute", kind);
    }
    for reason in ["threshold", "requested", Block::OF_ANOTHER] {
        with("review", reason);
    }
    for reason in Reason::ALL {
        with(
            "review",
            &format!("{}: {}", Block::REFUSED, reason.as_str()),
        );
    }
    for kind in ["refund", "dispute", "withdrawal", "adjustment", "import"] {
        let mut other = told.clone();
        let amount = told.holds[0].left;
        other.owed.push(Owed {
            cause: format!("{kind} R1"),
            original: amount,
            left: amount,
            written_off: amount,
            opened_at: told.at,
        });
        is_chinese(&other);
    }
}

#[test]
fn english_is_found_where_it_stands() {
    assert_eq!(
        english("阻断：争议 D1（return），消息 dispute/1/3"),
        ["return"]
    );
}
