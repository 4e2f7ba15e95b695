//! Refunds and lost chargebacks whose order never comes, charged to the merchant by a person: once,
//! whatever comes after.

use std::sync::Arc;

use holdback::operator::{Operator, Request};
use holdback::reconcile::command::import;
use holdback::rules::money::Currency;
use holdback::store::replays::Place;
use holdback::store::waiting::Wanted;
use serde_json::json;

use super::{by, why};
use crate::harness::Holdback;
use crate::harness::backup::{back_up, restore};
use crate::harness::facts::{
    agreement, cancelled, closed, delivered, deposit, opened, order, refund, refund_reversed,
    requested, updated,
};
use crate::harness::process::{holdback, run_to_end};

impl Holdback {
    async fn place_of(&self, key: &str) -> Place {
        let listed = self.store.waiting(&Wanted::default(), 100).await;
        let mut listed = listed.expect("listed").into_iter();
        let found = listed.find(|it| it.key().to_string() == key);
        found.unwrap_or_else(|| panic!("{key} waits")).place
    }

    async fn charge_of(&self, key: &str) -> Request {
        Request::ChargeParked {
            place: self.place_of(key).await,
            amount: None,
            currency: None,
        }
    }

    /// The same with what the messages do not say.
    async fn charge_in(&self, key: &str, amount: Option<&str>, currency: &str) -> Request {
        Request::ChargeParked {
            place: self.place_of(key).await,
            amount: amount.map(str::to_owned),
            currency: Currency::from_code(currency),
        }
    }

    async fn waits(&self) -> i64 {
        let waits = "SELECT (SELECT count(*) FROM parked) + (SELECT count(*) FROM strays)";
        self.number(waits).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charged_refund_takes_the_deposit_and_the_rest_is_owed_and_its_order_pays_it_once() {
    let mut hb = Holdback::start("charged", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.send(deposit("M-1", false, "T-1", "4", "11-03"));
    hb.send(refund("M-1", "O-1", "R-1", "10", "11-03"));
    hb.applied().await;
    let charge = hb.charge_of("refund:R-1").await;
    let answer = hb.done(&charge).await;
    assert!(
        answer
            .says
            .contains("merchant M-1 bears 10.00 EUR of order O-1"),
        "{}",
        answer.says
    );
    assert!(
        hb.refused(&charge)
            .await
            .contains("nothing waits that lay at")
    );
    assert_eq!(hb.waits().await, 0);
    let kept = "SELECT count(*) FROM operations o JOIN journal j USING (operation_id)
                WHERE o.kind = 'charge_parked' AND o.actor = 'Ann' AND o.reason = 'because'
                  AND o.amount = 10 AND j.source_topic IS NOT NULL";
    assert_eq!(hb.number(kept).await, 3);
    // The same message again is a repeat, one with other content a conflict.
    hb.send(refund("M-1", "O-1", "R-1", "10.00", "11-03"));
    hb.send(refund("M-1", "O-1", "R-1", "11", "11-03"));
    hb.applied().await;
    assert_eq!(hb.waits().await, 0);
    assert_eq!(hb.reasons().await, ["conflict"]);
    let typed = |words: &[&str]| {
        let ended = run_to_end(holdback(&hb.bed, words, &[]));
        assert_eq!(ended.code, Some(0), "{}", ended.said);
        ended.said
    };
    let explained = typed(&["explain", "--merchant", "M-1", "O-1"]);
    for part in [
        "The order itself has not come yet.",
        "Charged 10.00 for refund R-1 of 10.00 by refund/",
        "4.00 out of the deposit, 6.00 as a receivable",
        "Owed since 2025-11-03T00:00:00Z for refund R-1: 6.00 of 6.00.",
        "by Ann: because",
    ] {
        assert!(explained.contains(part), "{part}: {explained}");
    }
    let listed = typed(&["receivable", "list"]);
    assert!(
        listed.contains("owes 6.00 EUR of 6.00, by refund R-1 of order O-1"),
        "{listed}"
    );
    let span = ["--from", "2025-11-01", "--to", "2025-12-01"];
    let stated = typed(&[&["statement", "--merchant", "M-1"], &span[..]].concat());
    assert!(stated.contains("O-1"), "{stated}");
    // It comes after all: the conflict keeps it until a person has looked.
    let letter = "SELECT count(*) FROM dead_letters WHERE order_id = 'O-1'";
    assert_eq!(hb.number(letter).await, 1);
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.applied().await;
    let reference = sqlx::query_scalar::<_, String>("SELECT reference FROM blocks");
    let reference = reference.fetch_one(hb.pool()).await.expect("a block");
    hb.done(&super::unblock("M-1", "O-1", &reference)).await;
    hb.send(refund("M-1", "O-1", "R-2", "20", "11-03"));
    hb.send(refund("M-1", "O-1", "R-1", "10", "11-03"));
    hb.pass_to("11-10").await;
    let told = hb.story("M-1").await;
    let money: Vec<&str> = told
        .iter()
        .filter(|line| !line.contains("blocked") && !line.contains("moves"))
        .map(String::as_str)
        .collect();
    assert_eq!(
        money,
        [
            "deposit credit 4.00 by credited, now 4.00",
            "deposit debit 4.00 by refund, now 0.00",
            "O-1 owes 6.00 for R-1",
            "O-1 R-1 takes deposit 4.00 + receivable 6.00",
            "O-1 sale holds 100.00 until 11-10",
            "O-1 gives 20.00 to R-2, left 80.00",
            "O-1 R-2 takes hold 20.00",
            "O-1 releases 74.00 of 80.00 due 11-10/1",
            "O-1 owes 6.00 less by release, left 0.00",
            "closed 11-10/1: 1 with 74.00 of 80.00",
        ],
        "{told:#?}"
    );
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_charged_is_given_back_when_the_refund_or_the_order_is_undone() {
    let hb = Holdback::start("chargedback", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.send(deposit("M-1", false, "T-1", "4", "11-03"));
    hb.send(deposit("M-2", false, "T-1", "4", "11-03"));
    hb.send(refund("M-1", "O-1", "R-1", "10", "11-03"));
    hb.send(refund("M-2", "O-2", "R-2", "10", "11-03"));
    hb.applied().await;
    hb.done(&hb.charge_of("refund:R-1").await).await;
    hb.done(&hb.charge_of("refund:R-2").await).await;
    // The refund did not go through after all, before its order came or without it.
    hb.send(refund_reversed("M-1", "R-1", "11-03 11:00"));
    // The other one's order comes and is cancelled: reversal and refund are the same money.
    hb.send(order("M-2", "O-2", "50", "11-03"));
    hb.applied().await;
    hb.send(cancelled("M-2", "O-2", "11-03"));
    hb.applied().await;
    assert_eq!(hb.waits().await, 0);
    hb.tells(
        "M-1",
        "
        deposit credit 4.00 by credited, now 4.00
        deposit debit 4.00 by refund, now 0.00
        O-1 owes 6.00 for R-1
        O-1 R-1 takes deposit 4.00 + receivable 6.00
        O-1 owes 6.00 less by refund_reversed, left 0.00
        deposit credit 4.00 by refund_reversed, now 4.00
        O-1 R-1 gives back receivable 6.00 + deposit 4.00
    ",
    )
    .await;
    hb.tells(
        "M-2",
        "
        deposit credit 4.00 by credited, now 4.00
        deposit debit 4.00 by refund, now 0.00
        O-2 owes 6.00 for R-2
        O-2 R-2 takes deposit 4.00 + receivable 6.00
        O-2 sale holds 50.00 until 11-10
        O-2 reversed 50.00, left 0.00
        O-2 owes 6.00 less by cancellation, left 0.00
        deposit credit 4.00 by cancellation, now 4.00
    ",
    )
    .await;
    // The order of the reversed one comes: it holds all, and owes nothing.
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.applied().await;
    let left = "SELECT left_now::bigint FROM holds WHERE merchant_id = 'M-1' AND blocked = 0";
    assert_eq!(hb.number(left).await, 100);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_chargeback_is_charged_with_what_its_messages_leave_open_and_once() {
    let mut hb = Holdback::start("chargedlost", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.send(opened("M-1", "O-1", "D-1", "inquiry", "11-03"));
    let kind = json!({ "kind": "chargeback" });
    hb.send(updated("M-1", "O-1", "D-1", 2, "11-03").with(kind));
    hb.send(closed("M-1", "O-1", "D-1", "lost", "11-03"));
    let part = json!({ "amount": "7.50" });
    hb.send(opened("M-1", "O-2", "D-2", "chargeback", "11-03").with(part));
    hb.send(closed("M-1", "O-2", "D-2", "lost", "11-03"));
    let named = json!({ "dispute_id": "D-2" });
    hb.send(refund("M-1", "O-2", "R-2", "5", "11-02").with(named));
    hb.applied().await;
    let closing = "dispute.closed:D-1";
    assert_eq!(
        hb.refused(&hb.charge_of(closing).await).await,
        "a dispute names no currency: say which"
    );
    let whole = hb.charge_in(closing, None, "EUR").await;
    assert!(
        hb.refused(&whole)
            .await
            .contains("is about the whole order: say how much")
    );
    let fine = hb.charge_in(closing, Some("30.001"), "EUR").await;
    assert!(hb.refused(&fine).await.starts_with("dispute D-1 in EUR: "));
    hb.done(&hb.charge_in(closing, Some("30"), "EUR").await)
        .await;
    let again = hb
        .charge_in("dispute.closed:D-2", Some("7.50"), "EUR")
        .await;
    assert!(hb.refused(&again).await.contains("says itself how much"));
    // The refund first: the chargeback charges what is more.
    hb.done(&hb.charge_of("refund:R-2").await).await;
    hb.done(&hb.charge_in("dispute.closed:D-2", None, "EUR").await)
        .await;
    assert_eq!(hb.waits().await, 0);
    // Refunds that name the chargeback are the same debt, and so is all of it when the orders come.
    hb.send(order("M-1", "O-1", "30", "11-03"));
    hb.send(order("M-1", "O-2", "20", "11-03"));
    hb.applied().await;
    hb.send(closed("M-1", "O-1", "D-1", "lost", "11-03"));
    let named = json!({ "dispute_id": "D-1" });
    hb.send(refund("M-1", "O-1", "R-1", "30", "11-03").with(named));
    hb.pass_to("11-10").await;
    hb.tells(
        "M-1",
        "
        O-1 owes 30.00 for D-1
        O-1 D-1 takes receivable 30.00
        O-2 owes 5.00 for R-2
        O-2 R-2 takes receivable 5.00
        O-2 owes 2.50 for D-2
        O-2 D-2 takes receivable 2.50
        O-1 sale holds 30.00 until 11-10
        O-2 sale holds 20.00 until 11-10
        O-1 R-1 takes nothing more
        O-1 releases 0.00 of 30.00 due 11-10/1
        O-1 owes 30.00 less by release, left 0.00
        O-2 releases 12.50 of 20.00 due 11-10/1
        O-2 owes 5.00 less by release, left 0.00
        O-2 owes 2.50 less by release, left 0.00
        closed 11-10/1: 2 with 12.50 of 50.00
    ",
    )
    .await;
    hb.checked_end().await;
}

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
    let owed = "SELECT (100 * sum(left_now))::bigint FROM receivables";
    assert_eq!(hb.number(owed).await, 5001);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_in_another_currency_than_what_was_charged_of_it_is_refused() {
    let hb = Holdback::start("chargedother", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.send(refund("M-1", "O-1", "R-1", "10", "11-03"));
    let yen = json!({ "currency": "JPY" });
    hb.send(refund("M-1", "O-1", "R-2", "10", "11-03").with(yen.clone()));
    hb.applied().await;
    hb.done(&hb.charge_of("refund:R-1").await).await;
    let told = hb.refused(&hb.charge_of("refund:R-2").await).await;
    assert_eq!(told, "what was charged of order O-1 before was in EUR");
    hb.send(order("M-1", "O-1", "100", "11-03").with(yen));
    hb.applied().await;
    assert_eq!(hb.reasons().await, ["mismatch"]);
    assert_eq!(hb.number("SELECT count(*) FROM holds").await, 0);
    // As it should have been: less than what was charged of it, which stays charged.
    hb.send(order("M-1", "O-1", "8", "11-03"));
    hb.applied().await;
    assert_eq!(hb.number("SELECT left_now::bigint FROM holds").await, 8);
    assert_eq!(
        hb.number("SELECT left_now::bigint FROM receivables").await,
        10
    );
    // The one that waited in another currency was refused when its order came.
    assert_eq!(hb.reasons().await, ["mismatch", "mismatch"]);
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
