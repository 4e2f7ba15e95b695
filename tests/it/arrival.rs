//! Facts that come before what they belong to, twice, or with other content.

use serde_json::{Value, json};

use crate::harness::Holdback;
use crate::harness::facts::{
    Fact, agreement, calendar, cancelled, closed, confirmed, delivered, opened, order, paid,
    refund, updated,
};

/// A release of nobody's.
const UNKNOWN: &str = "6f2c0a1e-77a5-5e0c-9d51-0a3f4b5c6d7e";

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one story, told line by line")]
async fn facts_that_come_before_their_order_wait_for_it() {
    let mut hb = Holdback::start("early", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    let terms = json!([{ "name": "sale", "rate_bps": 10000, "days": 7, "count": "date",
                         "anchor": "confirmed" }]);
    hb.send(agreement("M-5", "AG-2").with(json!({ "terms": terms })));
    hb.send_all([
        refund("M-1", "O-1", "R-1", "30", "11-03 02:00"),
        opened("M-2", "O-2", "D-1", "return", "11-03 02:00"),
        cancelled("M-3", "O-3", "11-03 02:00"),
        // Closed and updated before opened.
        closed("M-4", "O-4", "D-1", "won", "11-03 06:00"),
        updated("M-4", "O-4", "D-1", 1, "11-03 05:00").with(json!({ "amount": "10" })),
        confirmed("M-5", "O-5", "11-03 02:00"),
    ]);
    hb.applied().await;
    assert_eq!(hb.number("SELECT count(*) FROM parked").await, 6);
    let said = "SELECT count(*) FROM journal WHERE order_id IS NOT NULL";
    assert_eq!(hb.number(said).await, 0);
    hb.send_all((1..=5).map(|n| order(&format!("M-{n}"), &format!("O-{n}"), "100", "11-03")));
    hb.applied().await;
    hb.send(opened("M-4", "O-4", "D-1", "inquiry", "11-03 04:00"));
    hb.applied().await;
    assert_eq!(hb.number("SELECT count(*) FROM parked").await, 0);
    hb.pass_to("11-10").await;
    hb.tells(
        "M-1",
        "
        O-1 sale holds 100.00 until 11-10
        O-1 gives 30.00 to R-1, left 70.00
        O-1 R-1 takes hold 30.00
        O-1 releases 70.00 due 11-10/1
        closed 11-10/1: 1 with 70.00
    ",
    )
    .await;
    hb.tells(
        "M-2",
        "
        O-2 sale holds 100.00 until 11-10
        O-2 blocked 100.00 of 100.00 by dispute D-1
    ",
    )
    .await;
    hb.tells(
        "M-3",
        "
        O-3 sale holds 100.00 until 11-10
        O-3 reversed 100.00, left 0.00
    ",
    )
    .await;
    hb.tells(
        "M-4",
        "
        O-4 sale holds 100.00 until 11-10
        O-4 blocked 100.00 of 100.00 by dispute D-1
        O-4 unblocked 10.00 of 100.00 by dispute D-1
        O-4 unblocked 0.00 of 100.00 by dispute D-1
        O-4 releases 100.00 due 11-10/1
        closed 11-10/1: 1 with 100.00
    ",
    )
    .await;
    hb.tells(
        "M-5",
        "
        O-5 sale holds 100.00 until -
        O-5 moves 100.00 to 11-10: anchor_known
        O-5 releases 100.00 due 11-10/1
        closed 11-10/1: 1 with 100.00
    ",
    )
    .await;
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancellation_and_refund_end_the_same_in_both_orders() {
    let mut hb = Holdback::start("both-ways", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    let facts = |merchant: &str| {
        let id = |number: u32| format!("{merchant}-{number}");
        vec![
            order(merchant, &id(1), "100", "11-03"),
            order(merchant, &id(2), "100", "11-03"),
            refund(merchant, &id(1), "R-1", "40", "11-03 02:00"),
            cancelled(merchant, &id(1), "11-03 03:00"),
            refund(merchant, &id(2), "R-2", "25", "11-03 04:00"),
        ]
    };
    // One topic and key, so that they come as they are sent; and one after another.
    for fact in facts("forth")
        .into_iter()
        .chain(facts("back").into_iter().rev())
    {
        hb.send_to("order-completed", fact);
        hb.applied().await;
    }
    hb.pass_to("11-10").await;
    for merchant in ["forth", "back"] {
        let told = hb.story(merchant).await;
        let released = format!("{merchant}-2 releases 75.00 due 11-10/1");
        let end = [released.as_str(), "closed 11-10/1: 1 with 75.00"];
        assert_eq!(told[told.len() - 2..], end, "{told:#?}");
    }
    assert_eq!(
        hb.number("SELECT count(*) FROM holds WHERE left_now > 0")
            .await,
        0
    );
    assert_eq!(
        hb.number("SELECT count(*) FROM receivables WHERE left_now > 0")
            .await,
        0
    );
    hb.checked_end().await;
}

/// Every kind of key but the sale's.
fn every_kind() -> Vec<Fact> {
    vec![
        confirmed("M-1", "O-1", "11-03 02:00"),
        delivered("M-1", "O-1", "11-03 01:00"),
        refund("M-1", "O-1", "R-1", "30", "11-03 02:00"),
        opened("M-1", "O-1", "D-1", "return", "11-03 02:00"),
        updated("M-1", "O-1", "D-1", 1, "11-03 03:00"),
        closed("M-1", "O-1", "D-1", "won", "11-03 04:00"),
        cancelled("M-1", "O-2", "11-03 03:00"),
        // Kept: its order never comes.
        refund("M-1", "O-never", "R-9", "30", "11-03 02:00"),
        calendar("C", 1),
        agreement("M-1", "AG-1"),
        paid("M-1", "release_id", UNKNOWN, "11-03"),
    ]
}

/// Something else under the same key.
fn other_content(fact: &Fact) -> Value {
    match fact.type_name {
        "order.confirmed.v1" => json!({ "by": "merchant" }),
        "order.delivered.v1" => json!({ "delivered_at": "2025-11-02T00:00:00Z" }),
        "refund.succeeded.v1" => json!({ "amount": "31" }),
        "dispute.opened.v1" | "dispute.updated.v1" => json!({ "kind": "chargeback" }),
        "dispute.closed.v1" => json!({ "outcome": "lost" }),
        "calendar.published.v1" => json!({ "weekend": ["sat"] }),
        "agreement.published.v1" => json!({ "time_zone": "Asia/Shanghai" }),
        "order.cancelled.v1" | "payout.paid.v1" => json!({ "reason": "other" }),
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_message_twice_happens_once_and_other_content_is_a_conflict() {
    let hb = Holdback::start("twice", "11-03 12:00").await;
    hb.send(agreement("M-1", "AG-1"));
    hb.applied().await;
    hb.send_all(["O-1", "O-2"].map(|id| order("M-1", id, "100.00", "11-03")));
    hb.applied().await;
    hb.send_all(every_kind());
    hb.applied().await;
    let count = "SELECT count(*) FROM journal WHERE merchant_id <> '*'";
    let lines = hb.number(count).await;
    // Another spelling of the same content is the same content.
    hb.send(order("M-1", "O-1", "100", "11-03").with(json!({
        "completed_at": "2025-11-03T08:00:00.0000001+08:00", "fees": "0.0", "attributes": null,
        "not_of_the_contract": 1,
    })));
    hb.send_all(every_kind());
    hb.applied().await;
    assert_eq!(hb.number(count).await, lines);
    assert_eq!(hb.number("SELECT count(*) FROM dead_letters").await, 0);

    hb.send_all(every_kind().into_iter().map(|fact| {
        let other = other_content(&fact);
        fact.with(other)
    }));
    hb.send(order("M-1", "O-2", "99.99", "11-03"));
    // The same refund or dispute for another order.
    hb.send(refund("M-1", "O-2", "R-1", "30", "11-03 02:00"));
    hb.send(closed("M-1", "O-2", "D-1", "won", "11-03 04:00"));
    hb.applied().await;
    let mut expected = vec!["conflict"; 13];
    expected.push("mismatch");
    assert_eq!(hb.reasons().await, expected);
    // What is about money puts the orders under review, also the one that is yet to come.
    let reviewed = "SELECT count(DISTINCT order_id) FROM blocks WHERE cleared_at IS NULL";
    assert_eq!(hb.number(reviewed).await, 3);
    let told = hb.story("M-1").await;
    let last = told.last().map(String::as_str);
    assert_eq!(
        last,
        Some("O-1 blocked 70.00 of 70.00 by review"),
        "{told:#?}"
    );
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_beside_a_conflict_in_one_batch_stays_a_repeat() {
    let hb = Holdback::start("in-one-batch", "11-03 12:00").await;
    // One partition, so that they come as they are sent.
    let subject = json!({ "merchant_id": "M-1" });
    for fact in [
        agreement("M-1", "AG-1"),
        calendar("C", 1).with(subject),
        paid("M-1", "release_id", UNKNOWN, "11-03"),
    ] {
        let other = fact.clone().with(other_content(&fact));
        hb.send_all([fact.clone(), other, fact]);
    }
    hb.applied().await;
    assert_eq!(hb.reasons().await, ["conflict"; 3]);
    // A refused refund's id is free for one that is right.
    hb.send_all([
        order("M-1", "O-1", "100", "11-03"),
        order("M-1", "O-2", "100", "11-03"),
    ]);
    hb.applied().await;
    let dollars = json!({ "currency": "USD" });
    hb.send(refund("M-1", "O-1", "R-1", "30", "11-03").with(dollars));
    hb.send(refund("M-1", "O-2", "R-1", "30", "11-03"));
    hb.applied().await;
    assert_eq!(
        hb.reasons().await,
        ["conflict", "conflict", "conflict", "mismatch"]
    );
    assert_eq!(
        hb.number("SELECT count(*) FROM refunds WHERE order_id = 'O-2'")
            .await,
        1
    );
    hb.checked_end().await;
}
