//! What the fuzz targets share: the service's parsers, how an input is split, and what must hold of any
//! answer.

#[path = "../../../src/agreement.rs"]
pub mod agreement;
#[path = "../../../src/calendar_import/mod.rs"]
pub mod calendar_import;
#[path = "../../../src/message/mod.rs"]
pub mod message;
#[path = "../../../src/rules/mod.rs"]
pub mod rules;

use message::dead_letter;
use message::incoming::{Accepted, Limits, Parsed, parse};
use message::{Record, Rejection};
use rules::time::Instant;

/// What a dead letter's topic takes, a good deal less than what is read.
const TOPIC_TAKES: usize = 100_000;

/// An instant.
pub fn at(text: &str) -> Instant {
    Instant::new(text.parse().expect("a time"))
}

/// The part before the first line break, and the rest.
pub fn first_line(input: &[u8]) -> (&str, &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n');
    let (line, rest) = input.split_at(end.unwrap_or(input.len()));
    let line = std::str::from_utf8(line).unwrap_or_default();
    (line, rest.get(1..).unwrap_or_default())
}

/// A record with these headers.
pub fn record(headers: Vec<(String, Option<Vec<u8>>)>, value: &[u8]) -> Record {
    Record {
        topic: "order-completed".into(),
        partition: 0,
        offset: 7,
        timestamp: Some(at("2026-05-02T00:00:00Z")),
        key: Some(b"key".to_vec()),
        headers,
        value: Some(value.to_vec()),
    }
}

/// Headers of binary mode.
pub fn named(type_name: &str) -> Vec<(String, Option<Vec<u8>>)> {
    vec![("ce_type".to_owned(), Some(type_name.as_bytes().to_vec()))]
}

/// Reads a record and holds the answer to what ingest relies on.
///
/// # Panics
/// When the answer breaks a promise.
pub fn read(record: &Record, default_type: Option<&str>) -> Result<Accepted, Rejection> {
    let limits = Limits::default();
    let answer = parse(record, default_type, &limits);
    assert_eq!(
        answer,
        parse(record, default_type, &limits),
        "the same again"
    );
    match answer {
        Ok(Parsed::Tombstone) => panic!("there is a value"),
        Ok(Parsed::Fact(accepted)) => Ok(*accepted),
        Err(rejection) => {
            assert!(!rejection.detail.is_empty(), "it says why");
            assert!(rejection.detail.chars().count() <= 4_000, "in bounds");
            assert!(rejection.about.is_none() || rejection.moves_money);
            letter(record, &rejection);
            Err(rejection)
        }
    }
}

/// Its dead letter fits the topic and does not grow when it is refused again.
fn letter(record: &Record, rejection: &Rejection) {
    let (reason, detail) = (rejection.reason.as_str(), &rejection.detail);
    let build = |record: &Record| {
        let now = at("2026-05-02T00:00:01Z");
        dead_letter::build(record, reason, detail, now, TOPIC_TAKES)
    };
    let first = build(record);
    let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
    let headers = first.headers.iter();
    let headers: usize = headers
        .map(|(name, value)| name.len() + length(value))
        .sum();
    assert!(length(&first.key) + length(&first.value) + headers <= TOPIC_TAKES);
    let again = Record {
        key: first.key.clone(),
        headers: first.headers.clone(),
        value: first.value.clone(),
        ..record.clone()
    };
    let again = build(&again);
    assert!(
        again.headers.len() <= first.headers.len() + 2,
        "only a digest may come"
    );
    assert!(length(&again.value) <= length(&first.value));
}
