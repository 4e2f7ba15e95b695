//! The payout side: reads what is released and answers it, as payout systems do: paid, failed, or the
//! money came back; now and then twice, or in the wrong order.
//!
//! Guarantees that a release gets the same answers however often it is read. Writes straight to the
//! broker; what it has sent is added to the generator's log.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{Value, json};

use crate::generator::{Planned, Sender, append};
use crate::harness::TestBed;
use crate::history::PARTITIONS;

/// A payout side at work.
pub struct PayoutSide {
    thread: JoinHandle<Result<u64, String>>,
    stop: Arc<AtomicBool>,
    log: PathBuf,
}

impl PayoutSide {
    /// Begins to answer; `log` is the generator's.
    pub fn start(bed: &TestBed, log: &Path) -> Self {
        let log = log.with_extension("payouts.jsonl");
        let sender = Sender::open(&bed.brokers, bed.topics.clone(), &log);
        let (brokers, topic) = (
            bed.brokers.clone(),
            bed.topic("holdback-releases").to_owned(),
        );
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let sent = answer_all(&brokers, &topic, &sender, &stopped)?;
            sender.finish(Duration::from_secs(60))?;
            Ok(sent)
        });
        Self { thread, stop, log }
    }

    /// Stops, and adds what was sent to the generator's log; how many answers.
    pub fn finish(self, log: &Path) -> Result<u64, String> {
        self.stop.store(true, Ordering::SeqCst);
        let sent = self.thread.join();
        let sent = sent.map_err(|_| "the payout side panicked".to_owned())??;
        append(log, &self.log)?;
        Ok(sent)
    }
}

fn answer_all(
    brokers: &str,
    topic: &str,
    sender: &Sender,
    stop: &AtomicBool,
) -> Result<u64, String> {
    let text = |error: rdkafka::error::KafkaError| error.to_string();
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "payout-side")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("reconnect.backoff.max.ms", "500")
        .set_log_level(RDKafkaLogLevel::Critical)
        .create()
        .map_err(text)?;
    let mut all = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        let begin = all.add_partition_offset(topic, partition, Offset::Beginning);
        begin.map_err(text)?;
    }
    consumer.assign(&all).map_err(text)?;
    let mut sent = 0;
    while !stop.load(Ordering::SeqCst) {
        // A broker that is away comes back.
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let headers = message.headers().into_iter().flat_map(|all| all.iter());
        let issued = Some(&b"holdback.release.issued.v1"[..]);
        if !headers
            .into_iter()
            .any(|it| it.key == "ce_type" && it.value == issued)
        {
            continue;
        }
        let body = message.payload().unwrap_or_default();
        let body = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        for planned in answers(&body)? {
            sender.send(planned);
            sent += 1;
        }
    }
    Ok(sent)
}

/// What a release is answered, by its id.
fn answers(release: &Value) -> Result<Vec<Planned>, String> {
    let text = |field: &str| release[field].as_str().ok_or_else(|| format!("no {field}"));
    let id = text("release_id")?;
    let at: Timestamp = text("issued_at")?
        .parse()
        .map_err(|error| format!("{error}"))?;
    let merchant = text("merchant_id")?;
    let say = |paid: bool, seconds: i64| {
        let at = at + SignedDuration::from_secs(seconds);
        let value = json!({"merchant_id": merchant, "release_id": id, "at": at.to_string()});
        let kind = if paid {
            "payout.paid.v1"
        } else {
            "payout.failed.v1"
        };
        Planned {
            at_ms: 0,
            topic: "payout-result",
            kind: kind.to_owned(),
            key: merchant.to_owned(),
            value: value.to_string(),
        }
    };
    Ok(match id.as_bytes().first() {
        Some(b'0'..=b'6') => vec![say(true, 1)],
        Some(b'7') => vec![say(true, 1), say(true, 1)],
        Some(b'8' | b'9') => vec![say(false, 1)],
        Some(b'a') => vec![say(false, 1), say(true, 2)],
        // The money came back; of the second kind that is heard first.
        Some(b'b' | b'c') => vec![say(true, 1), say(false, 2)],
        Some(b'd') => vec![say(false, 2), say(true, 1)],
        _ => Vec::new(),
    })
}
