//! One process's turn at publishing: send what is pending, read the topics back, note what was seen.
//!
//! A session knows for certain what the topics hold, from the first read-back on. It ends with the
//! first doubt about that, and the next one reads anew.

use std::collections::HashMap;
use std::time::{Duration, Instant as Moment};

use tokio::runtime::Handle;
use uuid::Uuid;

use crate::clock;
use crate::kafka::clock::topic_beside;
use crate::kafka::{self, BrokerClock, OutputProducer, Partition, ReadBack};
use crate::message::outgoing::{self, Outgoing};
use crate::message::{Record, dead_letter};
use crate::planted::{self, Bug, Point, is_planted};
use crate::store::StoreError;
use crate::store::dead_letters::Unpublished;
use crate::store::publication::Pending;
use crate::telemetry;

use super::marks::{self, Mark, Number};
use super::records::{buried_at, bury, event_record, letter_record, render};
use super::seen::Seen;
use super::{LEASE_SECONDS, PATIENCE, SessionError, Setup, outputs};

/// After how long the lease is renewed.
const RENEW: Duration = Duration::from_secs(3);
/// How long reading back may take before the events are taken for missing.
const READ_BACK: Duration = Duration::from_secs(30);
/// After how long the broker is asked for its time again, and how long it may take to answer.
const ASK_AGAIN: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(2);
/// No merchant takes more than this share of a batch.
const MERCHANT_SHARE: i64 = 5;

/// One process's turn at publishing.
pub struct Session<'a> {
    setup: &'a Setup,
    handle: &'a Handle,
    owner: Uuid,
    epoch: i64,
    /// The database that gave the lease, and that what is seen is compared with.
    identity: String,
    /// When the lease was renewed last.
    leased: Moment,
    producer: OutputProducer,
    reader: ReadBack,
    partitions: Vec<Partition>,
    seen: Seen,
    /// What the last batch held.
    sent: HashMap<Number, Mark>,
    /// Where the broker's time is asked for; `None` where nobody can tell.
    clock: Option<BrokerClock>,
    /// When it was asked last.
    asked: Option<Moment>,
    /// The merchant after which the next batch begins.
    after: String,
    source: String,
}

impl<'a> Session<'a> {
    /// Takes the lease, fences whoever published before and reads the topics to their end.
    pub fn open(setup: &'a Setup, handle: &'a Handle, owner: Uuid) -> Result<Self, SessionError> {
        let leased = Moment::now();
        // Before the lease, which whoever mends the fault needs.
        if let Some(fault) = handle.block_on(setup.store.fault())? {
            return Err(SessionError::Fault(fault));
        }
        let (epoch, identity) = handle
            .block_on(setup.store.lease_publisher(owner, LEASE_SECONDS))?
            .ok_or(SessionError::Lost)?;
        let partitions = outputs::partitions(&setup.admin, &setup.topics)?;
        // The new producer fences the old one first; only then does the topic's end stand still.
        let producer = OutputProducer::open(&setup.kafka, PATIENCE)?;
        let known = handle.block_on(setup.store.read_back_positions())?;
        let starts = outputs::starts(&setup.admin, &partitions, &known)?;
        let reader = ReadBack::open(&setup.kafka, &starts)?;
        let mut session = Self {
            setup,
            handle,
            owner,
            epoch,
            identity,
            leased,
            producer,
            reader,
            partitions,
            seen: Seen::default(),
            sent: HashMap::new(),
            clock: broker_clock(setup)?,
            asked: None,
            after: String::new(),
            source: outgoing::source(&setup.kafka.name),
        };
        session.read_back()?;
        session.compare_clocks()?;
        let compared = setup.store.note_compared(epoch, &session.identity);
        if !handle.block_on(compared)? {
            return Err(SessionError::Lost);
        }
        tracing::info!(epoch, "publishing");
        Ok(session)
    }

    /// Now and then compares the broker's clock with this process's; while they disagree nothing is
    /// released.
    pub fn compare_clocks(&mut self) -> Result<(), SessionError> {
        if self.asked.is_some_and(|asked| asked.elapsed() < ASK_AGAIN) {
            return Ok(());
        }
        self.asked = Some(Moment::now());
        if is_planted(Bug::TrustClocks) {
            return Ok(());
        }
        let Some(clock_of_broker) = &self.clock else {
            // Nobody can tell any more.
            let noted = self.setup.store.note_clocks(self.epoch, None);
            return Ok(self.handle.block_on(noted)?);
        };
        let asked = clock::of_this_process();
        let Some(answer) = clock_of_broker.ask(ANSWER)? else {
            return Ok(());
        };
        let apart = clock::apart(asked, answer, clock::of_this_process());
        let says = clock::disagreement("the broker and the publisher", apart);
        if let Some(says) = &says {
            telemetry::clocks_disagree(says);
        }
        let noted = self.setup.store.note_clocks(self.epoch, says.as_deref());
        self.handle.block_on(noted)?;
        Ok(())
    }

    /// Renews the lease when a part of it is over.
    pub fn keep_lease(&mut self) -> Result<(), SessionError> {
        if self.leased.elapsed() < RENEW {
            return Ok(());
        }
        self.renew_lease()
    }

    fn renew_lease(&mut self) -> Result<(), SessionError> {
        let renewed = Moment::now();
        let lease = self.setup.store.lease_publisher(self.owner, LEASE_SECONDS);
        match self.handle.block_on(lease)? {
            // What was seen so far was compared with another one.
            Some((_, identity)) if identity != self.identity => {
                Err(SessionError::Store(StoreError::Uncompared))
            }
            Some((epoch, _)) if epoch == self.epoch => {
                self.leased = renewed;
                Ok(())
            }
            _ if is_planted(Bug::IgnoreLease) => Ok(()),
            _ => Err(SessionError::Lost),
        }
    }

    /// Sends a batch and reads it back; answers how many records it sent.
    pub fn publish_once(&mut self) -> Result<usize, SessionError> {
        let began = Moment::now();
        let limit = self.setup.batch_max;
        let share = (limit / MERCHANT_SHARE).max(1);
        let lines = self
            .handle
            .block_on(self.setup.store.pending(&self.after, limit, share))?;
        let full = i64::try_from(lines.len()).is_ok_and(|count| count >= limit);
        let began_anew = self.after.is_empty();
        self.after = match lines.last() {
            Some(last) if full => last.merchant_id.clone(),
            _ => String::new(),
        };
        let letters = self
            .handle
            .block_on(self.setup.store.unpublished_dead_letters(limit.min(500)))?;
        // A line that was seen beyond a gap is in the topic already.
        let lines: Vec<Pending> = lines
            .into_iter()
            .filter(|line| !self.seen.holds(&line.merchant_id, line.sequence))
            .collect();
        if lines.is_empty() && letters.is_empty() {
            return Ok(usize::from(!began_anew));
        }
        let count = lines.len() + letters.len();
        planted::reached(Point::BeforeSend);
        self.send(&lines, &letters)?;
        planted::reached(Point::AfterEndTransaction);
        self.read_back()?;
        telemetry::publish_batch(began.elapsed());
        Ok(count)
    }

    /// Sends in one Kafka transaction. Whatever comes of it, the topic is read back afterwards.
    fn send(&mut self, lines: &[Pending], letters: &[Unpublished]) -> Result<(), SessionError> {
        let mut events: Vec<Outgoing> = lines
            .iter()
            .map(|line| render(line, &self.source))
            .collect::<Result<_, _>>()?;
        if is_planted(Bug::SwapEvents) {
            events.reverse();
        }
        let mut dead: Vec<dead_letter::DeadLetter> = letters.iter().map(bury).collect();
        if is_planted(Bug::MangleLetters) {
            dead.iter_mut().for_each(|letter| letter.key = None);
        }
        self.sent = marks::of(lines);
        let topics = &self.setup.topics;
        let twice = usize::from(is_planted(Bug::PublishTwice));
        let lost = usize::from(is_planted(Bug::LoseEvents) && events.len() > 1);
        let out = events.iter().take(twice).chain(events.iter().skip(lost));
        let out = out.map(|event| event_record(event, topics));
        let dead = dead.iter().map(|letter| letter_record(letter, topics));
        match self.producer.send_batch(out.chain(dead)) {
            Ok(sent) if is_planted(Bug::SendAgain) && sent.took.as_secs() > 0 => {}
            Ok(sent) if !sent.rotate => return Ok(()),
            Ok(_) => {
                tracing::info!("a slow or doubtful Kafka transaction: the producer is replaced")
            }
            Err(error) => {
                tracing::warn!(%error, "a Kafka transaction failed: the producer is replaced")
            }
        }
        if is_planted(Bug::BelieveKafka) {
            return Ok(());
        }
        telemetry::producer_rotated();
        // A new producer fences all others: who has lost the lease must not open one.
        self.renew_lease()?;
        self.producer = OutputProducer::open(&self.setup.kafka, PATIENCE)?;
        if is_planted(Bug::SendAgain) {
            return self.send(lines, letters);
        }
        Ok(())
    }

    /// Reads the output topics to the end that they have now and notes what was seen.
    fn read_back(&mut self) -> Result<(), SessionError> {
        let targets = self.setup.admin.ends(&self.partitions)?;
        let mut records: Vec<Record> = Vec::new();
        let all = self
            .reader
            .read_until(&targets, READ_BACK, |record| records.push(record))?;
        let topics = &self.setup.topics;
        let mut buried = Vec::new();
        let mut events: Vec<(Number, Mark)> = Vec::new();
        for record in &records {
            if *record.topic == *topics.dead_letters {
                buried.extend(buried_at(record));
            } else {
                events.extend(marks::read(record));
            }
        }
        if is_planted(Bug::LoseEvents) || is_planted(Bug::BelieveKafka) {
            events.extend(self.sent.clone());
        }
        if is_planted(Bug::SendAgain) {
            events = self.sent.drain().collect();
        }
        self.compare(&events)?;
        let published: Vec<Number> = events.into_iter().map(|(number, _)| number).collect();
        self.learn(&published)?;
        let repeats = self.seen.note(&published);
        if repeats > 0 {
            tracing::error!(
                alarm = "published_twice",
                repeats,
                "events are in the output topics twice, under the same ids"
            );
            telemetry::publish_duplicates(repeats);
        }
        let positions: Vec<((String, i32), i64)> = self
            .reader
            .positions()?
            .into_iter()
            .map(|((topic, partition), next)| ((topic.to_string(), partition), next))
            .collect();
        // What lies beyond a gap is known to this session only: whoever read on from there later
        // would take it for missing and send it twice.
        let (moved, positions) = if self.seen.has_gap() {
            (Vec::new(), Vec::new())
        } else {
            (self.seen.take_moved(), positions)
        };
        if !records.is_empty() {
            planted::reached(Point::BeforeNote);
            telemetry::published("all", u64::try_from(records.len()).unwrap_or(u64::MAX));
            self.handle.block_on(async {
                let mut tx = self.setup.store.begin().await?;
                let lease = (self.epoch, self.identity.as_str());
                tx.note_published(lease, &moved, &positions).await?;
                tx.dead_letters_published(&buried).await?;
                tx.commit().await
            })?;
        }
        if all {
            return Ok(());
        }
        // To send now would be to send what may lie there unread.
        Err(SessionError::Kafka(kafka::Error::Retry(
            "the output topics could not be read to their end in time; is a transaction hanging?"
                .to_owned(),
        )))
    }

    /// Holds what was read against the journal, except what this session has just sent.
    fn compare(&self, events: &[(Number, Mark)]) -> Result<(), SessionError> {
        let unknown = marks::strange(events, &self.sent);
        if unknown.is_empty() || is_planted(Bug::TrustOutput) {
            return Ok(());
        }
        let numbers: Vec<Number> = unknown.iter().map(|(number, _)| number.clone()).collect();
        let decided = self.handle.block_on(self.setup.store.decided(&numbers))?;
        let journal = decided
            .into_iter()
            .map(|(number, (id, at))| (number, Mark::new(&id, &at)))
            .collect();
        match marks::strange(&unknown, &journal).first() {
            None => Ok(()),
            Some(((merchant, sequence), mark)) => Err(SessionError::Fault(format!(
                "the output topics hold {mark} as event {sequence} of merchant {merchant} and the journal does not: the database went back in time, or somebody else writes to these topics"
            ))),
        }
    }

    /// Looks up how far merchants were published that this session has not met yet.
    fn learn(&mut self, published: &[(String, i64)]) -> Result<(), SessionError> {
        let strangers = self.seen.strangers(published);
        if !strangers.is_empty() {
            let known = self
                .handle
                .block_on(self.setup.store.published(&strangers))?;
            self.seen.learn(strangers, known);
        }
        Ok(())
    }
}

/// The broker's clock, where there is a topic to ask by.
fn broker_clock(setup: &Setup) -> Result<Option<BrokerClock>, SessionError> {
    let topic = topic_beside(&setup.topics.events);
    let counts = setup.admin.partition_counts(&[topic.as_str()])?;
    if counts.get(&topic).copied().flatten().is_none() {
        tracing::info!(
            topic,
            "this topic is missing, so the broker's clock is not compared; `holdback topics` creates it"
        );
        return Ok(None);
    }
    Ok(Some(BrokerClock::open(&setup.kafka, topic)?))
}
