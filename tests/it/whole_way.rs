//! Every input type from its topic to the events that come out, in every form of `CloudEvents`.

use serde_json::json;

use crate::harness::facts::{
    Fact, agreement, calendar, cancelled, closed, confirmed, delivered, failed, opened, order,
    paid, refund, updated,
};
use crate::harness::{Holdback, INPUTS, Message};

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one story, told line by line")]
async fn every_input_type_goes_the_whole_way() {
    let mut hb = Holdback::start("whole", "11-03 12:00").await;
    let shop = agreement("M-1", "AG-1").with(json!({ "terms": [
            { "name": "sale", "rate_bps": 9000, "days": 7, "count": "date" },
            { "name": "reserve", "rate_bps": 1000, "days": 30, "count": "date" },
        ] }));
    hb.send(shop);
    let anchored = agreement("M-2", "AG-2").with(json!({
        "calendar": "CN",
        "terms": [{ "name": "sale", "rate_bps": 10000, "days": 2, "day_kind": "business",
                    "count": "date", "anchor": "delivered" }],
        "confirmation": { "required": true },
    }));
    hb.send(anchored);
    hb.send(calendar("CN", 1));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100.00", "11-03"));
    hb.send(order("M-1", "O-2", "50", "11-03"));
    hb.send(order("M-2", "P-1", "70", "11-03"));
    hb.send(order("M-2", "P-2", "80", "11-03"));
    hb.applied().await;
    hb.send(refund("M-1", "O-1", "R-1", "30", "11-03"));
    hb.applied().await;
    hb.send(opened("M-1", "O-2", "D-1", "complaint", "11-03"));
    hb.send(delivered("M-2", "P-1", "11-03 09:00"));
    hb.send(confirmed("M-2", "P-1", "11-03 10:00"));
    hb.send(cancelled("M-2", "P-2", "11-03 11:00"));
    hb.applied().await;
    let narrowed = updated("M-1", "O-2", "D-1", 1, "11-03").with(json!({ "amount": "20" }));
    hb.send(narrowed);
    hb.applied().await;
    hb.send(closed("M-1", "O-2", "D-1", "won", "11-03 11:00"));
    hb.pass_to("11-10").await;
    let first = hb
        .events()
        .into_iter()
        .find(|event| event.kind == "release.issued");
    let first = first.expect("a release").field("release_id");
    hb.send(failed("M-1", "release_id", &first, "11-10"));
    hb.applied().await;
    hb.send(paid("M-1", "release_id", &first, "11-11"));
    hb.applied().await;

    hb.tells(
        "M-1",
        "
        O-1 sale holds 90.00 until 11-10
        O-1 reserve holds 10.00 until 12-03
        O-2 sale holds 45.00 until 11-10
        O-2 reserve holds 5.00 until 12-03
        O-1 gives 30.00 to R-1, left 60.00
        O-1 R-1 takes hold 30.00
        O-2 blocked 45.00 of 45.00 by dispute D-1
        O-2 blocked 5.00 of 5.00 by dispute D-1
        O-2 unblocked 20.00 of 45.00 by dispute D-1
        O-2 unblocked 0.00 of 5.00 by dispute D-1
        O-2 unblocked 0.00 of 45.00 by dispute D-1
        O-1 releases 60.00 due 11-10/1
        O-2 releases 45.00 due 11-10/1
        closed 11-10/1: 2 with 105.00
        O-1 failed 60.00
        O-1 paid 60.00
    ",
    )
    .await;
    hb.tells(
        "M-2",
        "
        P-1 sale holds 70.00 until -
        P-2 sale holds 80.00 until -
        P-1 moves 70.00 to 11-05: anchor_known
        P-2 reversed 80.00, left 0.00
        P-1 releases 70.00 due 11-05/1
        closed 11-05/1: 1 with 70.00
    ",
    )
    .await;
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_structured_and_plain_messages_say_the_same() {
    let hb = Holdback::start("forms", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    // Binary is how `send` writes; here the type stands in a topic where it is not at home.
    hb.send_to("merchant", order("M-1", "O-1", "10", "11-03"));
    let structured = json!({
        "specversion": "1.0", "id": "1", "source": "/shop", "type": "order.completed.v1",
        "data": order("M-1", "O-2", "20", "11-03").data,
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    });
    let media_type = (
        "Content-Type",
        "application/cloudevents+json; charset=UTF-8",
    );
    hb.write("refund", &[media_type], structured.to_string().as_bytes());
    let plain = |fact: Fact| fact.data.to_string().into_bytes();
    hb.write(
        "order-completed",
        &[],
        &plain(order("M-1", "O-3", "30", "11-03")),
    );
    hb.applied().await;
    hb.write(
        "refund",
        &[],
        &plain(refund("M-1", "O-3", "R-1", "5", "11-03")),
    );
    hb.applied().await;
    // Unnamed where a type must be named: it may be about money, so the order is looked at.
    hb.write(
        "dispute",
        &[],
        &plain(opened("M-1", "O-3", "D-1", "inquiry", "11-03")),
    );
    // A tombstone says nothing anywhere.
    for topic in INPUTS {
        hb.bed.produce(
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
    let expected = [
        "O-1 sale holds 10.00 until 11-10",
        "O-2 sale holds 20.00 until 11-10",
        "O-3 R-1 takes hold 5.00",
        "O-3 blocked 25.00 of 25.00 by review",
        "O-3 gives 5.00 to R-1, left 25.00",
        "O-3 sale holds 30.00 until 11-10",
    ];
    assert_eq!(told, expected);
    let events = hb.events();
    let traced = events.iter().find(|event| event.traceparent.is_some());
    assert_eq!(traced.expect("carried through").field("order_id"), "O-2");
    assert_eq!(hb.reasons().await, ["unknown_type"]);
    hb.checked_end().await;
}
