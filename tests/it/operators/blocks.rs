//! Blocks that people put up and clear, also those of refused messages.

use holdback::operator::{Answer, Operator, OperatorError, Request};
use holdback::rules::ids::HoldId;
use holdback::rules::order::BlockKind;
use tokio::task::JoinHandle;

use super::{by, hold, merchant, order_id, unblock};
use crate::harness::facts::{agreement, order, refund};
use crate::harness::{Holdback, eventually};

fn block(of: &str, hold: Option<HoldId>, amount: Option<&str>, block: BlockKind) -> Request {
    Request::Block {
        merchant: merchant(of),
        order: order_id("O-1"),
        hold,
        amount: amount.map(str::to_owned),
        block,
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one story, told line by line")]
async fn what_a_person_blocks_stays_until_a_person_clears_it() {
    let mut hb = Holdback::start("byhand", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    // The block of this one is there before the order.
    let early = hb.done(&block("M-3", None, None, BlockKind::Manual)).await;
    for id in ["M-1", "M-2", "M-3"] {
        hb.send(order(id, "O-1", "100", "11-03"));
    }
    hb.applied().await;
    let legal = hb.done(&block("M-1", None, None, BlockKind::Legal)).await;
    let id = Some(hold("M-2", "O-1"));
    let one = hb
        .done(&block("M-2", id, Some("30"), BlockKind::Manual))
        .await;
    let two = hb
        .done(&block("M-2", None, Some("90"), BlockKind::Manual))
        .await;
    for (request, says) in [
        (
            block("M-2", None, Some("0"), BlockKind::Manual),
            "the amount is zero",
        ),
        (
            block("M-2", Some(hold("M-1", "O-1")), None, BlockKind::Manual),
            "has no hold",
        ),
        (
            block("M-9", None, Some("1"), BlockKind::Manual),
            "is not known yet",
        ),
        (unblock("M-2", "O-1", "nothing"), "has no block"),
    ] {
        let why = hb.refused(&request).await;
        assert!(why.contains(says), "{why}");
    }
    hb.pass_to("11-10").await;
    hb.set("11-12 12:00");
    hb.done(&unblock("M-1", "O-1", &legal.operation.to_string()))
        .await;
    hb.done(&unblock("M-2", "O-1", &two.operation.to_string()))
        .await;
    let cleared = unblock("M-1", "O-1", &legal.operation.to_string());
    let again = hb.refused(&cleared).await;
    assert!(again.contains("is cleared already"), "{again}");
    hb.pass_to("11-13").await;
    let (legal, one, two) = (legal.operation, one.operation, two.operation);
    hb.tells(
        "M-1",
        &format!(
            "O-1 sale holds 100.00 until 11-10
             O-1 blocked 100.00 of 100.00 by legal {legal}
             O-1 unblocked 0.00 of 100.00 by legal {legal}
             O-1 moves 100.00 to 11-13: unblocked
             O-1 releases 100.00 due 11-13/1
             closed 11-13/1: 1 with 100.00"
        ),
    )
    .await;
    hb.tells(
        "M-2",
        &format!(
            "O-1 sale holds 100.00 until 11-10
             O-1 blocked 30.00 of 100.00 by manual {one}
             O-1 blocked 100.00 of 100.00 by manual {two}
             O-1 unblocked 30.00 of 100.00 by manual {two}
             O-1 moves 70.00 to 11-13: unblocked
             O-1 releases 70.00 due 11-13/1
             closed 11-13/1: 1 with 70.00"
        ),
    )
    .await;
    let early = early.operation;
    hb.tells(
        "M-3",
        &format!(
            "O-1 sale holds 100.00 until 11-10
             O-1 blocked 100.00 of 100.00 by manual {early}"
        ),
    )
    .await;
    let events = hb.events();
    let said: Vec<String> = events.iter().map(|event| event.data.to_string()).collect();
    assert!(
        said.iter().all(|text| !text.contains("Ann")),
        "an actor is named"
    );
    let blocked = events.iter().filter(|event| event.kind == "hold.blocked");
    for event in blocked {
        let expected = if event.field("block") == "legal" {
            "-"
        } else {
            "because"
        };
        assert_eq!(event.field("reason"), expected);
    }
    let history = hb.store.history(&merchant("M-1"), &order_id("O-1")).await;
    let lines: Vec<String> = history
        .expect("a history")
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(lines[1].contains("by Ann: because"), "{lines:?}");
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_clears_the_block_of_a_refused_message() {
    let mut hb = Holdback::start("cleared", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.send(refund("M-1", "O-1", "R-1", "1.001", "11-03"));
    hb.pass_to("11-10").await;
    let waits = hb.story("M-1").await;
    assert_eq!(waits.len(), 2, "{waits:?}");
    let references: Vec<String> = sqlx::query_scalar("SELECT reference FROM blocks")
        .fetch_all(hb.pool())
        .await
        .expect("blocks");
    hb.done(&unblock("M-1", "O-1", &references[0])).await;
    hb.due_done().await;
    hb.tells(
        "M-1",
        "
        O-1 sale holds 100.00 until 11-10
        O-1 blocked 100.00 of 100.00 by review
        O-1 unblocked 0.00 of 100.00 by review
        O-1 releases 100.00 due 11-10/1
        closed 11-10/1: 1 with 100.00
    ",
    )
    .await;
    hb.checked_end().await;
}

/// Begins to block an order.
fn spawn(operator: &Operator, id: &str) -> JoinHandle<Result<Answer, OperatorError>> {
    let (operator, request) = (operator.clone(), block(id, None, None, BlockKind::Manual));
    tokio::spawn(async move { operator.submit(&request, &by("Ann")).await })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_and_a_release_that_race_never_both_have_the_money() {
    let mut hb = Holdback::start("raced", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    let merchants: Vec<String> = (0..40).map(|n| format!("M-{n}")).collect();
    for id in &merchants {
        hb.send(order(id, "O-1", "100", "11-03"));
    }
    hb.applied().await;
    // Half of the blocks are under way when everything falls due, half come then.
    let operator = hb.operator();
    let mut blocking: Vec<_> = merchants[..20]
        .iter()
        .map(|id| spawn(&operator, id))
        .collect();
    hb.set("11-10");
    blocking.extend(merchants[20..].iter().map(|id| spawn(&operator, id)));
    for done in blocking {
        done.await.expect("no panic").expect("blocked");
    }
    hb.due_done().await;
    let either = hb.number(
        "SELECT count(*) FROM holds WHERE (released = 100 AND left_now = 0 AND blocked = 0)
                                       OR (released = 0 AND left_now = 100 AND blocked = 100)",
    );
    assert_eq!(either.await, 40);
    for id in &merchants {
        let story = hb.story(id).await;
        let blocked = story
            .iter()
            .any(|line| line.contains("blocked 100.00 of 100.00"));
        let released = story.iter().any(|line| line.contains("releases 100.00"));
        assert_ne!(blocked, released, "{story:?}");
    }
    hb.checked_end().await;
}

/// Locks the holds of a merchant.
async fn hold_row(hb: &Holdback, id: &str) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let mut row = hb.pool().begin().await.expect("a transaction");
    sqlx::query("SELECT FROM holds WHERE merchant_id = $1 FOR UPDATE")
        .bind(id)
        .execute(&mut *row)
        .await
        .expect("the row");
    row
}

/// Waits until so many statements of this database wait for a lock.
async fn waiting(hb: &Holdback, expected: i64) {
    eventually("statements wait for a lock", async || {
        let now = hb.number(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'",
        );
        match now.await {
            now if now == expected => Ok(()),
            now => Err(format!("{now} wait")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_block_and_a_release_the_database_lets_the_first_go_first() {
    let mut hb = Holdback::start("ordered", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send(order("M-block", "O-1", "100", "11-03"));
    hb.send(order("M-release", "O-1", "100", "11-04"));
    hb.applied().await;
    // Somebody has the hold's row, so that both must queue for it: first the block is there first.
    let row = hold_row(&hb, "M-block").await;
    let put = spawn(&hb.operator(), "M-block");
    waiting(&hb, 1).await;
    hb.set("11-10");
    waiting(&hb, 2).await;
    row.rollback().await.expect("the row is free");
    put.await.expect("no panic").expect("blocked");
    hb.due_done().await;
    let row = hold_row(&hb, "M-release").await;
    hb.set("11-11");
    waiting(&hb, 1).await;
    let put = spawn(&hb.operator(), "M-release");
    waiting(&hb, 2).await;
    row.rollback().await.expect("the row is free");
    put.await.expect("no panic").expect("blocked");
    hb.due_done().await;
    let first = hb.story("M-block").await;
    assert_eq!(first.len(), 2, "{first:?}");
    assert!(
        first[1].starts_with("O-1 blocked 100.00 of 100.00"),
        "{first:?}"
    );
    hb.tells(
        "M-release",
        "
        O-1 sale holds 100.00 until 11-11
        O-1 releases 100.00 due 11-11/1
        closed 11-11/1: 1 with 100.00
    ",
    )
    .await;
    hb.checked_end().await;
}
