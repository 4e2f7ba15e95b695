//! Files for `holdback import`: the schema, the example and the reader say the same, and every fault
//! is told by line and JSON pointer.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail as tests do")]

use std::fs;
use std::path::Path;

use holdback::import::{LINES_MAX, read};
use serde_json::Value;

fn schemas(file: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    fs::read(folder.join(file)).unwrap()
}

fn validator() -> jsonschema::Validator {
    let schema: Value = serde_json::from_slice(&schemas("import.schema.json")).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

/// Each line's faults: `2 /amount: is required`.
fn faults(file: &str) -> Vec<String> {
    let faults = read(file.as_bytes()).unwrap_err();
    let told = faults.iter().map(|it| format!("{} {}", it.line, it.what));
    told.collect()
}

const ORDER: &str = r#"{"kind":"order","merchant_id":"M-1","order_id":"O-1","amount":"100.00","currency":"EUR","completed_at":"2025-11-01T00:00:00Z","holds":[{"term":"sale","left":"60.00"}]}"#;

#[test]
fn the_example_passes_its_schema_and_the_reader() {
    let example = schemas("examples/import.jsonl");
    let validator = validator();
    for line in example
        .split(|byte| *byte == b'\n')
        .filter(|it| !it.is_empty())
    {
        let value: Value = serde_json::from_slice(line).unwrap();
        assert!(validator.is_valid(&value), "{value:#}");
    }
    assert_eq!(read(&example).unwrap().len(), 4);
}

#[test]
fn every_fault_of_every_line_is_told_by_its_pointer() {
    let broken = [
        r#"{"kind":"order","merchant_id":"*","amount":"1.001","currency":"EUR","completed_at":"2025-11-01","holds":[{"term":"sale"},{"left":"0","not_before":"now"}]}"#,
        "",
        "{",
        r#"{"kind":"hold"}"#,
        r#"{"kind":"deposit","merchant_id":"M-1","amount":"-5","currency":"XXX"}"#,
        r#"{"kind":"receivable"}"#,
    ];
    let told = faults(&broken.join("\n"));
    let begins = [
        "1 /merchant_id: ",
        "1 /order_id: ",
        "1 /amount: ",
        "1 /completed_at: ",
        "1 /holds/0/left: is required",
        "1 /holds/1/term: is required",
        "1 /holds/1/left: must be above zero",
        "1 /holds/1/not_before: ",
        "3 ",
        "4 /kind: must be order, deposit or receivable",
        "5 /transaction_id: is required",
        "5 /currency: is no ISO 4217 currency",
        "5 /at: is required",
        "6 /merchant_id: is required",
        "6 /receivable_id: is required",
        "6 /currency: is required",
        "6 /opened_at: is required",
    ];
    assert_eq!(told.len(), begins.len(), "{told:#?}");
    for (told, begin) in told.iter().zip(begins) {
        assert!(told.starts_with(begin), "{told} is not {begin}…");
    }
    let validator = validator();
    for line in broken.iter().filter(|line| line.len() > 1) {
        let value: Value = serde_json::from_str(line).unwrap();
        assert!(!validator.is_valid(&value), "{line}");
    }
}

#[test]
fn one_thing_stands_in_a_file_once() {
    assert_eq!(
        faults(&format!("{ORDER}\n\n{ORDER}")),
        ["3 : says what line 1 says already"]
    );
    let twice = ORDER.replace("[{", r#"[{"term":"sale","left":"1.00"},{"#);
    assert_eq!(faults(&twice), ["1 /holds/1/term: stands twice"]);
    let fees = ORDER.replace(r#""currency""#, r#""fees":"100.01","currency""#);
    assert_eq!(faults(&fees), ["1 /fees: are more than the amount"]);
}

#[test]
fn a_file_has_no_more_lines_than_one_transaction_takes() {
    let lines = (0..=LINES_MAX).map(|n| ORDER.replace("O-1", &format!("O-{n}")));
    let told = faults(&lines.collect::<Vec<_>>().join("\n"));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("part the file"), "{told:?}");
}
