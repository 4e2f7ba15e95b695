//! The events as JSON lines, and the refused messages as lines for people beside them.

use std::io::{self, Write};

use super::books::{Letter, Said, Sink};
use super::code;
use crate::message::outgoing::{self, Line};

/// Writes events to one output and refusals to another.
pub struct JsonLines<W, E> {
    events: W,
    refusals: Refusals<E>,
    /// The `ce_source`.
    source: String,
    json: Vec<u8>,
    data: Vec<u8>,
}

/// Writes `line 7: money: /amount: not a decimal amount`, and counts.
pub struct Refusals<E> {
    out: E,
    pub count: u64,
}

impl<E: Write> Refusals<E> {
    pub(super) fn new(out: E) -> Self {
        Self { out, count: 0 }
    }

    pub(super) fn add(&mut self, letter: &Letter<'_>) -> io::Result<()> {
        self.count += 1;
        let Letter { line, rejection } = letter;
        writeln!(
            self.out,
            "line {line}: {}: {}",
            rejection.reason, rejection.detail
        )
    }
}

impl<W: Write, E: Write> JsonLines<W, E> {
    /// Events as the deployment of that name would write them.
    pub fn new(events: W, refusals: E, deployment: &str) -> Self {
        Self {
            events,
            refusals: Refusals::new(refusals),
            source: outgoing::source(deployment),
            json: Vec::new(),
            data: Vec::new(),
        }
    }

    /// Writes what is buffered; answers how many messages were refused.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn finish(mut self) -> io::Result<u64> {
        self.events.flush()?;
        Ok(self.refusals.count)
    }
}

impl<W: Write, E: Write> Sink for JsonLines<W, E> {
    fn said(&mut self, said: &Said<'_>) -> io::Result<()> {
        let Said {
            merchant, entry, ..
        } = said;
        let subject = entry.subject();
        let line = Line {
            event_type: said.event_type,
            event_id: entry.event_id_about(merchant, &subject).0,
            subject: &subject,
            merchant: merchant.as_str(),
            sequence: said.sequence,
            previous: said.previous,
            occurred_at: said.at,
            order: entry.order.as_ref().map(|order| order.as_str()),
            hold: entry.hold.map(|hold| hold.0),
            currency: code(entry.currency),
            data: outgoing::write_data(&mut self.data, &entry.event),
            traceparent: entry.traceparent.as_deref(),
        };
        self.json.clear();
        outgoing::structured(&mut self.json, &line, &self.source);
        self.json.push(b'\n');
        self.events.write_all(&self.json)
    }

    fn refused(&mut self, letter: &Letter<'_>) -> io::Result<()> {
        self.refusals.add(letter)
    }
}
