//! The command as a shell sees it: message on standard output, everything else beside it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/calendar_import")
        .join(name)
}

fn run(file: &PathBuf, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_holdback"))
        .args(["calendar", "import", "--calendar", "CN", "--version", "3"])
        .args(["--from", "2026-01-01", "--until", "2026-12-31"])
        .args(more)
        .arg(file)
        .env_clear()
        .output()
        .expect("the binary runs")
}

#[test]
fn the_message_is_all_that_goes_to_standard_output() {
    let output = run(&file("china-2026.ics"), &["--working-when", "班"]);
    let (out, beside) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{beside}");
    assert_eq!(out.lines().count(), 1);
    let event: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(event["type"], "calendar.published.v1");
    assert_eq!(event["data"]["version"], 3);
    assert_eq!(event["data"]["working_days"][1], "2026-02-14");
    assert_eq!(
        beside,
        "33 holidays, 14 of them on weekends; 6 working days\n"
    );
}

#[test]
fn faults_are_told_in_lines_and_nothing_is_printed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("holidays.csv");
    fs::write(&path, "soon,holiday\n".repeat(60)).expect("a file");
    let output = run(&path, &[]);
    let (out, beside) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1));
    assert!(out.is_empty(), "{out}");
    assert!(beside.contains("holidays.csv is refused:\nline 1: `soon` is no date"));
    assert!(beside.ends_with("and 10 more\n"), "{beside}");
    fs::write(&path, "2026-05-01,holiday\n".repeat(200_000)).expect("a file");
    let beside = text(&run(&path, &[]).stderr);
    assert!(
        beside.ends_with("over 2 MiB: that is no file of holidays\n"),
        "{beside}"
    );
}

#[test]
fn sending_needs_settings_and_a_wrong_option_is_a_wrong_command_line() {
    let output = run(&file("china-2026.csv"), &["--produce"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    assert!(text(&output.stderr).contains("brokers"));
    let output = run(&file("china-2026.csv"), &["--weekend", "sat,domingo"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("domingo"));
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}
