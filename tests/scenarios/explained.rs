//! What is said of an order, in both languages, in every situation of the table beside; and the answer
//! for machines.

use std::collections::BTreeMap;

use holdback::rules::explain::words::{self, Language};
use holdback::rules::explain::{Circumstances, Explanation, Then, Who, explain};
use holdback::rules::money::{Amount, Currency};
use holdback::rules::pause::{Pause, Scope};
use holdback::rules::release::Clock;

use super::ledger::Ledger;
use super::setup;
use super::situations::{COMPLETED, SALE, SITUATIONS};

/// Places of messages, as the journal would tell them.
fn messages() -> BTreeMap<String, String> {
    let places = [
        ("sale", "order-completed/0/7"),
        ("clock", "order-completed/0/8"),
        ("block D1", "dispute/1/3"),
        ("cleared D1", "dispute/1/8"),
        ("refund R1", "refund/0/9"),
    ];
    let places = places.map(|(of, place)| (of.to_owned(), place.to_owned()));
    places.into()
}

pub fn clock(now: &str) -> Clock {
    let now = setup::instant(now, setup::ZONE, "00:00").unwrap();
    Clock {
        now,
        gate: Some(now),
        not_before: setup::instant("2020-01-01", setup::ZONE, "00:00").unwrap(),
    }
}

fn played(lines: &[&str]) -> Ledger {
    let mut ledger = Ledger::default();
    for line in lines {
        ledger.act(line).unwrap();
    }
    ledger
}

pub fn circumstances() -> Circumstances {
    let yuan = Currency::from_code("CNY").unwrap();
    let due = Amount::parse("120", yuan).unwrap();
    Circumstances {
        due: [(setup::day("05-09").unwrap(), due)].into(),
        messages: messages(),
        ..Circumstances::default()
    }
}

pub fn answer(lines: &[&str], clock: Clock, circumstances: &Circumstances) -> Explanation {
    explain(played(lines).order().unwrap(), clock, circumstances)
}

#[test]
fn every_situation_is_explained_in_both_languages() {
    let mut missing = Vec::new();
    for situation in SITUATIONS {
        let name = situation.name;
        let answer = answer(situation.lines, clock(situation.asked), &circumstances());
        let fails = answer.holds.first().and_then(|hold| hold.first_failing);
        assert_eq!(fails, situation.fails, "{name}");
        let english = words::tell(&answer, Language::English);
        let chinese = words::tell(&answer, Language::Chinese);
        assert_eq!(english.lines().count(), chinese.lines().count(), "{name}");
        for (en, zh) in situation.says {
            for (text, sentence) in [(&english, en), (&chinese, zh)] {
                if !text.contains(sentence) {
                    missing.push(format!("{name}: `{sentence}` is missing in\n{text}"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n\n"));
}

#[test]
fn the_tests_stand_in_the_contracts_order_and_the_first_that_fails_is_the_answer() {
    let lines = [SALE, COMPLETED, "05-02 disputed O1 D1 return"];
    let names = |it: &Explanation| -> Vec<&str> {
        it.holds[0].tests.iter().map(|test| test.name).collect()
    };
    let mut around = circumstances();
    let mut closed = clock("05-05");
    let open = answer(&lines, closed, &around);
    assert_eq!(
        names(&open),
        [
            "left",
            "pause",
            "gate",
            "legal or review block",
            "limit",
            "other blocks",
            "release date",
            "settlement minimum"
        ]
    );
    assert_eq!(open.holds[0].first_failing, Some("other blocks"));
    closed.gate = None;
    around.behind = Some("dispute/3".to_owned());
    let gated = answer(&lines, closed, &around);
    assert_eq!(gated.holds[0].first_failing, Some("gate"));
    let text = words::tell(&gated, Language::English);
    assert!(
        text.contains("wait gate: closed, dispute/3 holds it back"),
        "{text}"
    );
    around.paused = Some(pause(Scope::All));
    let paused = answer(&lines, closed, &around);
    assert_eq!(paused.holds[0].first_failing, Some("pause"));
    let first = &paused.holds[0].ways[0];
    assert_eq!(
        (first.who, &first.then),
        (Who::Operator, &Then::TestedAgain)
    );
    let text = words::tell(&paused, Language::Chinese);
    let sentence = "未过 暂停：全部解冻自 2026-05-04T16:00:00Z 起由 Ann 暂停：audit";
    assert!(text.contains(sentence), "{text}");
}

pub fn pause(scope: Scope) -> Pause {
    Pause {
        scope,
        actor: "Ann".to_owned(),
        reason: "audit".to_owned(),
        since: clock("05-05").now,
    }
}

#[test]
fn machines_get_the_same_answer_as_json() {
    let lines = [SALE, COMPLETED, "05-02 disputed O1 D1 return 30.00"];
    let answer = answer(&lines, clock("05-10"), &circumstances());
    let json = serde_json::to_value(&answer).unwrap();
    let hold = &json["holds"][0];
    assert_eq!(hold["left"], "90.00");
    assert_eq!(hold["first_failing"], "other blocks");
    assert_eq!(
        hold["tests"][5]["finding"],
        serde_json::json!({ "is": "blocked", "blocked": "30.00", "left": "90.00" })
    );
    assert_eq!(hold["clock"]["anchor"], "completed");
    assert_eq!(hold["ways"][0]["message"], "dispute.closed.v1");
    assert_eq!(
        hold["ways"][0]["then"],
        serde_json::json!({ "is": "released", "amount": "30.00", "on": "2026-05-10" })
    );
    assert_eq!(json["blocks"][0]["message"], "dispute/1/3");
}
