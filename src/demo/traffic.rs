//! The thread that is the outside world: it moves the simulated clock, says what the marketplace
//! says, and listens to what holdback writes.
//!
//! Guarantees that simulated time passes only when everything up to it has been said, so the story
//! does not depend on how busy the machine is.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant as Moment};

use anyhow::{Context, anyhow};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::market::Market;
use super::news::News;
use crate::clock::ManualClock;
use crate::config::Topics;
use crate::http::Readiness;
use crate::kafka::{KafkaSettings, Limits, OutRecord, OutputProducer, ReadBack};
use crate::rules::time::Instant;

const SECONDS_OF_A_DAY: i64 = 86_400;
/// Between two looks at the clock.
const TICK: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(10);

/// What the thread needs.
#[derive(Debug)]
pub struct Setup {
    pub market: Market,
    /// Where the clock stands at first.
    pub from: Timestamp,
    /// Where it stops.
    pub until: Option<Timestamp>,
    /// Seconds that a day takes.
    pub seconds_a_day: u32,
    pub clock: ManualClock,
    pub kafka: KafkaSettings,
    pub topics: Topics,
    /// Of each output topic.
    pub partitions: i32,
    pub news: Sender<News>,
    /// The clock stands until the service is ready.
    pub readiness: Arc<Readiness>,
    /// Ends it early.
    pub stop: CancellationToken,
}

/// The running thread.
#[derive(Debug)]
pub struct Traffic(JoinHandle<anyhow::Result<()>>);

impl Traffic {
    /// Starts it.
    #[must_use]
    pub fn start(setup: Setup) -> Self {
        Self(std::thread::spawn(move || run(setup)))
    }

    /// Whether nothing more is said.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0.is_finished()
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// When the stand-in broker failed.
    pub fn join(self) -> anyhow::Result<()> {
        self.0
            .join()
            .map_err(|_| anyhow!("the marketplace panicked; see the log"))?
            .context("the marketplace lost its broker")
    }
}

fn run(mut setup: Setup) -> anyhow::Result<()> {
    let producer = OutputProducer::open(&setup.kafka, PATIENCE)?;
    let mut outputs = ReadBack::open(&setup.kafka, &setup.output_starts())?;
    let limits = Limits {
        max_records: 2000,
        max_bytes: 4 << 20,
        wait: TICK,
        linger: Duration::ZERO,
    };
    while !setup.readiness.reasons().is_empty() && !setup.stop.is_cancelled() {
        std::thread::sleep(TICK);
    }
    let began = Moment::now();
    while !setup.stop.is_cancelled() {
        let now = setup.time_after(began.elapsed());
        setup.say(&producer, now)?;
        setup.clock.set(Instant::new(now));
        if Some(now) == setup.until {
            break;
        }
        for record in outputs.poll_batch(&limits)? {
            if *record.topic == *setup.topics.releases {
                setup.market.hear(&record);
            }
            // Nobody reads the news any more once the view has ended.
            if let Some(news) = News::of(&record)
                && setup.news.send(news).is_err()
            {
                break;
            }
        }
    }
    Ok(())
}

impl Setup {
    fn output_starts(&self) -> Vec<((Arc<str>, i32), i64)> {
        let topics = self.topics.outputs().map(Arc::<str>::from);
        let each = |topic: Arc<str>| {
            (0..self.partitions).map(move |partition| ((Arc::clone(&topic), partition), 0))
        };
        topics.into_iter().flat_map(each).collect()
    }

    /// The simulated time after so much real time, at most the end.
    fn time_after(&self, real: Duration) -> Timestamp {
        let micros = i64::try_from(real.as_micros()).unwrap_or(i64::MAX / SECONDS_OF_A_DAY);
        let passed = micros.saturating_mul(SECONDS_OF_A_DAY) / i64::from(self.seconds_a_day);
        let now = self
            .from
            .saturating_add(SignedDuration::from_micros(passed))
            .unwrap_or(Timestamp::MAX);
        self.until.map_or(now, |until| until.min(now))
    }

    fn say(&mut self, producer: &OutputProducer, now: Timestamp) -> anyhow::Result<()> {
        let messages = self.market.until(now);
        if messages.is_empty() {
            return Ok(());
        }
        let records = messages.iter().map(|(at, message)| OutRecord {
            topic: message.topic(&self.topics),
            key: Some(message.merchant.as_bytes()),
            headers: message
                .headers
                .iter()
                .map(|(name, value)| (*name, Some(value.as_bytes())))
                .collect(),
            payload: Some(&message.value),
            timestamp_ms: Some(at.as_millisecond()),
        });
        producer.send_batch(records)?;
        Ok(())
    }
}
