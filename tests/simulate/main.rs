//! `holdback simulate` as it is typed: events in, output events, summaries and differences out.
//!
//! The expected outputs lie beside their inputs; `tests/it` shows that the service says the same.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use serde_json::Value;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/simulate")
        .join(name)
}

fn expected(name: &str) -> String {
    std::fs::read_to_string(fixture(name)).expect("a fixture")
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_holdback"))
        .arg("simulate")
        .args(arguments)
        .current_dir(fixture(""))
        .output()
        .expect("the binary runs")
}

/// Runs what must end well; answers what it said.
fn said(arguments: &[&str]) -> String {
    let output = run(arguments);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complained}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn events(said: &str) -> Vec<Value> {
    let lines = said.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// Compares line by line, so that a difference can be read.
fn same(said: &str, name: &str) {
    let expected = expected(name);
    for (number, (said, expected)) in (1..).zip(said.lines().zip(expected.lines())) {
        assert_eq!(said, expected, "line {number} of {name}");
    }
    assert_eq!(said.lines().count(), expected.lines().count(), "{name}");
}

const STORY: [&str; 4] = ["--events", "story.jsonl", "--until", "2025-12-05T00:00:00Z"];

#[test]
fn a_story_gives_the_events_that_are_written_beside_it() {
    same(&said(&STORY), "story.events.jsonl");
}

#[test]
fn every_line_is_an_event_numbered_as_in_the_topics() {
    let mut last: std::collections::HashMap<(String, bool), i64> = Default::default();
    let mut sequences: std::collections::HashMap<String, i64> = Default::default();
    for event in events(&said(&STORY)) {
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["source"], "/holdback/holdback");
        let data = &event["data"];
        let kind = event["type"].as_str().expect("a type");
        let merchant = data["merchant_id"].as_str().expect("a merchant").to_owned();
        let sequence = data["sequence"].as_i64().expect("a number");
        let next = sequences.entry(merchant.clone()).or_default();
        *next += 1;
        assert_eq!(sequence, *next, "{event}");
        assert_eq!(event["sequence"], sequence.to_string());
        assert_eq!(event["time"], data["occurred_at"]);
        let of_releases = ["release.issued", "settlement.closed"]
            .iter()
            .any(|name| kind.contains(name));
        let previous = last.entry((merchant, of_releases)).or_default();
        assert_eq!(data["previous"].as_i64(), Some(*previous), "{event}");
        *previous = sequence;
    }
    assert!(!sequences.is_empty());
}

#[test]
fn a_summary_says_where_the_money_is_and_what_goes_next() {
    let mut arguments = STORY.to_vec();
    arguments[3] = "2025-11-14T00:00:00Z";
    arguments.push("--summary");
    same(&said(&arguments), "story.summary.txt");
}

#[test]
fn against_says_what_other_agreements_would_change() {
    let mut arguments = STORY.to_vec();
    arguments.extend(["--against", "longer.json"]);
    same(&said(&arguments), "story.against.txt");
    // The same agreement changes nothing.
    let unchanged = fixture("same.json");
    arguments[5] = unchanged.to_str().expect("UTF-8");
    let said = said(&arguments);
    let changes = said.lines().filter(|line| !line.contains(" released: "));
    for line in changes {
        assert!(line.ends_with(", as before"), "{said}");
    }
}

#[test]
fn agreements_may_come_from_a_file_of_their_own() {
    let all = expected("story.jsonl");
    let (agreement, rest) = all.split_once('\n').expect("lines");
    let place = tempfile::tempdir().expect("a directory");
    let [agreements, events] = ["a.json", "e.jsonl"].map(|name| place.path().join(name));
    let value: Value = serde_json::from_str(agreement).expect("JSON");
    // In a list and plain, as a person would write it.
    let list = serde_json::json!([value["data"]]);
    std::fs::write(&agreements, format!("{list:#}")).expect("written");
    std::fs::write(&events, rest).expect("written");
    let [agreements, events] = [&agreements, &events].map(|path| path.to_str().expect("UTF-8"));
    let until = STORY[3];
    let arguments = [
        "--events",
        events,
        "--agreements",
        agreements,
        "--until",
        until,
    ];
    same(&said(&arguments), "story.events.jsonl");
}

#[test]
fn what_is_refused_is_said_by_line_and_keeps_the_order_back() {
    let output = run(&[
        "--events",
        "refused.jsonl",
        "--until",
        "2025-12-05T00:00:00Z",
    ]);
    assert!(output.status.success(), "only --strict makes it a failure");
    let complained = String::from_utf8(output.stderr).expect("UTF-8");
    same(&complained, "refused.complaints.txt");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let events = events(&said);
    let about = |order: &str, kind: &str| {
        let mut events = events.iter();
        let kind = format!("holdback.{kind}.v1");
        events.any(|event| event["data"]["order_id"] == order && event["type"] == kind)
    };
    assert!(about("O-1", "hold.blocked") && about("O-2", "hold.blocked"));
    assert!(!about("O-1", "release.issued") && !about("O-2", "release.issued"));
    let strict = run(&["--events", "refused.jsonl", "--strict"]);
    assert_eq!(strict.status.code(), Some(1));
    let strict = run(&["--events", "story.jsonl", "--strict"]);
    assert_eq!(strict.status.code(), Some(0));
}

#[test]
fn a_file_of_agreements_with_a_fault_is_refused_whole() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("bad.json");
    std::fs::write(&file, r#"[{"agreement_id":"AG-1"}]"#).expect("written");
    let file = file.to_str().expect("UTF-8");
    let output = run(&["--events", "story.jsonl", "--agreements", file]);
    assert_eq!(output.status.code(), Some(1));
    let complained = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(
        complained.contains("agreement 1: schema: /"),
        "{complained}"
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn standard_input_is_read_as_it_comes() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_holdback"))
        .args(["simulate", "--events", "-", "--until", STORY[3]])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut input = child.stdin.take().expect("piped");
    let story = expected("story.jsonl");
    input.write_all(story.as_bytes()).expect("written");
    drop(input);
    let output = child.wait_with_output().expect("an end");
    same(
        &String::from_utf8(output.stdout).expect("UTF-8"),
        "story.events.jsonl",
    );
}

#[test]
fn finished_orders_are_forgotten_after_their_time() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("e.jsonl");
    let agreement = expected("story.jsonl")
        .lines()
        .next()
        .expect("one")
        .to_owned();
    let order = |id: &str, at: &str| {
        format!(
            r#"{{"order_id":"{id}","merchant_id":"M-1","amount":"10","currency":"EUR","completed_at":"{at}T00:00:00Z"}}"#
        )
    };
    let lines = [
        agreement,
        order("O-1", "2025-01-01"),
        order("O-2", "2025-06-01"),
        // The same again: by then forgotten, or known.
        order("O-1", "2025-01-01"),
    ];
    std::fs::write(&file, lines.join("\n")).expect("written");
    let file = file.to_str().expect("UTF-8");
    let created = |days: &str| {
        let said = said(&["--events", file, "--forget-after-days", days]);
        said.matches("hold.created").count()
    };
    assert_eq!((created("30"), created("300")), (6, 4));
}

/// Run by hand on a release build: `cargo test --release --test simulate -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, for a release build on a quiet machine"]
fn a_million_messages_take_under_ten_seconds() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("million.jsonl");
    std::fs::write(&file, million()).expect("written");
    let file = file.to_str().expect("UTF-8");
    let began = Instant::now();
    let status = Command::new(env!("CARGO_BIN_EXE_holdback"))
        .args(["simulate", "--events", file, "--strict"])
        .stdout(Stdio::null())
        .status()
        .expect("the binary runs");
    let took = began.elapsed();
    assert!(status.success());
    let told = writeln!(std::io::stderr(), "1,000,000 messages in {took:?}");
    told.expect("told");
    assert!(took.as_secs() < 10, "{took:?}");
}

/// Orders of 1,000 merchants through a year, every tenth followed by a refund of half of it, every
/// fiftieth by a dispute that is won.
fn million() -> String {
    let agreement = r#"{"specversion":"1.0","id":"1","source":"/bench","type":"agreement.published.v1","data":{"agreement_id":"bench","version":1,"merchant_id":"*","effective_from":"2020-01-01T00:00:00Z","time_zone":"Asia/Shanghai","terms":[{"name":"sale","rate_bps":10000,"days":7}],"settlement":{"cycle":"daily"}}}"#;
    let mut text = format!("{agreement}\n");
    let begin: jiff::Timestamp = "2025-02-01T00:00:00Z".parse().expect("an instant");
    let mut lines = 1;
    let mut number = 0_i64;
    while lines < 1_000_000 {
        number += 1;
        let at = begin + jiff::SignedDuration::from_secs(number * 36);
        let merchant = format!("M-{:04}", number * 7_919 % 1_000);
        let about = format!(r#""order_id":"O-{number}","merchant_id":"{merchant}""#);
        let mut ce = |kind: &str, fields: &str| {
            text.push_str(&format!(
                "{{\"specversion\":\"1.0\",\"id\":\"{kind}-{number}\",\"source\":\"/shop\",\"type\":\"{kind}.v1\",\"data\":{{{about},{fields}}}}}\n"
            ));
            lines += 1;
        };
        let amount = number % 900 + 10;
        ce(
            "order.completed",
            &format!(
                r#""amount":"{amount}.50","fees":"0.30","currency":"EUR","completed_at":"{at}""#
            ),
        );
        if number % 10 == 0 {
            ce(
                "refund.succeeded",
                &format!(
                    r#""refund_id":"R-{number}","amount":"{}.00","currency":"EUR","refunded_at":"{at}""#,
                    amount / 2
                ),
            );
        }
        if number % 50 == 0 {
            ce(
                "dispute.opened",
                &format!(r#""dispute_id":"D-{number}","kind":"complaint","opened_at":"{at}""#),
            );
            ce(
                "dispute.closed",
                &format!(r#""dispute_id":"D-{number}","outcome":"won","closed_at":"{at}""#),
            );
        }
    }
    text
}
