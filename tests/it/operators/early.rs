//! Money that a person lets go before its date, and dates that a person puts off.

use holdback::operator::{OperatorError, Request};
use holdback::rules::time::Instant;
use serde_json::json;

use super::{by, early, hold, merchant};
use crate::harness::facts::{agreement, delivered, opened, order};
use crate::harness::{Holdback, at};

#[tokio::test(flavor = "multi_thread")]
async fn free_money_goes_early_without_a_settlement_and_the_rest_on_its_date() {
    let mut hb = Holdback::start("early", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    let pending = agreement("M-2", "AG-2").with(json!({ "terms": [
        { "name": "sale", "rate_bps": 10000, "days": 7, "count": "date", "anchor": "delivered" },
    ] }));
    hb.send(pending);
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.send(order("M-2", "O-1", "100", "11-03"));
    hb.applied().await;
    let part = opened("M-1", "O-1", "D-1", "return", "11-04").with(json!({ "amount": "40" }));
    hb.send(part);
    hb.applied().await;
    let why = hb.refused(&early("M-1", "O-1", Some("60.01"))).await;
    assert_eq!(why, "only 60.00 may go: 40.00 of 100.00 is blocked");
    let why = hb.refused(&early("M-1", "O-1", Some("1.001"))).await;
    assert!(why.starts_with("1.001: "), "{why}");
    let why = hb.refused(&early("M-3", "O-1", None)).await;
    assert!(why.contains("has no hold"), "{why}");
    hb.done(&early("M-1", "O-1", Some("20"))).await;
    hb.done(&early("M-2", "O-1", Some("70"))).await;
    hb.send(delivered("M-2", "O-1", "11-03"));
    hb.pass_to("11-10").await;
    hb.tells(
        "M-1",
        "
        O-1 sale holds 100.00 until 11-10
        O-1 blocked 40.00 of 100.00 by dispute D-1
        O-1 releases 20.00 early -/-
        O-1 releases 40.00 due 11-10/1
        closed 11-10/1: 1 with 40.00
    ",
    )
    .await;
    let gone = hb.story("M-2").await;
    assert_eq!(gone[1], "O-1 releases 70.00 early -/-", "{gone:?}");
    assert_eq!(gone[3], "O-1 releases 30.00 due 11-10/1", "{gone:?}");
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_early_while_the_gate_is_closed() {
    let settings = [("RELEASE_MAX_STALENESS_SECONDS", "1")];
    let mut hb = Holdback::start_with("earlygate", "11-03 12:00", &settings).await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.applied().await;
    hb.stop().await;
    // Nobody reads any more, and the clock goes on.
    hb.set("11-03 13:00");
    let (operator, request) = (hb.operator(), early("M-1", "O-1", None));
    match operator.submit(&request, &by("Ann")).await {
        Err(OperatorError::Gate(behind)) => assert!(!behind.is_empty()),
        other => panic!("{other:?}"),
    }
    hb.run().await;
    hb.done(&early("M-1", "O-1", None)).await;
    hb.tells(
        "M-1",
        "
        O-1 sale holds 100.00 until 11-10
        O-1 releases 100.00 early -/-
    ",
    )
    .await;
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_due_before_going_live_goes_by_a_person() {
    let live = [("RELEASE_NOT_BEFORE", "2025-11-10T00:00:00Z")];
    let mut hb = Holdback::start_with("oldholds", "11-03 12:00", &live).await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-02"));
    for (id, when) in [("O-1", "11-02"), ("O-2", "11-02"), ("O-3", "11-04")] {
        hb.send(order("M-2", id, "100", when));
    }
    hb.applied().await;
    hb.send(opened("M-2", "O-1", "D-1", "return", "11-04").with(json!({ "amount": "40" })));
    hb.pass_to("11-12").await;
    let held = "O-1 sale holds 100.00 until 11-09";
    hb.tells("M-1", held).await;
    hb.done(&early("M-1", "O-1", None)).await;
    hb.due_done().await;
    let gone = format!("{held}\nO-1 releases 100.00 early -/-");
    hb.tells("M-1", &gone).await;
    // All of a merchant's at once: what is free of each.
    let requests = hb.operator().before_start(&merchant("M-2")).await;
    for request in requests.expect("requests") {
        hb.done(&request).await;
    }
    let told = hb.story("M-2").await;
    let gone = told.iter().filter(|line| line.contains("releases"));
    let mut gone: Vec<&String> = gone.collect();
    gone.sort_unstable();
    let expected = [
        "O-1 releases 60.00 early -/-",
        "O-2 releases 100.00 early -/-",
        "O-3 releases 100.00 due 11-11/1",
    ];
    assert_eq!(gone, expected, "{told:#?}");
    let again = hb.operator().before_start(&merchant("M-2")).await;
    assert_eq!(again.expect("requests"), []);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_is_put_off_goes_later_and_never_earlier() {
    let mut hb = Holdback::start("putoff", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.applied().await;
    let extend = |until: &str| Request::Extend {
        merchant: merchant("M-1"),
        hold: hold("M-1", "O-1"),
        until: Instant::new(at(until).parse().expect("an instant")),
    };
    hb.done(&extend("11-11 12:00")).await;
    let why = hb.refused(&extend("11-10")).await;
    assert_eq!(why, "the money goes no earlier than that already");
    hb.pass_to("11-11").await;
    hb.pass_to("11-12").await;
    hb.tells(
        "M-1",
        "
        O-1 sale holds 100.00 until 11-10
        O-1 moves 100.00 to 11-12: extended
        O-1 releases 100.00 due 11-12/1
        closed 11-12/1: 1 with 100.00
    ",
    )
    .await;
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_early_in_a_shadow_is_a_shadow_until_it_is_live() {
    let shadow = [("RELEASE_MODE", "shadow")];
    let mut hb = Holdback::start_with("earlyshadow", "11-03 12:00", &shadow).await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.applied().await;
    let answer = hb.done(&early("M-1", "O-1", Some("20"))).await;
    assert!(answer.says.contains("as a shadow"), "{}", answer.says);
    let from = "2025-11-05".parse().expect("a date");
    hb.store.go_live(from).await.expect("an answer");
    hb.set("11-04 23:59");
    hb.done(&early("M-1", "O-1", Some("20"))).await;
    hb.set("11-05");
    hb.done(&early("M-1", "O-1", Some("20"))).await;
    hb.tells(
        "M-1",
        "
        O-1 sale holds 100.00 until 11-10
        O-1 shadows 20.00 early -/-
        O-1 shadows 20.00 early -/-
        O-1 releases 20.00 early -/-
    ",
    )
    .await;
    hb.checked_end().await;
}
