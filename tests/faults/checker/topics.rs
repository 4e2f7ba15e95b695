//! What a `read_committed` reader sees of the output: each event once, a merchant's in order without
//! gaps, settlements that add up.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use serde_json::Value;

use super::{Complaints, cents};
use crate::harness::{Seen, TestBed};

/// One event of the output topics.
#[derive(Debug, Clone)]
pub struct Event {
    pub topic: &'static str,
    pub partition: i32,
    pub merchant: String,
    pub sequence: i64,
    pub previous: i64,
    pub id: String,
    /// `hold.created`
    pub kind: String,
    /// By the clock of the process that sent it.
    pub sent_us: i64,
    pub body: Value,
    bytes: Vec<u8>,
}

impl Event {
    fn read(topic: &'static str, seen: Seen) -> Result<Self, String> {
        let body: Value = serde_json::from_slice(&seen.value).map_err(|error| error.to_string())?;
        let header = |name: &str| {
            let value = seen.headers.get(name).cloned();
            value.ok_or_else(|| format!("no {name} in {body}"))
        };
        let kind = header("ce_type")?;
        let kind = kind.trim_start_matches("holdback.").trim_end_matches(".v1");
        let number = |name: &str| {
            body[name]
                .as_i64()
                .ok_or_else(|| format!("no {name} in {body}"))
        };
        let merchant = body["merchant_id"].as_str().ok_or("an event of nobody")?;
        if seen.key.as_deref() != Some(merchant) {
            return Err(format!(
                "an event of {merchant} with the key {:?}",
                seen.key
            ));
        }
        Ok(Self {
            topic,
            partition: seen.partition,
            merchant: merchant.to_owned(),
            sequence: number("sequence")?,
            previous: number("previous")?,
            id: header("ce_id")?,
            kind: kind.to_owned(),
            sent_us: seen.timestamp_ms * 1000,
            bytes: seen.value,
            body,
        })
    }

    /// A text field, empty when it is not there.
    pub fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_default()
    }

    /// An amount in cents; 0 when there is none, which the sums then show.
    pub fn cents(&self, field: &str) -> i64 {
        cents(self.text(field)).unwrap_or_default()
    }

    /// Microseconds since 1970; 0 when it is no instant, which is earlier than anything may be.
    pub fn instant_us(&self, field: &str) -> i64 {
        let instant = self.text(field).parse::<Timestamp>();
        instant.map_or(0, Timestamp::as_microsecond)
    }

    /// Where it stands, for people.
    pub fn place(&self) -> String {
        format!("{} {} ({})", self.merchant, self.sequence, self.kind)
    }
}

/// Everything that was read.
pub struct Topics {
    /// In the order of the topics, each once.
    pub events: Vec<Event>,
    again: Vec<(Event, Event)>,
}

/// Reads both topics to their ends.
pub fn read(bed: &TestBed) -> Result<Topics, String> {
    let mut first: HashMap<(String, i64), Event> = HashMap::new();
    let mut topics = Topics {
        events: Vec::new(),
        again: Vec::new(),
    };
    for topic in ["holdback-releases", "holdback-events"] {
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| bed.read_all(topic)));
        let seen = seen.map_err(|_| format!("{topic} can't be read to its end"))?;
        for record in seen {
            let event = Event::read(topic, record)?;
            let key = (event.merchant.clone(), event.sequence);
            match first.get(&key) {
                Some(before) => topics.again.push((before.clone(), event)),
                None => {
                    first.insert(key, event.clone());
                    topics.events.push(event);
                }
            }
        }
    }
    Ok(topics)
}

impl Topics {
    /// How many events lie there again; each must be the same to the last byte.
    pub fn repeats(&self, complaints: &mut Complaints) -> u64 {
        for (before, again) in &self.again {
            let same =
                before.id == again.id && before.topic == again.topic && before.bytes == again.bytes;
            complaints.unless(same, "once", || {
                format!("{} and {} under one number", before.place(), again.place())
            });
        }
        let mut ids = HashSet::new();
        for event in &self.events {
            complaints.unless(ids.insert(&event.id), "once", || {
                format!("{} has the id of another event", event.place())
            });
        }
        u64::try_from(self.again.len()).expect("few")
    }

    /// Per merchant 1, 2, 3, … over both topics, in order within each, chained by `previous`.
    pub fn sequences(&self, complaints: &mut Complaints) {
        let mut all: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        let mut last: HashMap<(&str, &str), (i32, i64)> = HashMap::new();
        for event in &self.events {
            all.entry(&event.merchant).or_default().push(event.sequence);
            let key = (event.topic, event.merchant.as_str());
            let now = (event.partition, event.sequence);
            let (partition, before) = last.insert(key, now).unwrap_or((event.partition, 0));
            complaints.unless(
                partition == event.partition && before == event.previous,
                "order",
                || {
                    format!(
                        "{} follows {before}, says {}",
                        event.place(),
                        event.previous
                    )
                },
            );
        }
        for (merchant, mut sequences) in all {
            sequences.sort_unstable();
            let gap = (1..).zip(&sequences).find(|(due, found)| due != *found);
            complaints.unless(gap.is_none(), "gaps", || {
                format!("{merchant}: {gap:?} (due, found)")
            });
        }
    }

    /// A day is summed up once it is over, whatever a clock said.
    pub fn days(&self, complaints: &mut Complaints) {
        let sums = self.events.iter();
        for event in sums.filter(|event| event.kind == "control.daily") {
            let until = event.instant_us("until");
            complaints.unless(event.sent_us + 1_000 >= until, "early", || {
                format!("{} of {}", event.place(), event.text("date"))
            });
        }
    }

    /// Each part's count and sums are those of the releases that name it, which lie before it.
    pub fn settlements(&self, complaints: &mut Complaints) {
        let mut open: BTreeMap<(&str, i64), (i64, i64, i64)> = BTreeMap::new();
        for event in &self.events {
            let part = |field: &str| (event.text("settlement_id"), event.body[field].as_i64());
            let sums = (event.cents("gross"), event.cents("amount"));
            match event.kind.as_str() {
                "release.issued" => {
                    if let (id, Some(number)) = part("settlement_part") {
                        let sum = open.entry((id, number)).or_default();
                        *sum = (sum.0 + 1, sum.1 + sums.0, sum.2 + sums.1);
                    }
                }
                "settlement.closed" => {
                    let (id, number) = part("part");
                    let said = (
                        event.body["releases"].as_i64().unwrap_or(-1),
                        sums.0,
                        sums.1,
                    );
                    let found = open.remove(&(id, number.unwrap_or(-1)));
                    complaints.unless(found == Some(said), "settlements", || {
                        format!("{} says {said:?}, its releases {found:?}", event.place())
                    });
                }
                _ => {}
            }
        }
        complaints.unless(open.is_empty(), "settlements", || {
            format!("never closed: {open:?}")
        });
    }
}
