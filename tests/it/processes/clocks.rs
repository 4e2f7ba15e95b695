//! A process whose clock is wrong releases nothing and says so; the others' work is not affected.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::books;
use super::traffic::Traffic;
use crate::harness::process::{holdback, migrate, run_to_end};
use crate::harness::{Process, TestBed, eventually};

const ALL: &str = "ingest,release,publish,http";

/// Sets the time of day of a process ahead, and no other clock: libfaketime also moves the deadlines of
/// librdkafka's waits, but not what they are compared with.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = syscall(SYS_clock_gettime, clock, time);
    if (clock == CLOCK_REALTIME) time->tv_sec += atoi(getenv("SECONDS_AHEAD"));
    return result;
}
"#;

/// The shim as a library to be loaded first.
fn shim() -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let number = std::process::id();
    let source = folder.join(format!("shim-{number}.c"));
    let library = folder.join(format!("shim-{number}.so"));
    std::fs::write(&source, SHIM).expect("a source");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library);
    let done = compiler.arg(&source).status().expect("a C compiler");
    assert!(done.success(), "compiled");
    library.display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_whose_clock_is_wrong_releases_nothing_and_says_so() {
    let bed = TestBed::new("clocks").await;
    migrate(&bed);
    let topics = ["topics", "--partitions", "2", "--replication", "1"];
    let made = run_to_end(holdback(&bed, &topics, &[]));
    assert_eq!(made.code, Some(0), "{}", made.said);
    let shim = shim();
    let wrong = [("LD_PRELOAD", shim.as_str()), ("SECONDS_AHEAD", "45")];
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
