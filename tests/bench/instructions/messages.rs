//! The messages: the valid examples of `schemas/examples`, as records with the headers that a
//! CloudEvents client sends in binary mode.

use holdback::message::Record;
use holdback::message::incoming::{self, Limits, Parsed};
use holdback::rules::fact::Fact;
use holdback::rules::time::Instant;

/// An instant as messages write it.
pub fn at(text: &str) -> Instant {
    Instant::new(text.parse().expect("an instant"))
}

/// The record of an example, `TYPE--VARIANT`, with some of its text replaced.
pub fn record(example: &str, replaced: &[(&str, &str)]) -> Record {
    let file = format!("schemas/examples/valid/{example}.json");
    let mut value = std::fs::read_to_string(file).expect("run where Cargo.toml is");
    for (from, to) in replaced {
        assert!(value.contains(from), "{example} has no {from}");
        value = value.replace(from, to);
    }
    // As producers send it: without the line breaks that are there for readers.
    let value: serde_json::Value = serde_json::from_str(&value).expect("JSON");
    let (type_name, _) = example.split_once("--").expect("a type and a variant");
    let headers = [
        ("ce_specversion", "1.0"),
        ("ce_id", "0e2f7b7a-8a4d-4a39-9a3e-3b1b5e1f6c11"),
        ("ce_source", "/orders/eu-1"),
        ("ce_type", type_name),
        ("ce_time", "2026-05-01T04:00:00Z"),
        ("content-type", "application/json"),
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), Some(value.into())));
    Record {
        topic: "orders".into(),
        partition: 3,
        offset: 1_234_567,
        timestamp: Some(at("2026-05-05T00:00:00Z")),
        key: Some(b"M-1".to_vec()),
        headers: headers.to_vec(),
        value: Some(value.to_string().into_bytes()),
    }
}

/// The fact in a record.
pub fn fact(record: &Record) -> Fact {
    match incoming::parse(record, None, &Limits::default()) {
        Ok(Parsed::Fact(accepted)) => accepted.fact,
        other => panic!("not accepted: {other:?}"),
    }
}
