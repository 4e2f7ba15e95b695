//! Facts that come before what they belong to, twice, or with other content.

use serde_json::{Value, json};

use crate::harness::Holdback;
use crate::harness::facts::{
    agreement, closed, confirmed, happened, opened, order, payout, refund, updated, with,
};

/// The same facts in two orders, one merchant each.
fn send_both_ways(hb: &Holdback, facts: &[(&str, fn(&str) -> Value)]) {
    let reversed: Vec<_> = facts.iter().rev().copied().collect();
    for (merchant, facts) in [("forth", facts), ("back", &reversed)] {
        for (type_name, fact) in facts {
            hb.send_to("order-completed", type_name, &fact(merchant));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_that_come_before_their_order_wait_for_it() {
    let mut hb = Holdback::start("early", "11-03 12:00").await;
    hb.send("agreement.published.v1", &agreement("*", "AG-1"));
    let delivered = with(
        agreement("M-anchored", "AG-2"),
        json!({
            "terms": [{ "name": "sale", "rate_bps": 10000, "days": 7, "count": "date",
                        "anchor": "confirmed" }],
        }),
    );
    hb.send("agreement.published.v1", &delivered);
    // Each kind alone, then all at once.
    hb.send(
        "refund.succeeded.v1",
        &refund("M-1", "O-1", "R-1", "30", "11-03 02:00"),
    );
    hb.send(
        "dispute.opened.v1",
        &opened("M-2", "O-1", "D-1", "return", "11-03 02:00"),
    );
    hb.send(
        "order.cancelled.v1",
        &happened("M-3", "O-1", "cancelled_at", "11-03 02:00"),
    );
    hb.send(
        "order.confirmed.v1",
        &confirmed("M-anchored", "O-1", "11-03 02:00"),
    );
    // Closed and updated before opened.
    hb.send(
        "dispute.closed.v1",
        &closed("M-4", "O-1", "D-1", "won", "11-03 06:00"),
    );
    hb.send(
        "dispute.updated.v1",
        &with(
            updated("M-4", "O-1", "D-1", 1, "11-03 05:00"),
            json!({ "amount": "10" }),
        ),
    );
    hb.applied().await;
    assert_eq!(hb.number("SELECT count(*) FROM parked").await, 6);
    assert_eq!(
        hb.number("SELECT count(*) FROM journal WHERE order_id IS NOT NULL")
            .await,
        0
    );
    for merchant in ["M-1", "M-2", "M-3", "M-4", "M-anchored"] {
        hb.send(
            "order.completed.v1",
            &order(merchant, "O-1", "100", "11-03"),
        );
    }
    hb.applied().await;
    hb.send(
        "dispute.opened.v1",
        &opened("M-4", "O-1", "D-1", "inquiry", "11-03 04:00"),
    );
    hb.applied().await;
    assert_eq!(hb.number("SELECT count(*) FROM parked").await, 0);
    hb.pass_to("11-10").await;
    hb.tells(
        "M-1",
        &[
            "O-1 sale holds 100.00 until 11-10",
            "O-1 gives 30.00 to R-1, left 70.00",
            "O-1 R-1 takes hold 30.00",
            "O-1 releases 70.00 due 11-10/1",
            "closed 11-10/1: 1 with 70.00",
        ],
    )
    .await;
    hb.tells(
        "M-2",
        &[
            "O-1 sale holds 100.00 until 11-10",
            "O-1 blocked 100.00 of 100.00 by dispute D-1",
        ],
    )
    .await;
    hb.tells(
        "M-3",
        &[
            "O-1 sale holds 100.00 until 11-10",
            "O-1 reversed 100.00, left 0.00",
        ],
    )
    .await;
    hb.tells(
        "M-4",
        &[
            "O-1 sale holds 100.00 until 11-10",
            "O-1 blocked 100.00 of 100.00 by dispute D-1",
            "O-1 unblocked 10.00 of 100.00 by dispute D-1",
            "O-1 unblocked 0.00 of 100.00 by dispute D-1",
            "O-1 releases 100.00 due 11-10/1",
            "closed 11-10/1: 1 with 100.00",
        ],
    )
    .await;
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancellation_refund_and_dispute_end_the_same_in_both_orders() {
    let mut hb = Holdback::start("both-ways", "11-03 12:00").await;
    hb.send("agreement.published.v1", &agreement("*", "AG-1"));
    hb.applied().await;
    let facts: [(&str, fn(&str) -> Value); 5] = [
        ("order.completed.v1", |m| order(m, "O-1", "100", "11-03")),
        ("order.completed.v1", |m| order(m, "O-2", "100", "11-03")),
        ("refund.succeeded.v1", |m| {
            refund(m, "O-1", "R-1", "40", "11-03 02:00")
        }),
        ("order.cancelled.v1", |m| {
            happened(m, "O-1", "cancelled_at", "11-03 03:00")
        }),
        ("refund.succeeded.v1", |m| {
            refund(m, "O-2", "R-2", "25", "11-03 04:00")
        }),
    ];
    send_both_ways(&hb, &facts);
    hb.pass_to("11-10").await;
    for merchant in ["forth", "back"] {
        let told = hb.story(merchant).await;
        assert_eq!(
            told[told.len() - 2..],
            [
                "O-2 releases 75.00 due 11-10/1",
                "closed 11-10/1: 1 with 75.00",
            ]
        );
    }
    let sums: Vec<(String, String, i64)> = sqlx::query_as(
        "SELECT merchant_id, coalesce(sum(left_now), 0)::text,
                (SELECT count(*) FROM receivables r WHERE r.merchant_id = h.merchant_id AND left_now > 0)
         FROM holds h GROUP BY merchant_id ORDER BY merchant_id",
    )
    .fetch_all(hb.pool())
    .await
    .unwrap();
    assert_eq!(
        sums,
        [
            ("back".to_owned(), "0.00".to_owned(), 0),
            ("forth".to_owned(), "0.00".to_owned(), 0),
        ]
    );
    hb.checked_end().await;
}

/// Sends every kind of key, then again.
fn send_all(hb: &Holdback, change: impl Fn(&str, Value) -> Value) {
    let send = |type_name: &str, data: Value| hb.send(type_name, &change(type_name, data));
    send("order.confirmed.v1", confirmed("M-1", "O-1", "11-03 02:00"));
    send(
        "order.delivered.v1",
        happened("M-1", "O-1", "delivered_at", "11-03 01:00"),
    );
    send(
        "refund.succeeded.v1",
        refund("M-1", "O-1", "R-1", "30", "11-03 02:00"),
    );
    send(
        "dispute.opened.v1",
        opened("M-1", "O-1", "D-1", "return", "11-03 02:00"),
    );
    send(
        "dispute.updated.v1",
        updated("M-1", "O-1", "D-1", 1, "11-03 03:00"),
    );
    send(
        "dispute.closed.v1",
        closed("M-1", "O-1", "D-1", "won", "11-03 04:00"),
    );
    send(
        "order.cancelled.v1",
        happened("M-1", "O-2", "cancelled_at", "11-03 03:00"),
    );
    // Kept: its order never comes.
    send(
        "refund.succeeded.v1",
        refund("M-1", "O-never", "R-9", "30", "11-03 02:00"),
    );
    send(
        "calendar.published.v1",
        json!({ "calendar": "C", "version": 1, "weekend": ["sun"] }),
    );
    send("agreement.published.v1", agreement("M-1", "AG-1"));
    let unknown = "6f2c0a1e-77a5-5e0c-9d51-0a3f4b5c6d7e";
    send(
        "payout.paid.v1",
        payout("M-1", "release_id", unknown, "11-03"),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_message_twice_happens_once_and_other_content_is_a_conflict() {
    let hb = Holdback::start("twice", "11-03 12:00").await;
    hb.send("agreement.published.v1", &agreement("M-1", "AG-1"));
    hb.applied().await;
    for id in ["O-1", "O-2"] {
        hb.send("order.completed.v1", &order("M-1", id, "100.00", "11-03"));
    }
    hb.applied().await;
    send_all(&hb, |_, data| data);
    hb.applied().await;
    let lines = hb.number("SELECT count(*) FROM journal").await;
    let holds = hb.number("SELECT count(*) FROM holds").await;
    assert_eq!(holds, 2);
    // Another spelling of the same content is the same content.
    hb.send(
        "order.completed.v1",
        &with(
            order("M-1", "O-1", "100", "11-03"),
            json!({ "completed_at": "2025-11-03T08:00:00.0000001+08:00", "fees": "0.0",
                "attributes": null, "not_of_the_contract": 1 }),
        ),
    );
    send_all(&hb, |_, data| data);
    hb.applied().await;
    assert_eq!(hb.number("SELECT count(*) FROM journal").await, lines);
    assert_eq!(hb.number("SELECT count(*) FROM dead_letters").await, 0);

    send_all(&hb, |type_name, data| {
        let other = match type_name {
            "order.confirmed.v1" => json!({ "by": "merchant" }),
            "order.delivered.v1" => json!({ "delivered_at": "2025-11-02T00:00:00Z" }),
            "order.cancelled.v1" => json!({ "reason": "other" }),
            "refund.succeeded.v1" => json!({ "amount": "31" }),
            "dispute.opened.v1" => json!({ "kind": "chargeback" }),
            "dispute.updated.v1" => json!({ "kind": "chargeback" }),
            "dispute.closed.v1" => json!({ "outcome": "lost" }),
            "calendar.published.v1" => json!({ "weekend": ["sat"] }),
            "agreement.published.v1" => json!({ "time_zone": "Asia/Shanghai" }),
            "payout.paid.v1" => json!({ "reason": "other" }),
            other => panic!("{other}"),
        };
        with(data, other)
    });
    // The same refund or dispute for another order.
    hb.send(
        "refund.succeeded.v1",
        &refund("M-1", "O-2", "R-1", "30", "11-03 02:00"),
    );
    hb.send(
        "dispute.closed.v1",
        &closed("M-1", "O-2", "D-1", "won", "11-03 04:00"),
    );
    hb.send("order.completed.v1", &order("M-1", "O-2", "99.99", "11-03"));
    hb.applied().await;
    let reasons = hb.reasons().await;
    let conflicts = reasons
        .iter()
        .filter(|reason| *reason == "conflict")
        .count();
    assert_eq!((conflicts, reasons.len()), (13, 14), "{reasons:?}");
    assert_eq!(reasons.last().map(String::as_str), Some("mismatch"));
    // What is about money puts the orders under review.
    let told = hb.story("M-1").await;
    let reviews: Vec<_> = told
        .iter()
        .filter(|line| line.contains("by review"))
        .collect();
    assert_eq!(reviews.len(), 1, "{told:#?}");
    let blocks = hb
        .number("SELECT count(DISTINCT order_id) FROM blocks")
        .await;
    assert_eq!(blocks, 3);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_of_the_first_content_stays_a_repeat_beside_a_conflict_in_one_batch() {
    let hb = Holdback::start("in-one-batch", "11-03 12:00").await;
    let unknown = "6f2c0a1e-77a5-5e0c-9d51-0a3f4b5c6d7e";
    let paid = payout("M-1", "release_id", unknown, "11-03");
    let cases = [
        (
            "agreement.published.v1",
            agreement("M-1", "AG-1"),
            json!({ "time_zone": "Asia/Tokyo" }),
        ),
        (
            "calendar.published.v1",
            json!({ "calendar": "C", "version": 1, "weekend": ["sun"], "merchant_id": "M-1" }),
            json!({ "weekend": ["sat"] }),
        ),
        ("payout.paid.v1", paid, json!({ "reason": "other" })),
    ];
    for (type_name, data, other) in cases {
        for data in [&data, &with(data.clone(), other), &data] {
            hb.send(type_name, data);
        }
    }
    hb.applied().await;
    assert_eq!(hb.reasons().await, ["conflict"; 3]);
    hb.checked_end().await;
}
