//! Lines as messages, read by the code that reads the topics; and files of agreements.

use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::message::incoming::{self, Accepted, Limits, Parsed};
use crate::message::{Reason, Record, Rejection};

const ORDER: &str = "order.completed.v1";
const AGREEMENT: &str = "agreement.published.v1";
const CALENDAR: &str = "calendar.published.v1";

/// Reads lines.
pub struct Reader {
    structured: Record,
    plain: Record,
    limits: Limits,
}

impl Default for Reader {
    fn default() -> Self {
        let media_type = "content-type".to_owned();
        let structured = Some(b"application/cloudevents+json".to_vec());
        Self {
            structured: record(vec![(media_type, structured)]),
            plain: record(Vec::new()),
            limits: Limits::default(),
        }
    }
}

impl Reader {
    /// The fact of a line. One with `specversion` is a `CloudEvents` event, any other a plain
    /// `order.completed.v1`, as in the topic `order-completed`. `None` for an empty line.
    pub fn read(&mut self, line: &[u8]) -> Option<Result<Accepted, Rejection>> {
        let line = line.trim_ascii();
        (!line.is_empty()).then(|| self.read_as(line, ORDER))
    }

    fn read_as(&mut self, text: &[u8], plain_type: &str) -> Result<Accepted, Rejection> {
        let record = if is_structured(text) {
            &mut self.structured
        } else {
            &mut self.plain
        };
        let value = record.value.get_or_insert_default();
        value.clear();
        value.extend_from_slice(text);
        match incoming::parse(record, Some(plain_type), &self.limits)? {
            Parsed::Fact(accepted) => Ok(*accepted),
            Parsed::Tombstone => Err(Rejection {
                reason: Reason::Malformed,
                detail: "nothing".to_owned(),
                moves_money: false,
                about: None,
            }),
        }
    }
}

/// Business times lie where they want in a simulation, so its records have no time of their own.
fn record(headers: Vec<(String, Option<Vec<u8>>)>) -> Record {
    Record {
        topic: "simulate".into(),
        partition: 0,
        offset: 0,
        timestamp: None,
        key: None,
        headers,
        value: Some(Vec::new()),
    }
}

/// Whether an event has an envelope. One that can't be read, but names it, has.
fn is_structured(text: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Envelope {
        specversion: Option<IgnoredAny>,
    }
    // As nearly every producer writes it: no need to look further.
    if text.starts_with(b"{\"specversion\":") {
        return true;
    }
    let Ok(text) = std::str::from_utf8(text) else {
        return false;
    };
    text.contains("\"specversion\"")
        && serde_json::from_str::<Envelope>(text).map_or(true, |it| it.specversion.is_some())
}

/// The agreements and calendars of a file: objects one after the other, or in a list, plain or as
/// `CloudEvents`.
///
/// # Errors
/// What is wrong with the first that is none.
pub fn agreements(path: &Path) -> anyhow::Result<Vec<Accepted>> {
    let name = path.display();
    let text = std::fs::read_to_string(path).with_context(|| name.to_string())?;
    let mut reader = Reader::default();
    let mut found = Vec::new();
    for value in serde_json::Deserializer::from_str(&text).into_iter::<Box<RawValue>>() {
        let value = value.with_context(|| name.to_string())?;
        let list = if value.get().starts_with('[') {
            serde_json::from_str(value.get()).with_context(|| name.to_string())?
        } else {
            vec![value]
        };
        for value in list {
            let number = found.len() + 1;
            let text = value.get();
            let read = reader.read_as(text.as_bytes(), plain_type(text));
            let accepted = read.map_err(|rejection| {
                let Rejection { reason, detail, .. } = rejection;
                anyhow::anyhow!("{name}: agreement {number}: {reason}: {detail}")
            })?;
            if accepted.business_at.is_some() {
                anyhow::bail!("{name}: {number} is neither an agreement nor a calendar");
            }
            found.push(accepted);
        }
    }
    Ok(found)
}

fn plain_type(text: &str) -> &'static str {
    #[derive(Deserialize)]
    struct Named {
        agreement_id: Option<IgnoredAny>,
        weekend: Option<IgnoredAny>,
    }
    let calendar = serde_json::from_str::<Named>(text)
        .is_ok_and(|it| it.agreement_id.is_none() && it.weekend.is_some());
    if calendar { CALENDAR } else { AGREEMENT }
}
