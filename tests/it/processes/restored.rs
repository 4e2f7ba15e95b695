//! A database that was restored from a backup: what was published since is not known there, and
//! must not be decided and paid again.

use std::time::{Duration, Instant};

use super::books;
use super::traffic::Traffic;
use crate::harness::backup::{back_up, restore};
use crate::harness::process::{Ended, holdback, migrate, run_to_end};
use crate::harness::{Process, TestBed};

const ALL: &str = "ingest,release,publish,http";
const PATIENCE: Duration = Duration::from_secs(60);

fn reconcile(bed: &TestBed, arguments: &[&str]) -> Ended {
    run_to_end(holdback(bed, &[&["reconcile"], arguments].concat(), &[]))
}

const IMPORT: [&str; 5] = ["--import", "--actor", "Ann", "--reason", "restored"];

/// Waits until every published event is decided again.
async fn decided_again(bed: &TestBed) {
    let until = Instant::now() + PATIENCE;
    let mut connection = books::connect(bed).await;
    loop {
        let left: i64 =
            sqlx::query_scalar("SELECT count(*) FROM published_elsewhere WHERE NOT taken")
                .fetch_one(&mut connection)
                .await
                .expect("a count");
        if left == 0 {
            return;
        }
        let state = reconcile(bed, &[]).said;
        assert!(Instant::now() < until, "{left} are left: {state}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn count(bed: &TestBed) -> usize {
    bed.read_all("holdback-releases").len() + bed.read_all("holdback-events").len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_database_publishes_nothing_and_says_why() {
    let bed = TestBed::new("restored").await;
    migrate(&bed);
    let mut traffic = Traffic::new(&bed, 7, 2);
    let mut process = Process::start(&bed, ALL, &[]);
    traffic.orders(100);
    books::settled(&bed, PATIENCE).await;
    assert_eq!(process.terminate().0, Some(0));
    let backup = back_up(&bed).await;

    let mut process = Process::start(&bed, ALL, &[]);
    traffic.orders(100);
    books::settled(&bed, PATIENCE).await;
    books::are_right(&bed, &traffic).await;
    assert_eq!(process.terminate().0, Some(0));
    let published = count(&bed);
    traffic.orders(50);

    let restored = [("HOLDBACK_DATABASE_URL", backup.as_str())];
    for _ in 0..2 {
        let mut process = Process::start(&bed, ALL, &restored);
        process.wait_for("a fault to be told by /readyz", |process| {
            let answer = process.get("/readyz").unwrap_or_default();
            answer.starts_with("HTTP/1.1 503") && answer.contains("went back in time")
        });
        assert_eq!(
            process.logged("publishing").len(),
            0,
            "a turn at publishing"
        );
        assert_eq!(process.terminate().0, Some(0));
        assert_eq!(count(&bed), published, "nothing more was published");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_published_after_the_backup_is_taken_over_and_nothing_is_released_twice() {
    let bed = TestBed::new("reconciled").await;
    migrate(&bed);
    let mut traffic = Traffic::new(&bed, 11, 2);
    let mut process = Process::start(&bed, ALL, &[]);
    traffic.orders(150);
    books::settled(&bed, PATIENCE).await;
    assert_eq!(process.terminate().0, Some(0));
    let backup = back_up(&bed).await;

    let mut process = Process::start(&bed, ALL, &[]);
    for _ in 0..3 {
        traffic.orders(50);
        traffic.again(5);
        books::settled(&bed, PATIENCE).await;
    }
    assert_eq!(process.terminate().0, Some(0));
    let published = count(&bed);
    restore(&bed, &backup).await;

    let told = reconcile(&bed, &[]);
    assert_eq!(told.code, Some(1), "{}", told.said);
    let says = "events are in the topics and not in the database";
    assert!(told.said.contains(says), "{}", told.said);
    assert!(told.said.contains(" EUR"), "{}", told.said);

    let mut process = Process::start(&bed, ALL, &[]);
    process.wait_for("a fault to be told by /readyz", |process| {
        let answer = process.get("/readyz").unwrap_or_default();
        answer.starts_with("HTTP/1.1 503") && answer.contains("went back in time")
    });
    let lines: i64 = sqlx::query_scalar("SELECT count(*) FROM journal")
        .fetch_one(&mut books::connect(&bed).await)
        .await
        .expect("a count");
    traffic.orders(20);
    // It goes on by itself: nothing was written that stands in the way.
    let done = reconcile(&bed, &IMPORT);
    assert_eq!(done.code, Some(0), "{}", done.said);
    let says = format!(
        "{} events imported",
        published - usize::try_from(lines).unwrap()
    );
    assert!(done.said.contains(&says), "{says}: {}", done.said);

    decided_again(&bed).await;
    traffic.orders(50);
    books::settled(&bed, PATIENCE).await;
    books::are_right(&bed, &traffic).await;
    let told = reconcile(&bed, &[]);
    assert_eq!(told.code, Some(0), "{}", told.said);
    assert!(count(&bed) > published, "it went on");
    assert_eq!(process.terminate().0, Some(0));
}
