//! The bench, on a small load: that it measures what it says, and refuses what it must not load.

use serde_json::Value;

use crate::harness::TestBed;
use crate::harness::process::{holdback, run_to_end};

/// The phases of one subject.
fn phases<'a>(report: &'a Value, subject: &str) -> Vec<&'a Value> {
    let runs = report["runs"].as_array().expect("runs");
    let runs = runs.iter().filter(|run| run["subject"] == subject);
    runs.flat_map(|run| run["phases"].as_array().expect("phases"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bench_measures_holdback_and_its_rivals_in_the_same_repeat() {
    let bed = TestBed::new("measured").await;
    let rival = std::env::temp_dir().join(format!("{}-rival", bed.name));
    let figures = r#"{"subject":"kafka-streams","phases":[{"phase":"ingest","events":1,"read_back_per_second":1}]}"#;
    std::fs::write(&rival, format!("#!/bin/sh\necho '{figures}'\n")).expect("written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&rival, mode).expect("can be started");
    let arguments = [
        "bench",
        "--orders",
        "1000",
        "--merchants",
        "50",
        "--json",
        "--beside",
    ];
    let mut command = holdback(&bed, &arguments, &[]);
    command.arg(&rival).stderr(std::process::Stdio::null());
    let ended = tokio::task::spawn_blocking(move || command.output()).await;
    let output = ended.expect("no panic").expect("started");
    std::fs::remove_file(&rival).expect("removed");
    assert!(output.status.success(), "{}", output.status);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");

    let settings = report["settings"]["postgres"].as_str().expect("settings");
    assert!(settings.contains("fsync on"), "{settings}");
    let names = |subject| -> Vec<&str> {
        let phases = phases(&report, subject).into_iter();
        phases.filter_map(|phase| phase["phase"].as_str()).collect()
    };
    assert_eq!(
        names("holdback"),
        [
            "mixed",
            "mixed at half",
            "ingest",
            "ingest at half",
            "release"
        ]
    );
    assert_eq!(names("floor"), ["ingest", "release"]);
    assert_eq!(names("naive"), ["ingest", "release"]);
    for phase in phases(&report, "holdback") {
        assert!(phase["resident_max_kib"].as_i64() > Some(0), "{phase}");
        let latency = phase["latency_us"]["p99"].as_i64();
        assert_eq!(latency.is_some(), phase["phase"] != "release", "{phase}");
    }
    for phase in phases(&report, "floor") {
        assert!(phase["wal_bytes_per_event"].as_i64() > Some(50), "{phase}");
        assert!(phase["committed_per_second"].as_i64() > Some(0), "{phase}");
    }
    let ratios = report["ratios"].as_array().expect("ratios");
    let compared: Vec<&str> = ratios
        .iter()
        .filter_map(|ratio| ratio["what"].as_str())
        .collect();
    for what in [
        "holdback ingest / kafka-streams ingest",
        "holdback ingest / naive ingest",
        "holdback release / floor release",
        "holdback mixed / holdback ingest",
    ] {
        assert!(compared.contains(&what), "{what} is missing: {compared:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bench_loads_nothing_but_this_machine() {
    let bed = TestBed::new("loopback").await;
    for (key, value) in [
        (
            "HOLDBACK_KAFKA_BROKERS",
            "127.0.0.1:9092,kafka.example:9092",
        ),
        (
            "HOLDBACK_DATABASE_URL",
            "postgres://u@db.example/x?sslmode=disable",
        ),
    ] {
        let ended = run_to_end(holdback(&bed, &["bench"], &[(key, value)]));
        assert_eq!(ended.code, Some(1), "{}", ended.said);
        assert!(ended.said.contains("loopback"), "{}", ended.said);
    }
}
