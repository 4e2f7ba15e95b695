//! What takes two persons: kept until another approves it, carried out once.

use holdback::operator::Request;
use holdback::rules::order::BlockKind;

use super::{early, merchant, order_id, unblock, why};
use crate::harness::Holdback;
use crate::harness::facts::{agreement, order};

const ABOVE: [(&str, &str); 1] = [("APPROVAL_ABOVE_EUR", "50.00")];

/// Orders of 100 EUR, and of 100 USD of which one person may let go all.
async fn start(name: &str) -> Holdback {
    let hb = Holdback::start_with(name, "11-03 12:00", &ABOVE).await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    for id in ["M-1", "M-2"] {
        hb.send(order(id, "O-1", "100", "11-03"));
    }
    let dollars = serde_json::json!({ "currency": "USD" });
    hb.send(order("M-3", "O-1", "100", "11-03").with(dollars));
    hb.applied().await;
    hb
}

async fn released(hb: &Holdback) -> i64 {
    hb.number("SELECT count(*) FROM journal WHERE event = 12")
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_one_person_may_let_go_waits_for_another() {
    let hb = start("twopersons").await;
    let asked = hb.done(&early("M-1", "O-1", Some("50.01"))).await;
    assert!(asked.proposed);
    assert!(!hb.done(&early("M-3", "O-1", None)).await.proposed);
    assert_eq!(released(&hb).await, 1, "the dollars alone are gone");
    let waiting = hb.store.proposals().await.expect("proposals");
    assert_eq!(waiting.len(), 1);
    let text = waiting[0].to_string();
    assert!(
        text.contains("release 50.01 EUR of order O-1 of merchant M-1"),
        "{text}"
    );
    let operator = hb.operator();
    let same = why(operator.approve(asked.operation, " ann ").await);
    assert!(same.contains("another must approve it"), "{same}");
    // Two at once: one of them has it.
    let (bob, eve) = tokio::join!(
        operator.approve(asked.operation, "Bob"),
        operator.approve(asked.operation, "Eve"),
    );
    let (done, late) = if bob.is_ok() { (bob, eve) } else { (eve, bob) };
    assert_eq!(
        done.expect("approved").says,
        "50.01 EUR of the hold are released"
    );
    let late = why(late);
    assert!(late.ends_with("has approved this already"), "{late}");
    assert_eq!(released(&hb).await, 2);
    hb.tells(
        "M-1",
        "
        O-1 sale holds 100.00 until 11-10
        O-1 releases 50.01 early -/-
    ",
    )
    .await;
    assert!(hb.store.proposals().await.expect("proposals").is_empty());
    let both = hb.number(
        "SELECT count(*) FROM operations asked JOIN operations a ON a.approves = asked.operation_id
         JOIN journal j ON j.operation_id = asked.operation_id
         WHERE asked.actor = 'Ann' AND a.actor IN ('Bob', 'Eve') AND a.reason = 'because'",
    );
    assert_eq!(both.await, 1);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_one_person_lets_go_are_taken_together() {
    let hb = start("parts2").await;
    assert!(!hb.done(&early("M-1", "O-1", Some("30"))).await.proposed);
    assert!(!hb.done(&early("M-1", "O-1", Some("20"))).await.proposed);
    assert!(hb.done(&early("M-1", "O-1", Some("0.01"))).await.proposed);
    assert!(!hb.done(&early("M-2", "O-1", Some("50"))).await.proposed);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_by_what_stands_then_and_within_seven_days() {
    let hb = start("laterapproval").await;
    let put = Request::Block {
        merchant: merchant("M-1"),
        order: order_id("O-1"),
        hold: None,
        amount: None,
        block: BlockKind::Manual,
    };
    let operator = hb.operator();
    let block = hb.done(&put).await;
    assert!(!block.proposed, "keeping money takes one");
    let reference = block.operation.to_string();
    let clearing = hb.done(&unblock("M-1", "O-1", &reference)).await;
    assert!(clearing.proposed);
    let asked = hb.done(&early("M-2", "O-1", None)).await;
    let too_late = hb.done(&early("M-2", "O-1", Some("60"))).await;
    // Meanwhile another block keeps that money.
    let other = Request::Block {
        merchant: merchant("M-2"),
        order: order_id("O-1"),
        hold: None,
        amount: Some("1".to_owned()),
        block: BlockKind::Legal,
    };
    hb.done(&other).await;
    let given = operator.approve(asked.operation, "Bob").await;
    assert_eq!(
        given.expect("what is free").says,
        "99.00 EUR of the hold are released"
    );
    // What can't be done as things stand stays open, and its approval is not kept.
    let failed = why(operator.approve(too_late.operation, "Bob").await);
    assert_eq!(failed, "only 0.00 may go: 1.00 of 1.00 is blocked");
    let open = hb.store.proposals().await.expect("proposals");
    assert!(open.iter().any(|it| it.id == too_late.operation));
    sqlx::query("UPDATE operations SET done_at = done_at - interval '8 days' WHERE needs_approval")
        .execute(hb.pool())
        .await
        .expect("time passes");
    let old = why(operator.approve(clearing.operation, "Bob").await);
    assert_eq!(old, "this is older than 7 days: ask for it again");
    assert!(hb.store.proposals().await.expect("proposals").is_empty());
    let again = hb.done(&unblock("M-1", "O-1", &reference)).await;
    operator
        .approve(again.operation, "Bob")
        .await
        .expect("approved");
    let unknown = why(operator.approve(block.operation, "Bob").await);
    assert!(
        unknown.starts_with("nothing waits for approval"),
        "{unknown}"
    );
    hb.checked_end().await;
}
