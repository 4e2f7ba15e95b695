//! A database that was restored from a backup: what was published since is not known there, and
//! must not be decided and paid again.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::books;
use super::traffic::Traffic;
use crate::harness::process::migrate;
use crate::harness::{Process, TestBed};

const ALL: &str = "ingest,release,publish,http";
const PATIENCE: Duration = Duration::from_secs(60);

/// Copies the database, in which nobody works; the URL of the copy.
async fn back_up(bed: &TestBed) -> String {
    let (server, database) = bed.database_url.rsplit_once('/').expect("a database");
    let copy = format!("{database}_copy");
    let mut connection = PgConnection::connect(&format!("{server}/postgres"))
        .await
        .expect("the server");
    let copying = format!("CREATE DATABASE \"{copy}\" TEMPLATE \"{database}\"");
    connection
        .execute(sqlx::query(AssertSqlSafe(copying)))
        .await
        .expect("a copy");
    format!("{server}/{copy}")
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
