//! An agreement that comes after orders rules them when a person says so, and only where no money has
//! moved.

use holdback::operator::Request;
use holdback::operator::reapply::{Reapplied, Reapply};
use holdback::rules::ids::AgreementId;
use holdback::rules::order::BlockKind;
use holdback::rules::time::Instant;
use serde_json::json;

use super::{by, hold, merchant, order_id};
use crate::harness::facts::{agreement, opened, order, refund};
use crate::harness::{Holdback, at};

/// 90 % for three days and 10 % for thirty.
fn reserve(of: &str, id: &str) -> crate::harness::facts::Fact {
    agreement(of, id).with(json!({ "terms": [
        { "name": "sale", "rate_bps": 9000, "days": 3, "count": "date" },
        { "name": "reserve", "rate_bps": 1000, "days": 30, "count": "date" },
    ] }))
}

fn wish(id: &str) -> Reapply {
    Reapply {
        agreement: AgreementId::parse(id).expect("an id"),
        merchant: None,
        free_unpaid: false,
        dry_run: false,
    }
}

/// What was done, and why which orders stay.
async fn reapply(hb: &Holdback, wish: &Reapply) -> (Reapplied, Vec<String>) {
    let mut stays = Vec::new();
    let hear = |key: &(_, holdback::rules::ids::OrderId), why: &str| {
        stays.push(format!("{}: {why}", key.1));
    };
    let done = hb.operator().reapply(wish, &by("Ann"), hear).await;
    (done.expect("done"), stays)
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one story, told line by line")]
async fn holds_of_untouched_money_are_written_anew_under_the_late_agreement() {
    let mut hb = Holdback::start("reapplied", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    for id in ["O-1", "O-2", "O-3", "O-4", "O-5"] {
        hb.send(order("M-1", id, "100", "11-03"));
    }
    hb.send(order("M-2", "O-1", "100", "11-03"));
    hb.applied().await;
    hb.send(refund("M-1", "O-2", "R-1", "10", "11-03"));
    hb.send(opened("M-1", "O-3", "D-1", "return", "11-03").with(json!({ "amount": "40" })));
    hb.applied().await;
    let legal = Request::Block {
        merchant: merchant("M-1"),
        order: order_id("O-4"),
        hold: Some(hold("M-1", "O-4")),
        amount: None,
        block: BlockKind::Legal,
    };
    let blocked = hb.done(&legal).await;
    let extend = Request::Extend {
        merchant: merchant("M-1"),
        hold: hold("M-1", "O-5"),
        until: Instant::new(at("11-20").parse().expect("an instant")),
    };
    hb.done(&extend).await;
    hb.set("11-07 12:00");
    hb.send(reserve("M-1", "AG-7"));
    hb.applied().await;
    let before = hb.number("SELECT count(*) FROM journal").await;
    let trial = Reapply {
        dry_run: true,
        ..wish("AG-7")
    };
    let (tried, _) = reapply(&hb, &trial).await;
    assert_eq!((tried.rewritten, tried.stay, tried.operation), (3, 2, None));
    assert_eq!(hb.number("SELECT count(*) FROM journal").await, before);
    let (done, stays) = reapply(&hb, &wish("AG-7")).await;
    assert_eq!((done.rewritten, done.stay), (3, 2));
    assert_eq!(
        stays,
        [
            "O-2: its money has moved: a refund, a release, a cancellation or a debt",
            "O-5: a person has put its dates off",
        ]
    );
    let (again, _) = reapply(&hb, &wish("AG-7")).await;
    assert_eq!((again.rewritten, again.stay), (0, 2), "a second time");
    let told = hb.story("M-1").await;
    let about = |id: &str| -> Vec<String> {
        let lines = told.iter().filter(|line| line.starts_with(id));
        lines.cloned().collect()
    };
    assert_eq!(
        about("O-1"),
        [
            "O-1 sale holds 100.00 until 11-10",
            "O-1 reversed 100.00, left 0.00",
            "O-1 sale holds 90.00 until 11-06",
            "O-1 reserve holds 10.00 until 12-03",
            "O-1 moves 90.00 to 11-08: reapplied",
        ]
    );
    assert_eq!(
        about("O-3"),
        [
            "O-3 sale holds 100.00 until 11-10",
            "O-3 blocked 40.00 of 100.00 by dispute D-1",
            "O-3 reversed 100.00, left 0.00",
            "O-3 sale holds 90.00 until 11-06",
            "O-3 reserve holds 10.00 until 12-03",
            "O-3 blocked 40.00 of 90.00 by dispute D-1",
            "O-3 moves 90.00 to 11-08: reapplied",
        ]
    );
    let same = hb.events().into_iter().filter(|event| {
        event.kind == "hold.created" && event.field("hold_id") == hold("M-1", "O-1").to_string()
    });
    assert_eq!(same.count(), 2, "the hold of the same term keeps its id");
    hb.pass_to("11-08").await;
    let unblock = super::unblock("M-1", "O-4", &blocked.operation.to_string());
    hb.done(&unblock).await;
    hb.pass_to("12-04").await;
    let gone = hb.events().into_iter().filter(|event| {
        event.kind == "release.issued"
            && event.merchant == "M-1"
            && event.field("order_id") != "O-5"
    });
    let mut gone: Vec<String> = gone.map(|event| event.line()).collect();
    gone.sort_unstable();
    assert_eq!(
        gone,
        [
            "O-1 releases 10.00 due 12-03/1",
            "O-1 releases 90.00 due 11-08/1",
            "O-2 releases 90.00 due 11-10/1",
            "O-3 releases 10.00 due 12-03/1",
            "O-3 releases 50.00 due 11-08/1",
            "O-4 releases 10.00 due 12-03/1",
            "O-4 releases 90.00 due 11-08/2",
        ]
    );
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_free_is_held_only_when_a_person_says_that_nobody_has_paid_it() {
    let hb = Holdback::start("freepart", "11-03 12:00").await;
    let half = json!({ "terms": [
        { "name": "sale", "rate_bps": 5000, "days": 7, "count": "date" },
        { "name": "extra", "rate_bps": 1000, "days": 7, "count": "date" },
    ] });
    hb.send(agreement("M-1", "AG-1").with(half));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.send(order("M-1", "O-2", "100", "11-03"));
    hb.applied().await;
    let extra = holdback::rules::ids::TermName::parse("extra").expect("a name");
    let legal = Request::Block {
        merchant: merchant("M-1"),
        order: order_id("O-2"),
        hold: Some(holdback::rules::ids::HoldId::of(
            &merchant("M-1"),
            &order_id("O-2"),
            &extra,
        )),
        amount: None,
        block: BlockKind::Legal,
    };
    hb.done(&legal).await;
    hb.send(agreement("M-1", "AG-1").with(json!({ "version": 2 })));
    hb.applied().await;
    let (done, stays) = reapply(&hb, &wish("AG-1")).await;
    assert_eq!((done.rewritten, done.stay), (0, 2));
    let why = "O-1: it would hold 100.00 and holds 60.00: the difference was reported as free and may have been paid";
    assert_eq!(stays[0], why);
    let wider = Reapply {
        free_unpaid: true,
        ..wish("AG-1")
    };
    let (done, stays) = reapply(&hb, &wider).await;
    assert_eq!((done.rewritten, done.stay), (1, 1));
    assert!(stays[0].contains("a block lies on its hold"), "{stays:?}");
    let told = hb.story("M-1").await;
    assert!(
        told.contains(&"O-1 sale holds 100.00 until 11-10".to_owned()),
        "{told:#?}"
    );
    let unknown = hb
        .operator()
        .reapply(&wish("AG-9"), &by("Ann"), |_, _| {})
        .await;
    assert!(unknown.is_err(), "{unknown:?}");
    hb.checked_end().await;
}
