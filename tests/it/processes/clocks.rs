//! A process whose clock is wrong releases nothing and says so; the others' work is not affected.

use std::path::PathBuf;
use std::time::Duration;

use super::books;
use super::traffic::Traffic;
use crate::harness::process::{holdback, migrate, run_to_end};
use crate::harness::{Process, TestBed, environment, eventually};

const ALL: &str = "ingest,release,publish,http";

/// Debian's package `faketime`.
fn library() -> String {
    let known = environment("HOLDBACK_TEST_FAKETIME");
    let found = || {
        let mut folders = std::fs::read_dir("/usr/lib").expect("a folder").flatten();
        let library = folders.find_map(|folder| {
            let library: PathBuf = folder.path().join("faketime/libfaketime.so.1");
            library.is_file().then_some(library)
        });
        let library = library.expect("libfaketime: install the package faketime");
        library.display().to_string()
    };
    known.unwrap_or_else(found)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_whose_clock_is_wrong_releases_nothing_and_says_so() {
    let bed = TestBed::new("clocks").await;
    migrate(&bed);
    let topics = ["topics", "--partitions", "2", "--replication", "1"];
    let made = run_to_end(holdback(&bed, &topics, &[]));
    assert_eq!(made.code, Some(0), "{}", made.said);
    let library = library();
    let wrong = [
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME", "+45s"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    let mut traffic = Traffic::new(&bed, 5, 1);
    let mut process = Process::start(&bed, ALL, &wrong);
    traffic.orders(40);
    process.wait_for("the clocks to be told by /readyz", |process| {
        let answer = process.get("/readyz").unwrap_or_default();
        answer.starts_with("HTTP/1.1 503")
            && answer.contains("the clocks of this process and the database, which disagree by 4")
    });
    // The broker's clock is compared, too, and both are the same.
    eventually("the broker's clock is told", async || {
        let noted: Option<String> = sqlx::query_scalar("SELECT clocks FROM publisher")
            .fetch_one(&mut books::connect(&bed).await)
            .await
            .map_err(|error| error.to_string())?;
        let noted = noted.unwrap_or_default();
        let told = noted.starts_with("the clocks of the broker and the publisher");
        told.then_some(()).ok_or(noted)
    })
    .await;
    let metrics = process.get("/metrics").unwrap_or_default();
    assert!(
        metrics.contains("holdback_alarm{name=\"clocks_disagree\"} 1"),
        "{metrics}"
    );
    eventually("orders are held", async || {
        let held: i64 = sqlx::query_scalar("SELECT count(DISTINCT order_id) FROM holds")
            .fetch_one(&mut books::connect(&bed).await)
            .await
            .map_err(|error| error.to_string())?;
        (held == 40).then_some(()).ok_or_else(|| format!("{held}"))
    })
    .await;
    assert_eq!(bed.read_all("holdback-releases").len(), 0, "no release");
    assert_eq!(process.terminate().0, Some(0));

    let mut process = Process::start(&bed, ALL, &[]);
    books::settled(&bed, Duration::from_secs(60)).await;
    books::are_right(&bed, &traffic).await;
    assert!(!bed.read_all("holdback-releases").is_empty(), "releases");
    assert_eq!(process.terminate().0, Some(0));
}
