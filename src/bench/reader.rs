//! A `read_committed` reader of the output topics: what is visible counts, nothing else.
//!
//! Guarantees that a latency runs from when a message was to be produced, not from when a slow
//! producer got round to it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant as Moment};

use super::figures::Latency;
use super::marks::Marks;
use crate::config::Topics;
use crate::kafka::{Error, KafkaSettings, Limits, Partition, ReadBack};
use crate::message::Record;

/// What one poll brings at most.
const LIMITS: Limits = Limits {
    max_records: 5_000,
    max_bytes: 4 << 20,
    wait: Duration::from_millis(50),
    linger: Duration::ZERO,
};

/// What latencies are measured of.
#[derive(Debug, Default)]
enum Timed {
    #[default]
    Nothing,
    /// Orders from this number on: when each was to be produced.
    Orders(u64, Vec<Option<Moment>>),
    /// Releases that were all due at this moment.
    Releases(Moment),
}

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub all: Marks,
    pub created: Marks,
    pub released: Marks,
    timed: Timed,
    latencies: Vec<u64>,
    /// Merchants that have seen a release, and how long after its moment.
    merchants: HashSet<Vec<u8>>,
    merchants_first: Vec<u64>,
    /// Why nothing more will be seen.
    pub failed: Option<String>,
}

impl Seen {
    /// From now on the time of orders is taken, from this number on.
    pub(super) fn time_orders(&mut self, first: u64) {
        self.timed = Timed::Orders(first, Vec::new());
    }

    /// The order of this number is to be produced at this moment.
    pub(super) fn expect(&mut self, order: u64, at: Moment) {
        if let Timed::Orders(first, moments) = &mut self.timed
            && let Some(place) = order.checked_sub(*first)
            && let Ok(place) = usize::try_from(place)
        {
            if moments.len() <= place {
                moments.resize(place + 1, None);
            }
            moments[place] = Some(at);
        }
    }

    /// From now on the time of releases is taken, all from this moment.
    pub(super) fn time_releases(&mut self, due: Moment) {
        self.timed = Timed::Releases(due);
    }

    /// The latencies since then, and those of each merchant's first.
    pub(super) fn latencies(&mut self) -> (Option<Latency>, Option<Latency>) {
        self.timed = Timed::Nothing;
        self.merchants.clear();
        let all = std::mem::take(&mut self.latencies);
        let first = std::mem::take(&mut self.merchants_first);
        (Latency::of(all), Latency::of(first))
    }

    fn take(&mut self, records: &[Record], now: Moment) {
        let (mut all, mut created, mut released) = (
            self.all.level(),
            self.created.level(),
            self.released.level(),
        );
        for record in records {
            all += 1;
            match record.header("ce_type") {
                Some("holdback.hold.created.v1") => {
                    created += 1;
                    if let Timed::Orders(first, moments) = &self.timed {
                        let number = order_number(record).and_then(|n| n.checked_sub(*first));
                        let place = number.and_then(|number| usize::try_from(number).ok());
                        let at = place.and_then(|place| moments.get(place).copied().flatten());
                        self.latencies.extend(at.map(|at| micros(now, at)));
                    }
                }
                Some("holdback.release.issued.v1") => {
                    released += 1;
                    if let Timed::Releases(due) = self.timed {
                        let took = micros(now, due);
                        self.latencies.push(took);
                        let merchant = record.key.clone().unwrap_or_default();
                        if self.merchants.insert(merchant) {
                            self.merchants_first.push(took);
                        }
                    }
                }
                _ => {}
            }
        }
        self.all.note(now, all);
        self.created.note(now, created);
        self.released.note(now, released);
    }
}

fn micros(now: Moment, then: Moment) -> u64 {
    u64::try_from(now.saturating_duration_since(then).as_micros()).unwrap_or(u64::MAX)
}

/// The number of the order that an event is about.
fn order_number(record: &Record) -> Option<u64> {
    let text = std::str::from_utf8(record.value.as_deref()?).ok()?;
    let (_, rest) = text.split_once(r#""order_id":"O-"#)?;
    rest.split_once('"')?.0.parse().ok()
}

/// The reader's thread; dropping this ends it.
pub(super) struct Reader {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    /// Reads the topics of events and releases from their beginning.
    pub(super) fn start(
        kafka: &KafkaSettings,
        topics: &Topics,
        partitions: i32,
    ) -> Result<Self, Error> {
        let mut starts: Vec<(Partition, i64)> = Vec::new();
        for topic in [&topics.events, &topics.releases] {
            let name: Arc<str> = Arc::from(topic.as_str());
            starts.extend((0..partitions).map(|number| ((Arc::clone(&name), number), 0)));
        }
        let reader = ReadBack::open(kafka, &starts)?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, asked) = (Arc::clone(&seen), Arc::clone(&stop));
        let thread = std::thread::spawn(move || read(reader, &shared, &asked));
        Ok(Self {
            seen,
            stop,
            thread: Some(thread),
        })
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }

    /// To be told what is expected, by another thread.
    pub(super) fn share(&self) -> Arc<Mutex<Seen>> {
        Arc::clone(&self.seen)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the reader of the bench panicked");
        }
    }
}

/// Whoever panicked while it counted: the counts are whole.
pub(super) fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(mut reader: ReadBack, seen: &Mutex<Seen>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        match reader.poll_batch(&LIMITS) {
            Ok(records) => lock(seen).take(&records, Moment::now()),
            // Passes by itself.
            Err(Error::Retry(_)) => {}
            Err(error) => {
                lock(seen).failed = Some(error.to_string());
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: &str, order: u64, merchant: &str) -> Record {
        Record {
            topic: Arc::from("events"),
            partition: 0,
            offset: 0,
            timestamp: None,
            key: Some(merchant.as_bytes().to_vec()),
            headers: vec![("ce_type".to_owned(), Some(kind.as_bytes().to_vec()))],
            value: Some(format!(r#"{{"order_id":"O-{order:010}","n":1}}"#).into_bytes()),
        }
    }

    #[test]
    fn an_order_is_timed_from_when_it_was_to_be_produced() {
        let start = Moment::now();
        let mut seen = Seen::default();
        seen.time_orders(5);
        seen.expect(6, start);
        let now = start + Duration::from_millis(40);
        // The order before is not of this stretch, that after was not expected.
        let created = [5, 6, 7].map(|n| record("holdback.hold.created.v1", n, "M"));
        seen.take(&created, now);
        assert_eq!(seen.created.level(), 3);
        let (latency, _) = seen.latencies();
        let latency = latency.unwrap();
        assert_eq!((latency.p50, latency.max), (40_000, 40_000));
    }

    #[test]
    fn a_merchants_first_release_is_told_apart() {
        let start = Moment::now();
        let mut seen = Seen::default();
        seen.time_releases(start);
        let release = |merchant| record("holdback.release.issued.v1", 1, merchant);
        seen.take(&[release("A")], start + Duration::from_millis(1));
        seen.take(
            &[release("A"), release("B")],
            start + Duration::from_millis(9),
        );
        let (all, first) = seen.latencies();
        assert_eq!(all.unwrap().p50, 9_000);
        assert_eq!(first.unwrap().p50, 1_000);
        assert_eq!(seen.released.level(), 3);
    }
}
