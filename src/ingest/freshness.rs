//! How far the input partitions reach, asked again and again: half of the freshness gate.
//!
//! A dispute that lies unread in Kafka must not be overtaken by the clock, so each partition
//! keeps the last instant at which everything in it was known to be applied.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::assignment::Assignment;
use super::stuck::Stuck;
use crate::http::Heartbeat;
use crate::kafka::{self, Admin, KafkaSettings, Partition};
use crate::planted::{Bug, is_planted};
use crate::rules::time::Instant;
use crate::store::{Store, StoreError};
use crate::telemetry;

/// How often the ends are asked for.
const EVERY: Duration = Duration::from_millis(200);
/// How often the number of partitions is asked for.
const PARTITIONS_EVERY: u32 = 25;

/// Where the partitions ended shortly after an instant.
#[derive(Debug, Clone)]
pub struct Ends {
    /// The time just before the question was asked.
    pub at: Instant,
    /// High watermarks.
    pub ends: Arc<HashMap<Partition, i64>>,
    /// The partitions that end before where they were read to, with both.
    beyond: HashMap<Partition, (i64, i64)>,
}

/// What a worker knows of the freshness of its partitions.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    /// The ends that each partition has yet to reach, with when they were asked for.
    pending: HashMap<Partition, (Instant, i64)>,
    /// How fresh each partition was found to be.
    found: HashMap<Partition, Instant>,
}

/// Partitions by their topic's name, each with where it stands.
type Standing = Vec<((String, i32), i64)>;

impl Fresh {
    /// The partitions that have reached the ends asked for at an instant, by that instant.
    /// `positions` is how far the consumer has read: past transaction markers too.
    pub(super) fn reached(
        &mut self,
        latest: &Ends,
        assignment: &Assignment,
        positions: &HashMap<Partition, i64>,
    ) -> HashMap<Instant, Standing> {
        let mut reached: HashMap<Instant, Standing> = HashMap::new();
        for (partition, owned) in &assignment.partitions {
            let unrecognised = owned.fingerprint.is_some() && owned.start < owned.next;
            let asked = self.pending.contains_key(partition);
            if unrecognised || !asked && self.found.get(partition) == Some(&latest.at) {
                continue;
            }
            let Some(end) = latest.ends.get(partition) else {
                continue;
            };
            let pending = self.pending.entry(partition.clone());
            let (at, target) = *pending.or_insert((latest.at, *end));
            let read = positions.get(partition).copied().unwrap_or(owned.next);
            if read.max(owned.next) >= target {
                let key = (partition.0.to_string(), partition.1);
                reached.entry(at).or_default().push((key, owned.next));
                self.pending.remove(partition);
                self.found.insert(partition.clone(), at);
            }
        }
        reached
    }
}

/// What kept a round of questions from being answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
}

/// Asks for the ends of all partitions of these topics until stopped, and notes partitions that
/// are new.
pub async fn run(
    store: Store,
    (kafka, admin): (KafkaSettings, Arc<Admin>),
    topics: Vec<String>,
    ends: watch::Sender<Option<Ends>>,
    heartbeat: Heartbeat,
    stop: CancellationToken,
) {
    let mut partitions: Vec<Partition> = Vec::new();
    let mut round = 0_u32;
    let mut beyond: HashSet<Partition> = HashSet::new();
    let mut stuck = Stuck::default();
    while !stop.is_cancelled() {
        heartbeat.beat();
        if round.is_multiple_of(PARTITIONS_EVERY) || partitions.is_empty() {
            match note_partitions(&store, (&admin, &stop), &topics).await {
                Ok(found) => partitions = found,
                Err(error) => tracing::warn!(%error, "could not ask for the partitions"),
            }
        }
        round = round.wrapping_add(1);
        match ends_of(&store, (&admin, &stop), &partitions).await {
            Ok(answer) => {
                if let Err(error) = halt_lost(&store, &answer, &mut beyond).await {
                    tracing::warn!(%error, "could not halt partitions");
                }
                if round.is_multiple_of(PARTITIONS_EVERY)
                    && let Err(error) =
                        look_behind(&store, &kafka, &answer, &mut stuck, &stop).await
                {
                    tracing::info!(%error, "could not look how far behind the input is");
                }
                ends.send_replace(Some(answer));
            }
            Err(error) => tracing::warn!(%error, "could not ask where the partitions end"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn ends_of(
    store: &Store,
    asker: Asker<'_>,
    partitions: &[Partition],
) -> Result<Ends, AskError> {
    // Before the question: a position that lies beyond the answer can't have got there since.
    let positions = store.next_offsets().await?;
    let at = store.now().await?;
    store.forget_moments_ahead(at).await?;
    let wanted = partitions.to_vec();
    let mut ends = ask(asker, move |admin| admin.ends(&wanted)).await?;
    let mut beyond = HashMap::new();
    for ((topic, partition), next) in positions {
        let key = (Arc::from(topic), partition);
        let lost = |end: &i64| *end < next && !is_planted(Bug::TrustInput);
        if let Some(end) = ends.get(&key).copied().filter(lost) {
            // What lies there is not what was read: nobody is fresh by it.
            ends.remove(&key);
            beyond.insert(key, (next, end));
        }
    }
    Ok(Ends {
        at,
        ends: Arc::new(ends),
        beyond,
    })
}

/// Halts partitions that end before where they were read to, twice in a row: their topic was made anew or
/// cut short. `before` are those that did when they were asked last.
async fn halt_lost(
    store: &Store,
    latest: &Ends,
    before: &mut HashSet<Partition>,
) -> Result<(), StoreError> {
    for (partition, (next, end)) in &latest.beyond {
        if !before.contains(partition) {
            continue;
        }
        let key = (partition.0.to_string(), partition.1);
        let why = format!("the position {next} lies beyond the log's end {end}");
        tracing::error!(alarm = "input_lost", topic = %key.0, partition = key.1, why, "this partition is halted; see the README, \"When the input was lost\"");
        store.halt(&key, &why).await?;
    }
    *before = latest.beyond.keys().cloned().collect();
    Ok(())
}

/// Shows how many messages of each topic are not applied yet, and looks after what is not read on.
async fn look_behind(
    store: &Store,
    kafka: &KafkaSettings,
    latest: &Ends,
    stuck: &mut Stuck,
    stop: &CancellationToken,
) -> Result<(), AskError> {
    let positions = store.all_positions().await?;
    stuck.look(store, kafka, (&positions, latest), stop).await?;
    let mut lag: HashMap<String, u64> = HashMap::new();
    for ((topic, partition), position) in positions {
        let end = latest.ends.get(&(Arc::from(topic.as_str()), partition));
        let behind = end.map_or(0, |end| end - position.next_offset.unwrap_or_default());
        *lag.entry(topic).or_default() += u64::try_from(behind).unwrap_or_default();
    }
    for (topic, messages) in lag {
        telemetry::ingest_lag(&topic, messages);
    }
    Ok(())
}

async fn note_partitions(
    store: &Store,
    asker: Asker<'_>,
    topics: &[String],
) -> Result<Vec<Partition>, AskError> {
    let wanted = topics.to_vec();
    let counts = ask(asker, move |admin| {
        let names: Vec<&str> = wanted.iter().map(String::as_str).collect();
        admin.partition_counts(&names)
    })
    .await?;
    let mut partitions = Vec::new();
    for topic in topics {
        let count = counts.get(topic).copied().flatten().unwrap_or_default();
        let name: Arc<str> = Arc::from(topic.as_str());
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        partitions.extend((0..count).map(|partition| (Arc::clone(&name), partition)));
    }
    let rows: Vec<(String, i32)> = partitions
        .iter()
        .map(|(topic, partition)| (topic.to_string(), *partition))
        .collect();
    store.note_partitions(&rows).await?;
    Ok(partitions)
}

/// Who asks the brokers, and until when.
pub(super) type Asker<'a> = (&'a Arc<Admin>, &'a CancellationToken);

/// Asks the brokers where that may block. Told to stop it waits no longer: the question ends by itself.
pub(super) async fn ask<T: Send + 'static>(
    (admin, stop): Asker<'_>,
    question: impl FnOnce(&Admin) -> Result<T, kafka::Error> + Send + 'static,
) -> Result<T, kafka::Error> {
    let admin = Arc::clone(admin);
    blocking(stop, move || question(&admin)).await
}

/// The same with any call to a Kafka client.
pub(super) async fn blocking<T: Send + 'static>(
    stop: &CancellationToken,
    call: impl FnOnce() -> Result<T, kafka::Error> + Send + 'static,
) -> Result<T, kafka::Error> {
    let answer = tokio::task::spawn_blocking(call);
    tokio::select! {
        answer = answer => answer.unwrap_or_else(|error| Err(kafka::Error::Retry(error.to_string()))),
        () = stop.cancelled() => Err(kafka::Error::Retry("stopping".to_owned())),
    }
}
