//! Deposits the whole way: paid in and out, twice, with other content, and topped up by releases.

use serde_json::json;

use crate::harness::facts::{agreement, cancelled, deposit, order, refund};
use crate::harness::{Holdback, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_is_paid_in_and_out_and_pays_what_is_owed() {
    let mut hb = Holdback::start("deposit", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.send(deposit("M-1", false, "T-1", "100", "11-03"));
    hb.applied().await;
    // The same again, the same id the other way round, and with other content.
    hb.send(deposit("M-1", false, "T-1", "100.00", "11-03"));
    hb.send(deposit("M-1", false, "T-1", "101", "11-03"));
    hb.applied().await;
    hb.send(deposit("M-1", true, "T-1", "130", "11-03"));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "10", "11-03"));
    hb.pass_to("11-10").await;
    hb.send(refund("M-1", "O-1", "R-1", "7", "11-10"));
    hb.applied().await;
    hb.send(deposit("M-1", false, "T-2", "50", "11-10"));
    hb.applied().await;
    hb.tells(
        "M-1",
        "
        deposit credit 100.00 by credited, now 100.00
        deposit debit 100.00 by withdrawn, now 0.00
        - owes 30.00 for T-1
        O-1 sale holds 10.00 until 11-10
        O-1 releases 0.00 of 10.00 due 11-10/1
        - owes 10.00 less by release, left 20.00
        closed 11-10/1: 1 with 0.00 of 10.00
        O-1 owes 7.00 for R-1
        O-1 R-1 takes receivable 7.00
        deposit credit 50.00 by credited, now 50.00
        - owes 20.00 less by deposit, left 0.00
        O-1 owes 7.00 less by deposit, left 0.00
        deposit debit 27.00 by recovery, now 23.00
    ",
    )
    .await;
    assert_eq!(hb.reasons().await, ["conflict"]);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn releases_by_several_processes_top_a_deposit_up_to_what_is_required() {
    let mut hb = Holdback::start("top-up", "11-03 12:00").await;
    let terms = json!({ "deposit": { "required": "25", "top_up_bps": 1000 } });
    hb.send(agreement("*", "AG-1").with(terms));
    hb.applied().await;
    for n in 1..=40 {
        hb.send(order("M-1", &format!("O-{n}"), "10", "11-03"));
    }
    hb.applied().await;
    hb.stop().await;
    hb.set("11-10");
    let made = hb.release_by(4, "7").await;
    assert_eq!(made.iter().sum::<usize>(), 40, "{made:?}");
    hb.run().await;
    hb.due_done().await;
    let balance = "SELECT sum(balance)::bigint FROM deposits";
    assert_eq!(hb.number(balance).await, 25);
    let told = hb.story("M-1").await;
    let closed = told.last().map(String::as_str);
    assert_eq!(closed, Some("closed 11-10/1: 40 with 375.00 of 400.00"));
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_into_a_deposit_from_several_partitions_add_up() {
    let hb = Holdback::start_with("deposits", "11-03 12:00", &[("INGEST_WORKERS", "4")]).await;
    hb.send_all((0..200).map(|n| {
        let withdrawn = n % 4 == 3;
        let amount = if withdrawn { "2" } else { "1" };
        deposit("M-1", withdrawn, &format!("T-{n}"), amount, "11-03")
    }));
    for topic in ["refund", "dispute", "order-completed"] {
        for n in 0..50 {
            let id = format!("T-{topic}-{n}");
            hb.send_to(topic, deposit("M-1", false, &id, "1", "11-03"));
        }
    }
    hb.applied().await;
    // 150 in, 100 out, 150 in.
    let balance = "SELECT (SELECT sum(balance) FROM deposits)::bigint";
    assert_eq!(hb.number(balance).await, 200);
    let owed = "SELECT count(*) FROM receivables WHERE left_now > 0";
    assert_eq!(hb.number(owed).await, 0);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refunds_take_the_deposit_and_a_cancellation_gives_it_back() {
    let mut hb = Holdback::start("refund-deposit", "11-03 12:00").await;
    hb.send(deposit("M-1", false, "T-1", "30", "11-03"));
    hb.send(refund("M-1", "O-1", "R-1", "20", "11-03"));
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.applied().await;
    // The sale waits for its agreement, the refund for the sale; both are applied when it comes.
    let terms = json!({ "refund": { "source": "merchant_first" } });
    hb.send(agreement("*", "AG-1").with(terms));
    hb.applied().await;
    let refunded = "SELECT count(*) FROM refunds";
    eventually("the refund is applied", async || {
        let count = hb.number(refunded).await;
        (count == 1).then_some(()).ok_or_else(|| count.to_string())
    })
    .await;
    hb.send(refund("M-1", "O-1", "R-2", "15", "11-03"));
    hb.applied().await;
    hb.send(cancelled("M-1", "O-1", "11-03"));
    hb.applied().await;
    hb.tells(
        "M-1",
        "
        deposit credit 30.00 by credited, now 30.00
        O-1 sale holds 100.00 until 11-10
        deposit debit 20.00 by refund, now 10.00
        O-1 R-1 takes deposit 20.00
        deposit debit 10.00 by refund, now 0.00
        O-1 owes 5.00 for R-2
        O-1 R-2 takes deposit 10.00 + receivable 5.00
        O-1 reversed 100.00, left 0.00
        O-1 owes 5.00 less by cancellation, left 0.00
        deposit credit 30.00 by cancellation, now 30.00
    ",
    )
    .await;
    hb.set("11-04");
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refunds_deposits_and_releases_at_once_end_in_one_balance() {
    let mut hb = Holdback::start_with("at-once", "11-03 12:00", &[("INGEST_WORKERS", "4")]).await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    let orders = |from: usize| (from..from + 40).map(|n| format!("O-{n}"));
    hb.send_all(orders(0).map(|id| order("M-1", &id, "10", "11-03")));
    hb.pass_to("11-10").await;
    hb.send_all(orders(100).map(|id| order("M-1", &id, "3", "11-03")));
    hb.send_all(orders(0).map(|id| refund("M-1", &id, &id, "7", "11-10")));
    hb.send_all(orders(0).map(|id| deposit("M-1", false, &id, "2", "11-10")));
    hb.applied().await;
    hb.due_done().await;
    // 40 × (10 + 3) sold, 40 × 2 paid in, 40 × 7 refunded: 320 are the merchant's. How much of it was
    // released, and how much is owed therefore, depends on which message was read first.
    let paid = "SELECT sum((data::json->>'amount')::numeric)::bigint FROM journal WHERE event = 12";
    let owed = "SELECT sum(left_now)::bigint FROM receivables";
    assert_eq!(hb.number(paid).await - hb.number(owed).await, 320);
    let both = "SELECT count(*) FROM deposits WHERE balance > 0";
    assert_eq!(hb.number(both).await, 0);
    hb.checked_end().await;
}
