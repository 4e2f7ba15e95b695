//! Whether what lies in the output topics is what the journal says.
//!
//! A database that went back in time decides anew under numbers that were published. What it writes
//! then has other times, and mostly other ids, than what the topics hold.

use std::collections::HashMap;

use crate::message::Record;
use crate::store::publication::Pending;

/// An event's number: its merchant and sequence.
pub(super) type Number = (String, i64);

/// What tells an event from every other under the same number: its id and when it was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    id: String,
    at: String,
}

impl Mark {
    pub(super) fn new(id: &impl ToString, at: &impl ToString) -> Self {
        Self {
            id: id.to_string(),
            at: at.to_string(),
        }
    }
}

/// The number and mark of an event of ours.
pub(super) fn read(record: &Record) -> Option<(Number, Mark)> {
    let merchant = String::from_utf8(record.key.clone()?).ok()?;
    let sequence = record.header("ce_sequence")?.parse().ok()?;
    let mark = Mark::new(&record.header("ce_id")?, &record.header("ce_time")?);
    Some(((merchant, sequence), mark))
}

/// The marks of lines about to be sent.
pub(super) fn of(lines: &[Pending]) -> HashMap<Number, Mark> {
    lines
        .iter()
        .map(|line| {
            let number = (line.merchant_id.clone(), line.sequence);
            (number, Mark::new(&line.event_id, &line.occurred_at))
        })
        .collect()
}

/// The events among these that are not known under their numbers as what they are.
pub(super) fn strange(
    events: &[(Number, Mark)],
    known: &HashMap<Number, Mark>,
) -> Vec<(Number, Mark)> {
    let strange = events
        .iter()
        .filter(|(number, mark)| known.get(number) != Some(mark));
    strange.cloned().collect()
}

impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.id, self.at)
    }
}
