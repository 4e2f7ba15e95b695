//! Refunds and lost chargebacks whose order never comes, charged to the merchant by a person: once,
//! whatever comes after.

use holdback::operator::Request;
use holdback::rules::money::Currency;
use holdback::store::replays::Place;
use holdback::store::waiting::Wanted;
use serde_json::json;

use crate::harness::Holdback;
use crate::harness::facts::{
    agreement, cancelled, closed, deposit, opened, order, refund, refund_reversed, updated,
};
use crate::harness::process::{holdback, run_to_end};

impl Holdback {
    async fn place_of(&self, key: &str) -> Place {
        let listed = self.store.waiting(&Wanted::default(), 100).await;
        let mut listed = listed.expect("listed").into_iter();
        let found = listed.find(|it| it.key().to_string() == key);
        found.unwrap_or_else(|| panic!("{key} waits")).place
    }

    pub(super) async fn charge_of(&self, key: &str) -> Request {
        Request::ChargeParked {
            place: self.place_of(key).await,
            amount: None,
            currency: None,
        }
    }

    /// The same with what the messages do not say.
    pub(super) async fn charge_in(
        &self,
        key: &str,
        amount: Option<&str>,
        currency: &str,
    ) -> Request {
        Request::ChargeParked {
            place: self.place_of(key).await,
            amount: amount.map(str::to_owned),
            currency: Currency::from_code(currency),
        }
    }

    pub(super) async fn waits(&self) -> i64 {
        let waits = "SELECT (SELECT count(*) FROM parked) + (SELECT count(*) FROM strays)";
        self.number(waits).await
    }
}

/// What a person sees of the charge and its debt.
fn are_told(hb: &Holdback) {
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
    are_told(&hb);
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
        O-2 owes 5.00 less by release, left 0.00
        O-1 owes 25.00 less by release, left 5.00
        O-2 releases 12.50 of 20.00 due 11-10/1
        O-1 owes 5.00 less by release, left 0.00
        O-2 owes 2.50 less by release, left 0.00
        closed 11-10/1: 2 with 12.50 of 50.00
    ",
    )
    .await;
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
