//! The audit itself, audited: whatever is changed behind holdback's back is named.

use crate::harness::Holdback;
use crate::harness::facts::{agreement, order, paid, refund};

const TABLES: [&str; 6] = [
    "journal",
    "holds",
    "receivables",
    "payouts",
    "merchants",
    "controls",
];

/// A change by hand, and the checks that must name it.
const DAMAGES: [(&str, &[&str]); 10] = [
    (
        "UPDATE journal SET amount = amount + 1 WHERE order_id = 'O-1' AND credit = 2",
        &["control", "held", "hold"],
    ),
    (
        "UPDATE controls SET held = held + 1, proceeds = proceeds - 1 WHERE day_on = '2025-11-08'",
        &["control"],
    ),
    (
        "UPDATE controls SET currency = 'JPY' WHERE day_on = '2025-11-08'",
        &["control"],
    ),
    (
        "UPDATE journal SET debit = 4 WHERE order_id = 'O-1' AND debit = 2",
        &["held", "hold"],
    ),
    (
        "UPDATE holds SET original = original - 1, left_now = left_now - 1 WHERE order_id = 'O-2'",
        &["held", "hold"],
    ),
    (
        "UPDATE receivables SET left_now = left_now - 0.01",
        &["receivable"],
    ),
    ("DELETE FROM payouts", &["paid"]),
    (
        "UPDATE journal SET amount = 1 WHERE event = 12",
        &["held", "hold", "payable below zero"],
    ),
    (
        "DELETE FROM journal WHERE sequence = (SELECT max(sequence) FROM journal) AND merchant_id = 'M-1'",
        &["sequence"],
    ),
    (
        "UPDATE journal SET previous = previous + 1 WHERE sequence = 2 AND merchant_id = 'M-1'",
        &["sequence"],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_changed_by_hand_is_named_by_the_audit() {
    let mut hb = Holdback::start("audited", "11-03 12:00").await;
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.pass_to("11-10").await;
    let events = hb.events();
    let mut events = events.iter();
    let release = events.find(|event| event.kind == "release.issued");
    let release = release.expect("a release").field("release_id");
    hb.send(order("M-1", "O-2", "50", "11-09"));
    hb.send(paid("M-1", "release_id", &release, "11-10 01:00"));
    hb.applied().await;
    hb.send(refund("M-1", "O-1", "R-1", "30", "11-10"));
    hb.applied().await;
    hb.summed_up().await;
    hb.stop().await;
    for table in TABLES {
        run(&hb, format!("CREATE TABLE kept_{table} AS TABLE {table}")).await;
    }
    // The database works it out again.
    let generated = "ALTER TABLE kept_holds DROP COLUMN live_calendar";
    run(&hb, generated.to_owned()).await;
    assert_eq!(named(&hb).await, Vec::<String>::new());
    for (damage, expected) in DAMAGES {
        let changed = run(&hb, damage.to_owned()).await;
        assert!(changed > 0, "{damage}: changed nothing");
        assert_eq!(named(&hb).await, expected, "{damage}");
        for table in TABLES {
            run(&hb, format!("TRUNCATE {table}")).await;
            run(
                &hb,
                format!("INSERT INTO {table} SELECT * FROM kept_{table}"),
            )
            .await;
        }
    }
}

async fn run(hb: &Holdback, sql: String) -> u64 {
    let done = sqlx::query(sqlx::AssertSqlSafe(sql))
        .execute(hb.pool())
        .await;
    done.expect("a statement of this test").rows_affected()
}

/// The checks that found something, without the ids.
async fn named(hb: &Holdback) -> Vec<String> {
    let audit = hb.store.audit().await.expect("an audit");
    let checks = audit.differences.into_iter().map(|found| found.check);
    let mut checks: Vec<String> = checks
        .map(|check| match check.split_once(' ') {
            Some((kind @ ("hold" | "control"), _)) => kind.to_owned(),
            _ => check,
        })
        .collect();
    checks.sort_unstable();
    checks.dedup();
    checks
}
