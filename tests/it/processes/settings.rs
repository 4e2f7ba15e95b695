//! What is wrong is said in one sentence that tells what to do, with an exit code that is not 0.

use std::time::Duration;

use sqlx::Executor;

use super::books;
use crate::harness::TestBed;
use crate::harness::process::{Ended, holdback, migrate, run_to_end};

/// Runs the service, which must end by itself with one line that says all of this.
fn refused(bed: &TestBed, more: &[(&str, &str)], code: i32, words: &[&str]) {
    let ended = run_to_end(holdback(bed, &["run"], more));
    let Ended { said, took, .. } = &ended;
    assert_eq!(ended.code, Some(code), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is missing in: {said}");
    }
    let sentence: Vec<&str> = said
        .lines()
        .skip_while(|line| !line.starts_with("holdback: "))
        .collect();
    let lines = if code == 2 { 2 } else { 1 };
    assert_eq!(sentence.len(), lines, "one sentence: {said}");
    assert!(*took < Duration::from_secs(30), "took {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_can_not_work_is_refused_with_what_to_do() {
    let bed = TestBed::new("refused").await;
    let nowhere = "127.0.0.1:9";
    let no_database = format!("postgres://nobody@{nowhere}/nothing");
    refused(&bed, &[], 1, &["no tables", "`holdback migrate`"]);
    migrate(&bed);
    refused(
        &bed,
        &[("HOLDBACK_DATABASE_URL", &no_database)],
        1,
        &["is Postgres running", "database.url"],
    );
    refused(
        &bed,
        &[("HOLDBACK_KAFKA_BROKERS", nowhere)],
        1,
        &["is Kafka running at 127.0.0.1:9", "kafka.brokers"],
    );
    refused(
        &bed,
        &[("HOLDBACK_TOPICS_REFUND", "no-such-topic")],
        1,
        &["no-such-topic", "missing", "`holdback topics`"],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_setting_that_is_missing_or_wrong_is_named() {
    let bed = TestBed::new("wrong").await;
    migrate(&bed);
    refused(
        &bed,
        &[("HOLDBACK_DATABASE_URL", "no url at all")],
        2,
        &["database.url"],
    );
    refused(
        &bed,
        &[("HOLDBACK_INGEST_START", "")],
        1,
        &["first start", "ingest.start"],
    );
    refused(
        &bed,
        &[("HOLDBACK_RELEASE_NOT_BEFORE", "")],
        1,
        &["first start", "release.not_before"],
    );
    refused(
        &bed,
        &[("HOLDBACK_HTTP_ADDR", &bed.brokers)],
        1,
        &["can't listen on", &bed.brokers],
    );
    refused(
        &bed,
        &[("HOLDBACK_INGEST_WORKERS", "many")],
        2,
        &["HOLDBACK_INGEST_WORKERS", "whole number"],
    );
    refused(
        &bed,
        &[("HOLDBACK_INGEST_WORKER", "1")],
        2,
        &[
            "HOLDBACK_INGEST_WORKER is not a setting",
            "HOLDBACK_INGEST_WORKERS",
        ],
    );
    refused(
        &bed,
        &[("HOLDBACK_KAFKA_PROPERTY_ACKS", "0")],
        2,
        &["HOLDBACK_KAFKA_PROPERTY_ACKS", "once"],
    );
    refused(
        &bed,
        &[
            ("HOLDBACK_RELEASE_MODE", "shadow"),
            ("HOLDBACK_RELEASE_LIVE_FROM", "2026-12-01"),
        ],
        1,
        &["release.live_from", "release.mode", "live"],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_version_of_the_schema_is_refused_with_what_to_do() {
    let bed = TestBed::new("schema").await;
    migrate(&bed);
    let mut connection = books::connect(&bed).await;
    connection
        .execute("UPDATE _sqlx_migrations SET version = version + 1000")
        .await
        .expect("a newer schema");
    let newest = ::holdback::store::MIGRATOR
        .iter()
        .map(|step| step.version)
        .max();
    let newest = (newest.expect("steps") + 1000).to_string();
    refused(&bed, &[], 1, &[&newest, "newer holdback"]);
    connection
        .execute(
            "DELETE FROM _sqlx_migrations WHERE version > 1001;
             UPDATE _sqlx_migrations SET version = 0",
        )
        .await
        .expect("an older schema");
    refused(&bed, &[], 1, &["version 0", "`holdback migrate`"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_tells_all_that_is_wrong_and_topics_makes_what_is_missing() {
    let bed = TestBed::new("check").await;
    let made = format!("{}.made", bed.name);
    let more = [("HOLDBACK_TOPICS_REFUND", made.as_str())];
    let ended = run_to_end(holdback(&bed, &["check"], &more));
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    for word in [
        "`holdback migrate`",
        made.as_str(),
        "2 of the checks failed",
    ] {
        assert!(ended.said.contains(word), "{word:?}: {}", ended.said);
    }
    migrate(&bed);
    let arguments = ["topics", "--partitions", "3", "--replication", "1"];
    let ended = run_to_end(holdback(&bed, &arguments, &more));
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert!(
        ended
            .said
            .contains(&format!("{made}: created with 3 partitions")),
        "{}",
        ended.said
    );
    let ended = run_to_end(holdback(&bed, &["check"], &more));
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let ended = run_to_end(holdback(&bed, &arguments, &more));
    assert_eq!(ended.code, Some(0), "a second time: {}", ended.said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_another_deployment_is_refused() {
    let bed = TestBed::new("foreign").await;
    migrate(&bed);
    let mut process = crate::harness::Process::start(&bed, "ingest,release,publish,http", &[]);
    process.ready();
    assert_eq!(process.terminate().0, Some(0));
    refused(
        &bed,
        &[("HOLDBACK_NAME", "another")],
        1,
        &["belongs to the deployment", &bed.name, "another"],
    );
}
