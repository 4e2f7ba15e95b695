//! A limit that lets blocked money go leaves its blocks to the order's other holds at once.

use serde_json::json;

use crate::harness::facts::{Fact, agreement, closed, opened, order};
use crate::harness::{Holdback, eventually};

/// Most of an order for five days, at most ten; the rest for ten.
fn limited(merchant: &str) -> Fact {
    agreement(merchant, "AG-1").with(json!({ "terms": [
        { "name": "sale", "rate_bps": 6000, "days": 5, "count": "date", "limit_days": 10,
          "at_limit": "release" },
        { "name": "reserve", "rate_bps": 4000, "days": 10, "count": "date" },
    ] }))
}

fn disputed(order: &str, amount: &str) -> Fact {
    opened("M-1", order, &format!("D-{order}"), "complaint", "11-04")
        .with(json!({ "amount": amount }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_falls_due_with_the_limit_of_another_keeps_its_block() {
    let mut hb = Holdback::start("limitblock", "11-03 12:00").await;
    hb.send(limited("*"));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.applied().await;
    hb.send(disputed("O-1", "30"));
    hb.pass_to("11-08").await;
    hb.pass_to("11-13").await;
    let story = "
        O-1 sale holds 60.00 until 11-08
        O-1 reserve holds 40.00 until 11-13
        O-1 blocked 30.00 of 60.00 by dispute D-O-1
        O-1 releases 30.00 due 11-08/1
        closed 11-08/1: 1 with 30.00
        O-1 releases 30.00 limit -/-
        O-1 blocked 30.00 of 40.00 by dispute D-O-1
        O-1 releases 10.00 due 11-13/1
        closed 11-13/1: 1 with 10.00
    ";
    hb.tells("M-1", story).await;
    hb.set("11-14 12:00");
    hb.send(closed("M-1", "O-1", "D-O-1", "won", "11-14 10:00"));
    hb.pass_to("11-15").await;
    let told = hb.story("M-1").await;
    let last = [
        "O-1 unblocked 0.00 of 30.00 by dispute D-O-1",
        "O-1 moves 30.00 to 11-15: unblocked",
        "O-1 releases 30.00 due 11-15/1",
        "closed 11-15/1: 1 with 30.00",
    ];
    assert_eq!(told[told.len() - 4..], last, "{told:#?}");
    hb.checked_end().await;
}

/// Batches part the holds of an order, wherever the limit comes to lie in them.
#[tokio::test(flavor = "multi_thread")]
async fn after_an_outage_nothing_blocked_goes_with_the_holds_that_went_before() {
    let mut hb =
        Holdback::start_with("limitoutage", "11-03 12:00", &[("RELEASE_BATCH_MAX", "7")]).await;
    hb.send(limited("*"));
    hb.applied().await;
    let orders: Vec<String> = (1..=40).map(|n| format!("O-{n}")).collect();
    hb.send_all(orders.iter().map(|id| order("M-1", id, "100", "11-03")));
    hb.applied().await;
    hb.send_all(orders.iter().map(|id| disputed(id, "90")));
    hb.applied().await;
    hb.stop().await;
    hb.set("11-20 12:00");
    hb.run().await;
    hb.due_done().await;
    eventually("the limits have released", async || {
        let went = hb.number("SELECT count(*) FROM holds WHERE released = 60 AND term = 'sale'");
        let went = went.await;
        (went == 40)
            .then_some(())
            .ok_or_else(|| format!("{went} of 40"))
    })
    .await;
    let kept =
        "SELECT count(*) FROM holds WHERE term = 'reserve' AND blocked = 40 AND left_now = 40";
    assert_eq!(hb.number(kept).await, 40);
    hb.checked_end().await;
}
