//! The record that says of another that it was refused: key, value and headers byte for byte, and
//! `holdback_*` headers that say why, where and when.
//!
//! Bounded: fed back into itself it does not
//! grow, and it fits the topic however large the original was.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::Record;
use crate::rules::time::Instant;

/// What is kept of a value that is too large for the topic. The whole stays in the database.
const CUT_TO: usize = 64 << 10;
/// What Kafka adds to a record and to each header, generously.
const RECORD_OVERHEAD: usize = 128;
const HEADER_OVERHEAD: usize = 12;

/// A record to be produced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    pub key: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    pub value: Option<Vec<u8>>,
}

/// The headers that a dead letter adds; those of an earlier refusal give way.
const ADDED: [&str; 8] = [
    "holdback_reason",
    "holdback_detail",
    "holdback_topic",
    "holdback_partition",
    "holdback_offset",
    "holdback_at",
    "holdback_sha256",
    "holdback_size",
];

/// Builds the dead letter of a record.
///
/// `max_bytes` is what the topic takes; a record beyond it
/// keeps the first 64 KiB of its value, with the digest and size of the whole, and if it is still
/// too large by its key and headers, none of those.
#[must_use]
pub fn build(
    record: &Record,
    reason: &str,
    detail: &str,
    at: Instant,
    max_bytes: usize,
) -> DeadLetter {
    let mut added = vec![
        header("holdback_reason", reason),
        header("holdback_detail", detail),
        header("holdback_topic", &record.topic),
        header("holdback_partition", &record.partition.to_string()),
        header("holdback_offset", &record.offset.to_string()),
        header("holdback_at", &at.to_string()),
    ];
    let original = record
        .headers
        .iter()
        .filter(|(name, _)| !ADDED.contains(&name.as_str()));
    let whole = DeadLetter {
        key: record.key.clone(),
        headers: original.clone().cloned().chain(added.clone()).collect(),
        value: record.value.clone(),
    };
    if size(&whole) <= max_bytes {
        return whole;
    }
    let value = whole.value.unwrap_or_default();
    added.push(header("holdback_sha256", &hex(&Sha256::digest(&value))));
    added.push(header("holdback_size", &value.len().to_string()));
    let cut = DeadLetter {
        key: whole.key,
        headers: original.cloned().chain(added.clone()).collect(),
        value: Some(value.into_iter().take(CUT_TO).collect()),
    };
    if size(&cut) <= max_bytes {
        return cut;
    }
    DeadLetter {
        key: None,
        headers: added,
        value: cut.value,
    }
}

fn header(name: &str, value: &str) -> (String, Option<Vec<u8>>) {
    (name.to_owned(), Some(value.as_bytes().to_vec()))
}

/// Bytes that the record takes in a batch, at most.
fn size(letter: &DeadLetter) -> usize {
    let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
    let headers = letter.headers.iter();
    let headers = headers.map(|(name, value)| name.len() + length(value) + HEADER_OVERHEAD);
    RECORD_OVERHEAD + length(&letter.key) + length(&letter.value) + headers.sum::<usize>()
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to memory does not fail");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: Vec<u8>) -> Record {
        Record {
            topic: "refund".into(),
            partition: 3,
            offset: 42,
            timestamp: None,
            key: Some(vec![0xff, 0]),
            headers: vec![
                ("ce_type".to_owned(), Some(b"refund.succeeded.v1".to_vec())),
                ("twice".to_owned(), None),
                ("twice".to_owned(), Some(vec![0xfe])),
            ],
            value: Some(value),
        }
    }

    fn letter(record: &Record, max_bytes: usize) -> DeadLetter {
        let at = Instant::new("2026-05-01T00:00:00Z".parse().unwrap());
        build(
            record,
            "money",
            "/amount: not a decimal amount",
            at,
            max_bytes,
        )
    }

    fn text<'a>(letter: &'a DeadLetter, name: &str) -> Option<&'a str> {
        let mut found = letter.headers.iter().filter(|(key, _)| key == name);
        let value = found.next()?.1.as_deref()?;
        assert!(found.next().is_none(), "{name} stands twice");
        std::str::from_utf8(value).ok()
    }

    #[test]
    fn key_value_and_headers_are_kept_byte_for_byte() {
        let record = record(vec![0xff, 0xfe, 0]);
        let letter = letter(&record, 1 << 20);
        assert_eq!((&letter.key, &letter.value), (&record.key, &record.value));
        assert_eq!(letter.headers[..3], record.headers[..]);
        assert_eq!(text(&letter, "holdback_reason"), Some("money"));
        assert_eq!(text(&letter, "holdback_topic"), Some("refund"));
        assert_eq!(text(&letter, "holdback_partition"), Some("3"));
        assert_eq!(text(&letter, "holdback_offset"), Some("42"));
        assert_eq!(text(&letter, "holdback_at"), Some("2026-05-01T00:00:00Z"));
        assert_eq!(letter.headers.len(), 9);
    }

    #[test]
    fn a_value_too_large_for_the_topic_is_cut_and_named_by_its_digest() {
        let letter = letter(&record(vec![b'x'; 1 << 20]), 1_000_000);
        assert_eq!(letter.value.as_ref().map(Vec::len), Some(65_536));
        assert_eq!(text(&letter, "holdback_size"), Some("1048576"));
        assert_eq!(text(&letter, "holdback_sha256").map(str::len), Some(64));
        assert_eq!(text(&letter, "ce_type"), Some("refund.succeeded.v1"));
    }

    #[test]
    fn headers_too_large_for_the_topic_are_left_out() {
        let mut record = record(b"{}".to_vec());
        record
            .headers
            .push(("big".to_owned(), Some(vec![0; 2 << 20])));
        let letter = letter(&record, 1_000_000);
        assert!(size(&letter) <= 1_000_000);
        assert_eq!(
            (letter.key.as_ref(), text(&letter, "ce_type")),
            (None, None)
        );
        assert_eq!(text(&letter, "holdback_size"), Some("2"));
    }

    #[test]
    fn a_dead_letter_of_a_dead_letter_is_no_larger() {
        let first = letter(&record(b"{".to_vec()), 1 << 20);
        let again = Record {
            key: first.key.clone(),
            headers: first.headers.clone(),
            value: first.value.clone(),
            ..record(Vec::new())
        };
        assert_eq!(letter(&again, 1 << 20), first);
    }
}
