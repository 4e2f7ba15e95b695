//! Agreements and calendars: in force, late, in conflict, foreign, and orders that wait for them.

use std::sync::Arc;

use holdback::ingest::followup::FollowUp;
use serde_json::json;

use crate::harness::facts::{agreement, calendar, cancelled, order, refund};
use crate::harness::{Bench, Holdback, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn orders_wait_for_an_agreement_and_are_applied_when_one_comes() {
    let mut hb = Holdback::start("waiting", "11-03 12:00").await;
    hb.send(order("M-own", "O-1", "100", "11-03"));
    hb.send(order("M-any", "O-1", "100", "11-03"));
    hb.send(order("M-yen", "O-1", "100", "11-03"));
    hb.applied().await;
    // What belongs to an order that waits, waits with it.
    hb.send(refund("M-any", "O-1", "R-1", "30", "11-03"));
    hb.send(cancelled("M-own", "O-1", "11-03"));
    hb.applied().await;
    assert_eq!(hb.number("SELECT count(*) FROM holds").await, 0);
    assert_eq!(hb.number("SELECT count(*) FROM parked").await, 2);
    let yen = agreement("M-yen", "AG-Y").with(json!({ "currency": "JPY" }));
    hb.send(yen);
    hb.send(agreement("M-own", "AG-1"));
    hb.applied().await;
    eventually("M-own's order is held", async || {
        let holds = hb.number("SELECT count(*) FROM holds").await;
        (holds == 1)
            .then_some(())
            .ok_or_else(|| format!("{holds} holds"))
    })
    .await;
    hb.send(agreement("*", "AG-2"));
    hb.applied().await;
    eventually("all orders are held", async || {
        let holds = hb.number("SELECT count(*) FROM holds").await;
        (holds == 3)
            .then_some(())
            .ok_or_else(|| format!("{holds} holds"))
    })
    .await;
    hb.tells(
        "M-own",
        "
        O-1 sale holds 100.00 until 11-10
        O-1 reversed 100.00, left 0.00
    ",
    )
    .await;
    hb.pass_to("11-10").await;
    hb.tells(
        "M-any",
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
        "M-yen",
        "
        O-1 sale holds 100.00 until 11-10
        O-1 releases 100.00 due 11-10/1
        closed 11-10/1: 1 with 100.00
    ",
    )
    .await;
    hb.checked_end().await;
}

#[tokio::test]
async fn an_agreement_that_comes_while_waiting_sales_are_looked_at_reaches_them_all() {
    let mut bench = Bench::new("mid-pass").await;
    bench.apply(vec![order("M-1", "O-1", "100", "11-03")]).await;
    let mut follow = FollowUp::new(bench.store.clone(), Arc::clone(&bench.rules), Vec::new());
    // The pass has left O-1 behind when its agreement comes.
    assert!(follow.follow_once().await.unwrap());
    bench.apply(vec![agreement("M-1", "AG-1")]).await;
    while follow.follow_once().await.unwrap() {}
    let held: i64 = sqlx::query_scalar("SELECT count(*) FROM holds")
        .fetch_one(bench.store.pool())
        .await
        .unwrap();
    assert_eq!(held, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_agreement_says_how_many_orders_it_would_have_covered_and_changes_no_hold() {
    let hb = Holdback::start("late", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    for (merchant, id, completed) in [
        ("M-1", "O-1", "11-01"),
        ("M-1", "O-2", "11-02"),
        ("M-1", "O-3", "11-03"),
        ("M-2", "O-1", "11-03"),
    ] {
        hb.send(order(merchant, id, "100", completed));
    }
    hb.applied().await;
    let terms = json!([{ "name": "long", "rate_bps": 5000, "days": 30, "count": "date" }]);
    let late = agreement("M-1", "AG-2").with(json!({
        "terms": terms, "effective_from": "2025-11-02T00:00:00Z",
        // The last instant that it covers: that of O-3.
        "effective_until": "2025-11-03T00:00:00Z" }));
    hb.send(late.clone());
    hb.applied().await;
    let euros = agreement("*", "AG-1").with(json!({
        "version": 2, "effective_from": "2025-11-03T00:00:00Z" }));
    hb.send(euros);
    // Another merchant's id, another content of a known version.
    hb.send(agreement("M-2", "AG-2"));
    hb.send(late.with(json!({ "terms": [
        { "name": "long", "rate_bps": 4000, "days": 30 }] })));
    hb.applied().await;
    hb.send(order("M-1", "O-4", "100", "11-03"));
    hb.applied().await;
    let events = hb.events();
    let said: Vec<String> = events
        .iter()
        .filter(|event| event.kind == "agreement.accepted")
        .map(|event| format!("{}: {}", event.merchant, event.line()))
        .collect();
    assert_eq!(
        said,
        [
            "*: AG-1/1 late for 0",
            // O-3 of M-1 was held under version 1 too, and so was M-2's order.
            "*: AG-1/2 late for 2",
            "M-1: AG-2/1 late for 2",
        ]
    );
    let mut told = hb.story("M-1").await;
    told.sort_unstable();
    assert_eq!(
        told,
        [
            "O-1 sale holds 100.00 until 11-08",
            "O-2 sale holds 100.00 until 11-09",
            "O-3 sale holds 100.00 until 11-10",
            "O-4 long holds 50.00 until 12-03",
        ]
    );
    assert_eq!(hb.reasons().await, ["conflict", "mismatch"]);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_calendar_that_comes_late_gives_dates_and_a_newer_one_moves_them() {
    let mut hb = Holdback::start("calendar", "11-03 12:00").await;
    let business = agreement("*", "AG-1").with(json!({
        "calendar": "C",
        "terms": [{ "name": "sale", "rate_bps": 10000, "days": 2, "day_kind": "business",
                    "count": "date" }],
    }));
    hb.send(business);
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.applied().await;
    // Without its calendar the hold has no dates and stays.
    hb.pass_to("11-05 12:00").await;
    hb.tells(
        "M-1",
        "
        O-1 sale holds 100.00 until -
    ",
    )
    .await;
    hb.send(calendar("C", 1));
    hb.applied().await;
    let moved = |count: usize| {
        let hb = &hb;
        async move {
            eventually("the hold is rescheduled", async || {
                let told = hb.story("M-1").await;
                (told.len() == count)
                    .then_some(())
                    .ok_or_else(|| format!("{told:?}"))
            })
            .await;
        }
    };
    moved(2).await;
    hb.send(calendar("C", 3).with(json!({ "holidays": ["2025-11-05", "2025-11-06"] })));
    hb.applied().await;
    moved(3).await;
    // A lower version than the highest changes nothing.
    hb.send(calendar("C", 2).with(json!({ "holidays": ["2025-11-07"] })));
    hb.applied().await;
    hb.pass_to("11-07").await;
    hb.tells(
        "M-1",
        "
        O-1 sale holds 100.00 until -
        O-1 moves 100.00 to 11-06: calendar
        O-1 moves 100.00 to 11-07: calendar
        O-1 releases 100.00 due 11-07/1
        closed 11-07/1: 1 with 100.00
    ",
    )
    .await;
    hb.checked_end().await;
}
