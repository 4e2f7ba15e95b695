//! Corrections that the platform's staff post: what they take, what they give, and that a merchant's
//! money stays one sum whatever else happens.

use serde_json::json;

use crate::harness::Holdback;
use crate::harness::facts::{adjusted, agreement, deposit, order, refund};

#[tokio::test(flavor = "multi_thread")]
async fn a_debit_is_owed_and_a_credit_pays_what_is_owed_first() {
    let mut hb = Holdback::start("adjusted", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.send(deposit("M-1", false, "T-1", "30", "11-03"));
    hb.applied().await;
    let named = json!({ "order_id": "O-1" });
    hb.send(adjusted("M-1", "A-1", "debit", "50", "11-03").with(named));
    hb.applied().await;
    hb.send(adjusted("M-1", "A-2", "credit", "5", "11-03"));
    hb.send(adjusted("M-1", "A-2", "credit", "5.00", "11-03"));
    hb.applied().await;
    hb.send(adjusted("M-1", "A-3", "credit", "40", "11-03"));
    hb.pass_to("11-04").await;
    hb.tells(
        "M-1",
        "
        deposit credit 30.00 by credited, now 30.00
        deposit debit 30.00 by adjustment, now 0.00
        O-1 owes 20.00 for A-1
        O-1 owes 5.00 less by adjustment, left 15.00
        O-1 owes 15.00 less by adjustment, left 0.00
        - gets 25.00 back by adjustment
        - releases 25.00 adjustment -/-
    ",
    )
    .await;
    // Other content under a known id is refused; why and by whom stands in one table only.
    hb.send(adjusted("M-1", "A-2", "debit", "5", "11-03"));
    hb.applied().await;
    assert_eq!(
        hb.number("SELECT count(*) FROM dead_letters WHERE reason = 'conflict'")
            .await,
        1
    );
    let told = "SELECT count(*) FROM journal WHERE data LIKE '%mistake%' OR data LIKE '%lin%'";
    assert_eq!(hb.number(told).await, 0);
    let kept = "SELECT count(*) FROM adjustments WHERE reason = 'a mistake in May'
                AND actor = 'finance-lin'";
    assert_eq!(hb.number(kept).await, 3);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_batch_sees_the_debts_that_it_opens_and_those_that_its_deposits_pay() {
    let mut hb = Holdback::stopped("onebatch", "11-03 12:00", &[]).await;
    // One batch: everything lies there before the first start. Deposits come before adjustments.
    hb.send_all([
        deposit("M-1", true, "T-1", "10", "11-01"),
        adjusted("M-1", "A-1", "debit", "20", "11-02"),
        deposit("M-1", false, "T-2", "4", "11-03"),
        adjusted("M-1", "A-2", "credit", "16", "11-03"),
        adjusted("M-1", "A-3", "debit", "1", "11-01"),
        adjusted("M-1", "A-4", "credit", "5", "11-03"),
    ]);
    hb.run().await;
    hb.applied().await;
    hb.tells(
        "M-1",
        "
        - owes 10.00 for T-1
        deposit credit 4.00 by credited, now 4.00
        - owes 4.00 less by deposit, left 6.00
        deposit debit 4.00 by recovery, now 0.00
        - owes 20.00 for A-1
        - owes 6.00 less by adjustment, left 0.00
        - owes 10.00 less by adjustment, left 10.00
        - owes 1.00 for A-3
        - owes 1.00 less by adjustment, left 0.00
        - owes 4.00 less by adjustment, left 6.00
    ",
    )
    .await;
    let owed = "SELECT sum(left_now)::bigint FROM receivables";
    assert_eq!(hb.number(owed).await, 6);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credit_goes_no_earlier_than_its_own_time() {
    let mut hb = Holdback::start("latercredit", "11-03 12:00").await;
    hb.send(adjusted("M-1", "A-1", "credit", "5", "11-04 06:00"));
    hb.applied().await;
    hb.pass_to("11-04").await;
    assert_eq!(hb.number("SELECT count(*) FROM credits").await, 1);
    hb.pass_to("11-04 06:00").await;
    hb.tells(
        "M-1",
        "
        - gets 5.00 back by adjustment
        - releases 5.00 adjustment -/-
    ",
    )
    .await;
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn adjustments_deposits_refunds_and_releases_at_once_end_in_one_balance() {
    let settings = [("INGEST_WORKERS", "4")];
    let mut hb = Holdback::start_with("adjustedatonce", "11-03 12:00", &settings).await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    let ids = |from: usize| (from..from + 40).map(|n| format!("O-{n}"));
    hb.send_all(ids(0).map(|id| order("M-1", &id, "10", "11-03")));
    hb.pass_to("11-10").await;
    hb.send_all(ids(100).map(|id| order("M-1", &id, "3", "11-03")));
    hb.send_all(ids(0).map(|id| refund("M-1", &id, &id, "7", "11-10")));
    hb.send_all(ids(0).map(|id| deposit("M-1", false, &id, "2", "11-10")));
    hb.send_all(ids(0).map(|id| adjusted("M-1", &id, "debit", "4", "11-10")));
    hb.send_all(ids(100).map(|id| adjusted("M-1", &id, "credit", "1", "11-10")));
    hb.applied().await;
    hb.due_done().await;
    // 40 × (10 + 3) sold, 40 × (2 + 1) given, 40 × (7 + 4) taken: 200 are the merchant's, whatever
    // came first.
    let paid = "SELECT sum((data::json->>'amount')::numeric)::bigint FROM journal WHERE event = 12";
    let owed = "SELECT sum(left_now)::bigint FROM receivables";
    let kept = "SELECT coalesce(sum(balance), 0)::bigint FROM deposits";
    let (paid, owed, kept) = (
        hb.number(paid).await,
        hb.number(owed).await,
        hb.number(kept).await,
    );
    assert_eq!(paid + kept - owed, 200);
    hb.checked_end().await;
}
