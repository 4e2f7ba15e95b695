//! Every input type from its topic to the events that come out, in every form of `CloudEvents`.

use serde_json::json;

use crate::harness::facts::{
    agreement, closed, confirmed, happened, opened, order, payout, refund, updated, with,
};
use crate::harness::{Holdback, Message, at};

#[tokio::test(flavor = "multi_thread")]
async fn every_input_type_goes_the_whole_way() {
    let mut hb = Holdback::start("whole", "11-03 12:00").await;
    let shop = with(
        agreement("M-1", "AG-1"),
        json!({ "terms": [
            { "name": "sale", "rate_bps": 9000, "days": 7, "count": "date" },
            { "name": "reserve", "rate_bps": 1000, "days": 30, "count": "date" },
        ] }),
    );
    hb.send("agreement.published.v1", &shop);
    let anchored = with(
        agreement("M-2", "AG-2"),
        json!({
            "calendar": "CN",
            "terms": [{ "name": "sale", "rate_bps": 10000, "days": 2, "day_kind": "business",
                        "count": "date", "anchor": "delivered" }],
            "confirmation": { "required": true },
        }),
    );
    hb.send("agreement.published.v1", &anchored);
    hb.send(
        "calendar.published.v1",
        &json!({ "calendar": "CN", "version": 1, "weekend": ["sat", "sun"] }),
    );
    hb.applied().await;
    hb.send(
        "order.completed.v1",
        &order("M-1", "O-1", "100.00", "11-03"),
    );
    hb.send("order.completed.v1", &order("M-1", "O-2", "50", "11-03"));
    hb.send("order.completed.v1", &order("M-2", "O-1", "70", "11-03"));
    hb.send("order.completed.v1", &order("M-2", "O-2", "80", "11-03"));
    hb.applied().await;
    hb.send(
        "refund.succeeded.v1",
        &refund("M-1", "O-1", "R-1", "30", "11-03"),
    );
    hb.send(
        "dispute.opened.v1",
        &opened("M-1", "O-2", "D-1", "complaint", "11-03"),
    );
    hb.send(
        "order.delivered.v1",
        &happened("M-2", "O-1", "delivered_at", "11-03 09:00"),
    );
    hb.send(
        "order.confirmed.v1",
        &confirmed("M-2", "O-1", "11-03 10:00"),
    );
    hb.send(
        "order.cancelled.v1",
        &happened("M-2", "O-2", "cancelled_at", "11-03 11:00"),
    );
    hb.applied().await;
    let narrowed = with(
        updated("M-1", "O-2", "D-1", 1, "11-03"),
        json!({ "amount": "20" }),
    );
    hb.send("dispute.updated.v1", &narrowed);
    hb.applied().await;
    hb.send(
        "dispute.closed.v1",
        &closed("M-1", "O-2", "D-1", "won", "11-03 11:00"),
    );
    hb.pass_to("11-10").await;
    let first = hb
        .events()
        .into_iter()
        .find(|event| event.kind == "release.issued");
    let first = first.expect("a release").field("release_id");
    hb.send(
        "payout.failed.v1",
        &payout("M-1", "release_id", &first, "11-10"),
    );
    hb.applied().await;
    hb.send(
        "payout.paid.v1",
        &payout("M-1", "release_id", &first, "11-11"),
    );
    hb.applied().await;

    hb.tells(
        "M-1",
        &[
            "O-1 sale holds 90.00 until 11-10",
            "O-1 reserve holds 10.00 until 12-03",
            "O-2 sale holds 45.00 until 11-10",
            "O-2 reserve holds 5.00 until 12-03",
        ],
    )
    .await;
    hb.tells("M-2", &[]).await;
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_structured_and_plain_messages_say_the_same() {
    let hb = Holdback::start("forms", "11-03 12:00").await;
    hb.send("agreement.published.v1", &agreement("*", "AG-1"));
    hb.applied().await;
    // Binary is how `send` writes; here the key is another one, and the type stands in a topic
    // where it is not at home.
    hb.send_to(
        "merchant",
        "order.completed.v1",
        &order("M-1", "O-1", "10", "11-03"),
    );
    let structured = json!({
        "specversion": "1.0", "id": "1", "source": "/shop", "type": "order.completed.v1",
        "data": order("M-1", "O-2", "20", "11-03"),
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    });
    hb.write(
        "refund",
        &Message {
            key: Some("anything"),
            headers: &[(
                "Content-Type",
                "application/cloudevents+json; charset=UTF-8",
            )],
            value: Some(structured.to_string().as_bytes()),
            timestamp_ms: None,
        },
    );
    let plain = order("M-1", "O-3", "30", "11-03");
    hb.write(
        "order-completed",
        &Message {
            value: Some(plain.to_string().as_bytes()),
            ..Message::default()
        },
    );
    hb.applied().await;
    let plain = refund("M-1", "O-3", "R-1", "5", "11-03");
    hb.write(
        "refund",
        &Message {
            value: Some(plain.to_string().as_bytes()),
            ..Message::default()
        },
    );
    // Unnamed where a type must be named; a tombstone says nothing anywhere.
    hb.write(
        "dispute",
        &Message {
            value: Some(
                opened("M-1", "O-3", "D-1", "inquiry", "11-03")
                    .to_string()
                    .as_bytes(),
            ),
            ..Message::default()
        },
    );
    for topic in [
        "order-completed",
        "refund",
        "dispute",
        "merchant",
        "payout-result",
    ] {
        hb.write(
            topic,
            &Message {
                key: Some("M-1"),
                ..Message::default()
            },
        );
    }
    hb.applied().await;
    let mut told = hb.story("M-1").await;
    told.sort_unstable();
    assert_eq!(
        told,
        [
            "O-1 sale holds 10.00 until 11-10",
            "O-2 sale holds 20.00 until 11-10",
            "O-3 R-1 takes hold 5.00",
            "O-3 gives 5.00 to R-1, left 25.00",
            "O-3 sale holds 30.00 until 11-10",
        ]
    );
    let events = hb.events();
    let traced = events.iter().find(|event| event.traceparent.is_some());
    assert_eq!(traced.expect("carried through").field("order_id"), "O-2");
    assert_eq!(hb.reasons().await, ["unknown_type"]);
    assert_eq!(at("11-03"), "2025-11-03T00:00:00Z");
    hb.checked_end().await;
}
