//! The journal of a run: numbers per merchant without gaps, and whoever listens to it.

use std::collections::HashMap;
use std::io;

use foldhash::fast::RandomState;

use crate::message::Rejection;
use crate::message::outgoing::{EventType, OutTopic};
use crate::rules::entry::Entry;
use crate::rules::ids::MerchantId;
use crate::rules::time::Instant;

/// An event with its envelope.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    pub merchant: &'a MerchantId,
    pub entry: &'a Entry,
    pub event_type: EventType,
    pub sequence: i64,
    /// The merchant's previous sequence in the same topic; 0 for the first.
    pub previous: i64,
    pub at: Instant,
}

/// A message that was refused.
#[derive(Debug, Clone, Copy)]
pub struct Letter<'a> {
    /// From 1.
    pub line: u64,
    pub rejection: &'a Rejection,
}

/// Who listens to a run.
pub trait Sink {
    /// An event, after all earlier ones.
    ///
    /// # Errors
    /// When it can't be written.
    fn said(&mut self, said: &Said<'_>) -> io::Result<()>;

    /// A refused message.
    ///
    /// # Errors
    /// When it can't be written.
    fn refused(&mut self, letter: &Letter<'_>) -> io::Result<()>;
}

/// Where each merchant's journal stands.
pub(super) struct Books<S> {
    merchants: HashMap<MerchantId, Numbers, RandomState>,
    pub(super) sink: S,
}

#[derive(Default)]
struct Numbers {
    last: i64,
    last_release: i64,
    last_event: i64,
}

impl<S: Sink> Books<S> {
    pub(super) fn new(sink: S) -> Self {
        Self {
            merchants: HashMap::default(),
            sink,
        }
    }

    pub(super) fn into_sink(self) -> S {
        self.sink
    }

    /// Numbers an event and tells it.
    pub(super) fn write(
        &mut self,
        merchant: &MerchantId,
        entry: &Entry,
        at: Instant,
    ) -> io::Result<()> {
        let numbers = match self.merchants.get_mut(merchant) {
            Some(known) => known,
            None => self.merchants.entry(merchant.clone()).or_default(),
        };
        let event_type = EventType::of(&entry.event);
        numbers.last += 1;
        let last = match event_type.topic() {
            OutTopic::Releases => &mut numbers.last_release,
            OutTopic::Events => &mut numbers.last_event,
        };
        let said = Said {
            merchant,
            entry,
            event_type,
            sequence: numbers.last,
            previous: std::mem::replace(last, numbers.last),
            at,
        };
        self.sink.said(&said)
    }
}
