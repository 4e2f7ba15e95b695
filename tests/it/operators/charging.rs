//! Who may charge what waits, and when: once, however many ask, and again after a restore.

use std::sync::Arc;

use holdback::operator::{Operator, Request};
use holdback::reconcile::command::import;
use serde_json::json;

use super::{by, why};
use crate::harness::Holdback;
use crate::harness::backup::{back_up, restore};
use crate::harness::facts::{
    agreement, cancelled, closed, delivered, deposit, opened, order, refund, refund_reversed,
    requested, updated,
};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_else_that_waits_can_be_charged() {
    let hb = Holdback::start("uncharged", "11-03 12:00").await;
    hb.send(agreement("M-1", "AG-1"));
    hb.send(order("M-2", "O-20", "100", "11-03"));
    hb.send(agreement("M-3", "AG-3"));
    hb.send(order("M-3", "O-8", "100", "11-03"));
    hb.applied().await;
    hb.send(refund("M-2", "O-20", "R-20", "10", "11-03"));
    hb.send(delivered("M-1", "O-1", "11-03"));
    hb.send(cancelled("M-1", "O-2", "11-03"));
    hb.send(requested("M-1", "O-3", "V-3", "11-03"));
    hb.send(refund_reversed("M-1", "R-99", "11-03"));
    hb.send(opened("M-1", "O-4", "D-4", "chargeback", "11-03"));
    hb.send(opened("M-1", "O-5", "D-5", "complaint", "11-03"));
    hb.send(closed("M-1", "O-5", "D-5", "lost", "11-03"));
    hb.send(opened("M-1", "O-6", "D-6", "chargeback", "11-03"));
    hb.send(closed("M-1", "O-6", "D-6", "won", "11-03"));
    hb.send(closed("M-1", "O-7", "D-7", "lost", "11-03"));
    hb.send(refund("M-1", "O-8", "R-8", "10", "11-03"));
    hb.send(refund("M-1", "O-9", "R-9", "10", "11-03"));
    hb.applied().await;
    hb.send(refund_reversed("M-1", "R-9", "11-03"));
    hb.applied().await;
    for (key, refusal) in [
        ("refund:R-20", "order O-20 has come"),
        ("order.delivered:O-1", "charges nothing by itself"),
        ("order.cancelled:O-2", "charges nothing by itself"),
        ("review.requested:V-3", "charges nothing by itself"),
        ("refund.reversed:R-99", "names no order"),
        ("dispute.opened:D-4", "charges nothing by itself"),
        ("refund:R-8", "order O-8 is known under merchant M-3"),
        ("refund:R-9", "its reversal waits, too"),
        ("refund.reversed:R-9", "charges nothing by itself"),
    ] {
        let told = hb.refused(&hb.charge_of(key).await).await;
        assert!(told.contains(refusal), "{key}: {told}");
    }
    for (key, refusal) in [
        ("dispute.closed:D-5", "is no chargeback"),
        ("dispute.closed:D-6", "is not lost"),
        (
            "dispute.closed:D-7",
            "the opening of dispute D-7 has not come",
        ),
        ("refund:R-9", "says itself how much it is"),
    ] {
        let charge = hb.charge_in(key, Some("1"), "EUR").await;
        let told = hb.refused(&charge).await;
        assert!(told.contains(refusal), "{key}: {told}");
    }
    let money = "SELECT count(*) FROM journal WHERE amount IS NOT NULL AND merchant_id <> 'M-3'";
    assert_eq!(hb.number(money).await, 0);
    assert_eq!(hb.number("SELECT count(*) FROM operations").await, 0);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_charge_at_once_while_the_order_comes_charge_it_once() {
    let settings = [("INGEST_WORKERS", "2")];
    let hb = Holdback::start_with("chargedatonce", "11-03 12:00", &settings).await;
    hb.send(agreement("*", "AG-1"));
    let ids: Vec<String> = (0..12).map(|n| format!("O-{n}")).collect();
    hb.send_all(ids.iter().map(|id| refund("M-1", id, id, "10", "11-03")));
    hb.applied().await;
    let mut charges = Vec::new();
    for id in &ids {
        charges.push(hb.charge_of(&format!("refund:{id}")).await);
    }
    hb.send_all(ids.iter().map(|id| order("M-1", id, "100", "11-03")));
    let mut asked = Vec::new();
    for charge in charges.iter().flat_map(|it| [it, it, it]) {
        let (operator, charge): (Operator, Request) = (hb.operator(), charge.clone());
        asked.push(tokio::spawn(async move {
            operator.submit(&charge, &by("Ann")).await
        }));
    }
    let mut done = 0;
    for answer in asked {
        match answer.await.expect("no panic") {
            Ok(answer) => done += i64::from(!answer.proposed),
            refused => drop(why(refused)),
        }
    }
    hb.applied().await;
    // Each was charged by a person or by its order, and never by both.
    let by_hand = "SELECT count(*) FROM operations";
    assert_eq!(hb.number(by_hand).await, done);
    let applied = "SELECT count(*) FROM journal WHERE event = 9";
    assert_eq!(hb.number(applied).await, 12);
    let charged = "SELECT (1200 - sum(left_now) + (SELECT coalesce(sum(left_now), 0)
                   FROM receivables))::bigint FROM holds";
    assert_eq!(hb.number(charged).await, 120);
    assert_eq!(hb.waits().await, 0);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn above_the_limit_two_persons_charge_it_unless_its_order_comes_meanwhile() {
    let above = [("APPROVAL_ABOVE_EUR", "50.00")];
    let hb = Holdback::start_with("chargetwo", "11-03 12:00", &above).await;
    hb.send(agreement("*", "AG-1"));
    hb.send(refund("M-1", "O-1", "R-1", "50", "11-03"));
    hb.send(refund("M-1", "O-1", "R-2", "0.01", "11-03"));
    hb.send(refund("M-1", "O-2", "R-3", "60", "11-03"));
    hb.applied().await;
    assert!(!hb.done(&hb.charge_of("refund:R-1").await).await.proposed);
    // What one person has charged of an order within a week counts together.
    let more = hb.done(&hb.charge_of("refund:R-2").await).await;
    let large = hb.done(&hb.charge_of("refund:R-3").await).await;
    assert!(more.proposed && large.proposed);
    assert_eq!(hb.waits().await, 2);
    let same = hb.operator().approve(more.operation, "Ann").await;
    assert!(why(same).contains("another must approve it"));
    let answer = hb.operator().approve(more.operation, "Bob").await;
    assert!(answer.expect("approved").says.contains("bears 0.01 EUR"));
    hb.send(order("M-1", "O-2", "100", "11-03"));
    hb.applied().await;
    let late = hb.operator().approve(large.operation, "Bob").await;
    assert!(why(late).contains("nothing waits that lay at"));
    // What comes meanwhile makes it another amount than the second person has seen.
    let part = |amount: &str| json!({ "amount": amount });
    hb.send(opened("M-1", "O-5", "D-5", "chargeback", "11-03").with(part("60")));
    hb.send(closed("M-1", "O-5", "D-5", "lost", "11-03"));
    hb.applied().await;
    let closing = hb.charge_in("dispute.closed:D-5", None, "EUR").await;
    let proposed = hb.done(&closing).await;
    hb.send(updated("M-1", "O-5", "D-5", 2, "11-03").with(part("70")));
    hb.applied().await;
    let other = hb.operator().approve(proposed.operation, "Bob").await;
    assert!(why(other).contains("another amount now"));
    let proposed = hb.done(&closing).await;
    let answer = hb.operator().approve(proposed.operation, "Bob").await;
    assert!(answer.expect("approved").says.contains("bears 70.00 EUR"));
    let owed = "SELECT (100 * sum(left_now))::bigint FROM receivables";
    assert_eq!(hb.number(owed).await, 12_001);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_restored_database_has_forgotten_is_charged_again_as_it_was_published() {
    let mut hb = Holdback::start("chargedagain", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.send(deposit("M-1", false, "T-1", "4", "11-03"));
    hb.send(refund("M-1", "O-1", "R-1", "10", "11-03"));
    hb.applied().await;
    hb.stop().await;
    let copy = back_up(&hb.bed).await;
    hb.run().await;
    hb.done(&hb.charge_of("refund:R-1").await).await;
    hb.applied().await;
    let before = hb.story("M-1").await;
    hb.stop().await;
    restore(&hb.bed, &copy).await;
    let config = Arc::new(hb.config());
    let imported = import(&hb.store, &config, &by("Ann")).await;
    assert_eq!(imported.expect("imported"), 3);
    hb.run().await;
    hb.read().await;
    hb.done(&hb.charge_of("refund:R-1").await).await;
    hb.applied().await;
    let left = "SELECT count(*) FROM published_elsewhere WHERE NOT taken";
    assert_eq!(hb.number(left).await, 0);
    assert_eq!(hb.story("M-1").await, before);
    hb.checked_end().await;
}
