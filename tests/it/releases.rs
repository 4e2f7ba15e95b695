//! What is due goes at its instant, once, and settlements close in parts; what is blocked stays.

use serde_json::json;

use crate::harness::Holdback;
use crate::harness::facts::{agreement, closed, opened, order, refund};

#[tokio::test(flavor = "multi_thread")]
async fn a_release_happens_at_its_instant_and_not_before() {
    let mut hb = Holdback::start("instant", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    let shanghai = agreement("M-2", "AG-2").with(json!({
        "time_zone": "Asia/Shanghai",
        "settlement": { "cycle": "weekly", "weekdays": ["thu"], "cut_off": "08:30" },
    }));
    hb.send(shanghai);
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.send(order("M-2", "O-1", "100", "11-03"));
    hb.pass_to("2025-11-09T23:59:59.999999Z").await;
    hb.tells(
        "M-1",
        "
        O-1 sale holds 100.00 until 11-10
    ",
    )
    .await;
    hb.pass_to("11-10").await;
    let story = "
        O-1 sale holds 100.00 until 11-10
        O-1 releases 100.00 due 11-10/1
        closed 11-10/1: 1 with 100.00
    ";
    hb.tells("M-1", story).await;
    hb.pass_to("2025-11-13T00:29:59Z").await;
    hb.tells(
        "M-2",
        "
        O-1 sale holds 100.00 until 11-13 00:30
    ",
    )
    .await;
    // A day's outage: its date stays what it was.
    hb.stop().await;
    hb.set("11-14 12:00");
    hb.run().await;
    hb.due_done().await;
    hb.tells(
        "M-2",
        "
        O-1 sale holds 100.00 until 11-13 00:30
        O-1 releases 100.00 due 11-13/1
        closed 11-13/1: 1 with 100.00
    ",
    )
    .await;
    hb.tells("M-1", story).await;
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_closes_in_parts_with_the_sums_of_their_releases() {
    let mut hb = Holdback::start("parts", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    for n in 1..=3 {
        let id = format!("O-{n}");
        hb.send(order("M-1", &id, "33.33", "11-03"));
    }
    let yen = order("M-1", "O-4", "100", "11-03").with(json!({ "currency": "JPY" }));
    hb.send(yen);
    hb.applied().await;
    hb.pass_to("11-10").await;
    // Late: completed on the same day, for the settlement that is closed.
    hb.set("11-10 06:00");
    hb.send(order("M-1", "O-5", "10", "11-03"));
    hb.applied().await;
    hb.due_done().await;
    let releases: Vec<_> = hb
        .events()
        .into_iter()
        .filter(|event| event.topic == "holdback-releases")
        .collect();
    let closed: Vec<_> = releases
        .iter()
        .filter(|event| event.kind == "settlement.closed")
        .map(|event| format!("{} {}", event.field("currency"), event.line()))
        .collect();
    let mut sorted = closed.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        [
            "EUR closed 11-10/1: 3 with 99.99",
            "EUR closed 11-10/2: 1 with 10.00",
            "JPY closed 11-10/1: 1 with 100",
        ]
    );
    for end in releases
        .iter()
        .filter(|event| event.kind == "settlement.closed")
    {
        let named: Vec<_> = releases
            .iter()
            .filter(|event| event.kind == "release.issued")
            .filter(|event| event.data["settlement_id"] == end.data["settlement_id"])
            .filter(|event| event.data["settlement_part"] == end.data["part"])
            .collect();
        assert_eq!(end.field("releases"), named.len().to_string());
        assert!(named.iter().all(|release| release.sequence < end.sequence));
    }
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one story, told line by line")]
async fn what_is_blocked_stays_and_goes_when_the_block_is_cleared() {
    let mut hb = Holdback::start("blocked", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    for merchant in ["M-whole", "M-part", "M-lost"] {
        hb.send(order(merchant, "O-1", "100", "11-03"));
    }
    hb.applied().await;
    hb.send(opened("M-whole", "O-1", "D-1", "complaint", "11-04"));
    let part = opened("M-part", "O-1", "D-1", "return", "11-04").with(json!({ "amount": "40" }));
    hb.send(part);
    hb.send(opened("M-lost", "O-1", "D-1", "chargeback", "11-04"));
    hb.pass_to("11-11").await;
    hb.tells(
        "M-whole",
        "
        O-1 sale holds 100.00 until 11-10
        O-1 blocked 100.00 of 100.00 by dispute D-1
    ",
    )
    .await;
    hb.set("11-12 12:00");
    hb.send(closed("M-whole", "O-1", "D-1", "won", "11-12 10:00"));
    hb.send(
        refund("M-part", "O-1", "R-1", "15", "11-12 10:00").with(json!({ "dispute_id": "D-1" })),
    );
    hb.send(closed("M-lost", "O-1", "D-1", "lost", "11-12 10:00"));
    hb.applied().await;
    hb.send(closed("M-part", "O-1", "D-1", "resolved", "11-12 11:00"));
    hb.send(
        refund("M-lost", "O-1", "R-1", "100", "11-12 11:00").with(json!({ "dispute_id": "D-1" })),
    );
    hb.pass_to("11-13").await;
    hb.tells(
        "M-whole",
        "
        O-1 sale holds 100.00 until 11-10
        O-1 blocked 100.00 of 100.00 by dispute D-1
        O-1 unblocked 0.00 of 100.00 by dispute D-1
        O-1 moves 100.00 to 11-13: unblocked
        O-1 releases 100.00 due 11-13/1
        closed 11-13/1: 1 with 100.00
    ",
    )
    .await;
    hb.tells(
        "M-part",
        "
        O-1 sale holds 100.00 until 11-10
        O-1 blocked 40.00 of 100.00 by dispute D-1
        O-1 releases 60.00 due 11-10/1
        closed 11-10/1: 1 with 60.00
        O-1 gives 15.00 to R-1, left 25.00
        O-1 R-1 takes hold 15.00
        O-1 unblocked 25.00 of 25.00 by dispute D-1
        O-1 unblocked 0.00 of 25.00 by dispute D-1
        O-1 moves 25.00 to 11-13: unblocked
        O-1 releases 25.00 due 11-13/1
        closed 11-13/1: 1 with 25.00
    ",
    )
    .await;
    hb.tells(
        "M-lost",
        "
        O-1 sale holds 100.00 until 11-10
        O-1 blocked 100.00 of 100.00 by dispute D-1
        O-1 gives 100.00 to D-1, left 0.00
        O-1 D-1 takes hold 100.00
        O-1 unblocked 0.00 of 0.00 by dispute D-1
        O-1 R-1 takes nothing more
    ",
    )
    .await;
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn past_its_limit_a_hold_goes_or_is_announced_every_day() {
    let mut hb = Holdback::start("limit", "11-03 12:00").await;
    let limited = |merchant: &str, id: &str, at_limit: &str| {
        agreement(merchant, id).with(json!({ "terms": [
            { "name": "sale", "rate_bps": 10000, "days": 1, "count": "date", "limit_days": 3,
              "at_limit": at_limit },
        ] }))
    };
    hb.send(limited("M-goes", "AG-1", "release"));
    hb.send(limited("M-stays", "AG-2", "alert"));
    hb.send(limited("M-review", "AG-3", "release"));
    hb.applied().await;
    for merchant in ["M-goes", "M-stays", "M-review"] {
        hb.send(order(merchant, "O-1", "100", "11-03"));
    }
    hb.applied().await;
    for merchant in ["M-goes", "M-stays"] {
        hb.send(opened(merchant, "O-1", "D-1", "return", "11-03"));
    }
    // A message about the order that can't be read puts it under review, which no limit lifts.
    hb.send(refund("M-review", "O-1", "R-1", "1.001", "11-03"));
    hb.pass_to("11-05").await;
    assert_eq!(
        hb.number("SELECT count(*) FROM journal WHERE event = 12")
            .await,
        0
    );
    hb.pass_to("11-06").await;
    hb.tells(
        "M-goes",
        "
        O-1 sale holds 100.00 until 11-04
        O-1 blocked 100.00 of 100.00 by dispute D-1
        O-1 releases 100.00 limit -/-
    ",
    )
    .await;
    hb.pass_to("2025-11-06T23:59:00Z").await;
    hb.pass_to("11-07").await;
    let alerts = ["O-1 over its limit with 100.00"; 2];
    let stays = hb.story("M-stays").await;
    assert_eq!(stays[2..], alerts, "{stays:?}");
    let review = hb.story("M-review").await;
    assert_eq!(review[2..], alerts, "{review:?}");
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_under_its_minimum_moves_to_the_next_date() {
    let mut hb = Holdback::start("minimum", "11-03 12:00").await;
    let settled = agreement("*", "AG-1").with(json!({
        "settlement": { "cycle": "daily", "minimum": "50", "minimum_max_days": 2 } }));
    hb.send(settled);
    hb.applied().await;
    hb.send(order("M-1", "O-1", "30", "11-03"));
    hb.send(order("M-1", "O-2", "30", "2025-11-03T12:00:00Z"));
    hb.send(order("M-2", "O-1", "30", "11-03"));
    hb.applied().await;
    hb.pass_to("11-10").await;
    let told = hb.story("M-1").await;
    assert_eq!(
        told.last().map(String::as_str),
        Some("closed 11-10/1: 2 with 60.00"),
        "{told:#?}"
    );
    hb.pass_to("11-11").await;
    hb.pass_to("11-12").await;
    hb.tells(
        "M-2",
        "
        O-1 sale holds 30.00 until 11-10
        skipped 11-10: 30.00 under 50.00
        O-1 moves 30.00 to 11-11: settlement_minimum
        skipped 11-11: 30.00 under 50.00
        O-1 moves 30.00 to 11-12: settlement_minimum
        O-1 releases 30.00 due 11-12/1
        closed 11-12/1: 1 with 30.00
    ",
    )
    .await;
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_due_before_going_live_wait_for_a_person() {
    let live = [("RELEASE_NOT_BEFORE", "2025-11-10T00:00:00Z")];
    let mut hb = Holdback::start_with("golive", "11-03 12:00", &live).await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-02"));
    hb.send(order("M-2", "O-1", "100", "11-03"));
    hb.applied().await;
    hb.pass_to("11-10").await;
    assert_eq!(released(&hb), ["M-2"]);
    // Another setting at a later start does not change what the first start said.
    hb.stop().await;
    hb.setting("RELEASE_NOT_BEFORE", "2020-01-01T00:00:00Z");
    hb.set("11-12");
    hb.run().await;
    hb.due_done().await;
    assert_eq!(released(&hb), ["M-2"]);
    hb.checked_end().await;
}

fn released(hb: &Holdback) -> Vec<String> {
    let events = hb.events().into_iter();
    let released = events.filter(|event| event.kind == "release.issued");
    released.map(|event| event.merchant).collect()
}
