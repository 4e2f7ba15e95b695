//! The output producer: one atomic batch per transaction, fenced by its transactional id.
//!
//! Guarantees: Ok means that every record of the batch was acknowledged and the transaction ended.
//! It does not mean that readers see it (librdkafka has no KIP-890): only reading back tells.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::util::Timeout;
use tracing::debug;

use super::{Error, KafkaSettings};
use crate::planted::{self, Bug, Point, is_planted};

/// A commit slower than this may have been retried inside librdkafka, and a late copy of it may
/// end the next transaction.
const SLOW: Duration = Duration::from_secs(1);

/// One record to write.
#[derive(Debug, Clone)]
pub struct OutRecord<'a> {
    pub topic: &'a str,
    pub key: Option<&'a [u8]>,
    pub headers: Vec<(&'a str, Option<&'a [u8]>)>,
    pub payload: Option<&'a [u8]>,
    /// Milliseconds since 1970; None: the producer's clock.
    pub timestamp_ms: Option<i64>,
}

/// A batch that was committed.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    pub records: usize,
    pub took: Duration,
    /// The producer must be replaced before the next batch.
    pub rotate: bool,
}

/// Notes the first thing that went wrong since the batch began.
#[derive(Default)]
struct Witness(Mutex<Option<String>>);

impl Witness {
    fn note(&self, what: String) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(what);
    }

    fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ClientContext for Witness {
    fn error(&self, error: KafkaError, reason: &str) {
        // librdkafka's own log says the same.
        debug!(%error, reason, "output producer");
        self.note(format!("{error}: {reason}"));
    }
}

impl ProducerContext for Witness {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            self.note(format!("{}: {error}", message.topic()));
        }
    }
}

/// A producer for the output topics. After any error, and after [`Sent::rotate`], it is dropped and
/// a new one opened: its epoch fences whatever the old one still has on the way.
pub struct OutputProducer {
    producer: ThreadedProducer<Witness>,
    transactional: bool,
}

impl OutputProducer {
    /// Builds the producer and, unless for the demo, fences all earlier ones of the deployment and
    /// ends what they left open. Blocks up to `patience`.
    ///
    /// # Errors
    /// [`Error::Setting`] for a refused configuration, else by what the broker says.
    pub fn open(settings: &KafkaSettings, patience: Duration) -> Result<Self, Error> {
        let mut config = settings.output();
        if is_planted(Bug::IgnoreLease) {
            let own = format!("holdback-{}-{}", settings.name, std::process::id());
            config.set("transactional.id", own);
        }
        let producer: ThreadedProducer<Witness> = config.create_with_context(Witness::default())?;
        if settings.transactional {
            producer.init_transactions(patience)?;
        }
        Ok(Self {
            producer,
            transactional: settings.transactional,
        })
    }

    /// Writes all or, to `read_committed` readers, nothing. Blocks until it is known, at most
    /// about `transaction.timeout.ms` (30 s).
    ///
    /// # Errors
    /// Whatever the error, the outcome is unknown until the topics are read back, and this producer
    /// must be dropped.
    pub fn send_batch<'a>(
        &self,
        records: impl IntoIterator<Item = OutRecord<'a>>,
    ) -> Result<Sent, Error> {
        let started = Instant::now();
        drop(self.producer.context().take());
        if self.transactional {
            self.producer.begin_transaction()?;
        }
        let mut count = 0;
        for record in records {
            self.enqueue(record)?;
            count += 1;
        }
        // Not `flush`: rdkafka's looks once in 100 ms only. Ends, because messages time out.
        while self.producer.in_flight_count() > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        planted::reached(Point::BeforeEndTransaction);
        let ending = Instant::now();
        if self.transactional {
            self.producer.commit_transaction(Timeout::Never)?;
        }
        let suspect = self.producer.context().take();
        if let (false, Some(what)) = (self.transactional, &suspect) {
            // Without a transaction a failed delivery shows in no other way.
            return Err(Error::Retry(what.clone()));
        }
        Ok(Sent {
            records: count,
            took: started.elapsed(),
            rotate: suspect.is_some() || ending.elapsed() > SLOW,
        })
    }

    fn enqueue(&self, record: OutRecord<'_>) -> Result<(), Error> {
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (key, value) in record.headers {
            headers = headers.insert(Header { key, value });
        }
        let mut next = BaseRecord::<[u8], [u8]>::to(record.topic).headers(headers);
        next.key = record.key;
        next.payload = record.payload;
        next.timestamp = record.timestamp_ms;
        loop {
            match self.producer.send(next) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    self.producer.poll(Duration::from_millis(5));
                    next = back;
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }
}

impl std::fmt::Debug for OutputProducer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutputProducer")
            .field("transactional", &self.transactional)
            .finish_non_exhaustive()
    }
}
