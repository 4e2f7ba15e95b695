//! Wire types: what comes in and goes out over Kafka, and nothing of the rules.
//!
//! [`incoming::parse`] makes a fact or a [`Rejection`] of a [`Record`]; it never panics, whatever
//! the bytes. [`outgoing::render`] makes the record of a journal line, [`dead_letter::build`] that
//! of a record that was refused. Nothing here reads a clock, a database or a broker.

mod adjustment;
mod agreement;
mod calendar;
pub mod check;
pub mod content;
pub mod dead_letter;
mod deposit;
mod envelope;
mod fields;
mod hints;
pub mod import;
pub mod incoming;
mod order;
pub mod outgoing;
mod payout;
mod rejection;
mod review;
mod shape;
#[cfg(test)]
mod tests;
mod trace;

use std::sync::Arc;

use crate::rules::time::Instant;

pub use rejection::{About, Reason, Rejection};

/// The name given to a header whose own name is not UTF-8: a reason to refuse the record, since what
/// it is may hide there.
pub const UNREADABLE_HEADER: &str = "\u{fffd}";

/// One consumed Kafka record, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
    /// Kafka's own timestamp of the record, if the topic keeps one.
    pub timestamp: Option<Instant>,
    pub key: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// `None` is a tombstone.
    pub value: Option<Vec<u8>>,
}

impl Record {
    /// Where it lies, `topic/partition/offset`: so people and blocks name a dead letter.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}/{}/{}", self.topic, self.partition, self.offset)
    }

    /// Bytes of key, headers and value.
    #[must_use]
    pub fn size(&self) -> usize {
        let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| name.len() + length(value));
        length(&self.key) + length(&self.value) + headers.sum::<usize>()
    }

    /// The last header of this name, as Kafka's own clients choose, if it is UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .rev()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .and_then(|(_, value)| std::str::from_utf8(value.as_deref()?).ok())
    }

    /// Whether there is a header of this name, readable or not.
    fn has_header(&self, name: &str) -> bool {
        self.headers
            .iter()
            .any(|(key, _)| key.eq_ignore_ascii_case(name))
    }
}
