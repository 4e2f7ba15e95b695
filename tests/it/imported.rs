//! What an earlier system still holds, has in deposit and is owed is taken over, whole or not at all,
//! and lives on as if it had begun here.

use std::sync::Arc;

use holdback::import::{ImportError, Imported, read, take_over};
use holdback::operator::By;
use serde_json::json;

use crate::harness::Holdback;
use crate::harness::facts::{agreement, order, refund};
use crate::harness::process::{holdback, run_to_end};

const EXAMPLE: &str = include_str!("../../schemas/examples/import.jsonl");

async fn import(hb: &Holdback, file: &str, dry_run: bool) -> Result<Imported, Vec<String>> {
    let lines = read(file.as_bytes()).expect("well-formed lines");
    let by = By::new("Ann", "moving house").expect("a name");
    let config = Arc::new(hb.config());
    match take_over(&hb.store, &config, &lines, &by, dry_run).await {
        Ok(done) => Ok(done),
        Err(ImportError::Faults(faults)) => {
            let told = faults.iter().map(|it| format!("{} {}", it.line, it.what));
            Err(told.collect())
        }
        Err(error) => panic!("{error}"),
    }
}

async fn with_agreement(name: &str) -> Holdback {
    let hb = Holdback::start(name, "11-04 12:00").await;
    let terms = json!({ "terms": [
        { "name": "sale", "rate_bps": 9000, "days": 7, "count": "date" },
        { "name": "reserve", "rate_bps": 1000, "days": 30, "count": "date" },
    ] });
    hb.send(agreement("*", "AG-1").with(terms));
    hb.applied().await;
    hb
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_over_is_released_refunded_and_recovered_like_its_own() {
    let mut hb = with_agreement("imported").await;
    let lines = hb.number("SELECT count(*) FROM journal").await;
    let tried = import(&hb, EXAMPLE, true).await.expect("no faults");
    assert_eq!((tried.orders, tried.operation), (2, None));
    assert_eq!(hb.number("SELECT count(*) FROM journal").await, lines);
    let done = import(&hb, EXAMPLE, false).await.expect("no faults");
    assert_eq!((done.orders, done.deposits, done.receivables), (2, 1, 1));
    assert!(done.operation.is_some());
    let again = import(&hb, EXAMPLE, false).await.expect("no faults");
    assert_eq!((again.known, again.orders, again.operation), (4, 0, None));
    // Its own event comes too, and is known.
    let same = order("M-1", "O-1", "100", "11-01").with(json!({ "fees": "1.00" }));
    hb.send(same);
    hb.applied().await;
    assert_eq!(hb.reasons().await, [""; 0]);
    hb.pass_to("11-08").await;
    hb.send(refund("M-1", "O-1", "R-1", "30", "11-08"));
    hb.applied().await;
    hb.tells(
        "M-1",
        "
        O-1 sale holds 60.00 until 11-08
        O-1 reserve holds 10.00 until 12-01
        O-1 moves 10.00 to 12-20: extended
        deposit credit 500.00 by credited, now 500.00
        - owes 50.00 for D-9
        O-1 releases 10.00 of 60.00 due 11-08/1
        - owes 50.00 less by release, left 0.00
        closed 11-08/1: 1 with 10.00 of 60.00
        O-1 gives 10.00 to R-1, left 0.00
        deposit debit 20.00 by refund, now 480.00
        O-1 R-1 takes hold 10.00 + deposit 20.00
    ",
    )
    .await;
    let yen = hb.story("M-2").await;
    assert_eq!(yen, ["O-1 reserve holds 500 until 12-02"]);
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_a_fault_changes_nothing_and_every_fault_is_told() {
    let hb = with_agreement("importfaults").await;
    hb.send(order("M-1", "O-2", "100", "11-01"));
    hb.send(refund("M-1", "O-3", "R-1", "30", "11-02"));
    hb.applied().await;
    import(&hb, EXAMPLE, false).await.expect("no faults");
    let lines = hb.number("SELECT count(*) FROM journal").await;
    let made = |id: &str, completed: &str, holds: serde_json::Value| {
        json!({ "kind": "order", "merchant_id": "M-1", "order_id": id, "amount": "100.00",
                "currency": "EUR", "completed_at": completed, "holds": holds })
        .to_string()
    };
    let sale = || json!([{ "term": "sale", "left": "60.00" }]);
    let file = [
        made("O-9", "2025-11-01T00:00:00Z", sale()),
        made("O-2", "2025-11-01T00:00:00Z", sale()),
        made("O-3", "2025-11-01T00:00:00Z", sale()),
        made("O-4", "2024-11-01T00:00:00Z", sale()),
        made(
            "O-5",
            "2025-11-01T00:00:00Z",
            json!([
                { "term": "sale", "left": "60.00" }, { "term": "other", "left": "1.00" },
                { "term": "reserve", "left": "50.00" },
            ]),
        ),
        EXAMPLE
            .lines()
            .nth(2)
            .expect("a deposit")
            .replace("500.00", "600.00"),
    ];
    let faults = import(&hb, &file.join("\n"), false)
        .await
        .expect_err("faults");
    assert_eq!(
        faults,
        [
            "2 /order_id: is known already, from its own event",
            "3 /order_id: messages about it have come already and wait for its own event",
            "4 /completed_at: no agreement is in force then",
            "5 /holds/1/term: agreement AG-1 version 1 has no term other",
            "5 /holds/2/left: the holds are more than amount less fees",
            "6 : was imported before with other content",
        ]
    );
    assert_eq!(hb.number("SELECT count(*) FROM journal").await, lines);
    let path = format!(
        "{}/import-{}.jsonl",
        env!("CARGO_TARGET_TMPDIR"),
        hb.bed.name
    );
    std::fs::write(&path, file.join("\n")).expect("a file");
    let words = [
        "import",
        &path,
        "--actor",
        "Ann",
        "--reason",
        "moving house",
    ];
    let ended = run_to_end(holdback(&hb.bed, &words, &[]));
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    assert!(
        ended.said.contains("line 4: /completed_at: no agreement"),
        "{}",
        ended.said
    );
    std::fs::write(&path, &file[0]).expect("a file");
    let ended = run_to_end(holdback(
        &hb.bed,
        &[&words[..], &["--dry-run"]].concat(),
        &[],
    ));
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert!(
        ended
            .said
            .contains("1 orders, 0 deposits, 0 receivables would be imported"),
        "{}",
        ended.said
    );
    hb.checked_end().await;
}
