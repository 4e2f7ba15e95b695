//! Logs and metrics: how both are set up, and every metric's name, unit and meaning in one place.
//!
//! No metric carries a merchant or an order. The one place where numbers may become floats: the
//! Prometheus format has nothing else.

use std::io::IsTerminal as _;
use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::TryInitError;

use crate::config::{Log, LogFormat};

/// Input messages, by `type` and `outcome` (see [`Outcome`]).
pub const EVENTS_TOTAL: &str = "holdback_events_total";
/// Dead letters written, by `reason` as in the contract's section 10.
pub const DEAD_LETTERS_TOTAL: &str = "holdback_dead_letters_total";
/// Seconds that one ingest batch took from its first message to its commit.
pub const INGEST_BATCH_SECONDS: &str = "holdback_ingest_batch_seconds";
/// Ingest batches that were tried again, by `cause`.
pub const INGEST_RETRIES_TOTAL: &str = "holdback_ingest_retries_total";
/// Messages between the applied position and the end of the topic, by `topic`.
pub const INGEST_LAG: &str = "holdback_ingest_lag";
/// Releases decided.
pub const RELEASES_TOTAL: &str = "holdback_releases_total";
/// Seconds that one release batch took.
pub const RELEASE_BATCH_SECONDS: &str = "holdback_release_batch_seconds";
/// Seconds by which the oldest hold that could go is overdue; 0 when there is none.
pub const RELEASE_OVERDUE_SECONDS: &str = "holdback_release_overdue_seconds";
/// Seconds by which the freshness gate's moment lies behind the clock.
pub const GATE_AGE_SECONDS: &str = "holdback_gate_age_seconds";
/// 1 when the freshness gate lets releases pass, 0 when it is closed.
pub const GATE_OPEN: &str = "holdback_gate_open";
/// Events read back from the output topics, by `topic`.
pub const PUBLISHED_TOTAL: &str = "holdback_published_total";
/// Seconds that one batch took from its first send until it was read back.
pub const PUBLISH_BATCH_SECONDS: &str = "holdback_publish_batch_seconds";
/// Events that were found twice in an output topic.
pub const PUBLISH_DUPLICATES_TOTAL: &str = "holdback_publish_duplicates_total";
/// Output producers replaced because a Kafka transaction was slow or failed.
pub const PRODUCER_ROTATED_TOTAL: &str = "holdback_producer_rotated_total";
/// Seconds since the oldest event that is not yet read back was decided; 0 when there is none.
pub const UNPUBLISHED_SECONDS: &str = "holdback_unpublished_seconds";
/// Facts that wait for what they belong to.
pub const PARKED: &str = "holdback_parked";
/// 1 while the alarm `name` stands, 0 when it has been settled.
pub const ALARM: &str = "holdback_alarm";
/// Always 1; `version` says which holdback runs.
pub const BUILD_INFO: &str = "holdback_build_info";

/// Upper bounds, in seconds, of the buckets of every histogram.
#[expect(clippy::disallowed_types, reason = "the exporter takes nothing else")]
const BUCKETS: &[f64] = &[
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

const COUNTERS: &[(&str, &str)] = &[
    (EVENTS_TOTAL, "Input messages, by type and outcome."),
    (DEAD_LETTERS_TOTAL, "Dead letters written, by reason."),
    (
        INGEST_RETRIES_TOTAL,
        "Ingest batches tried again, by cause.",
    ),
    (RELEASES_TOTAL, "Releases decided."),
    (
        PUBLISHED_TOTAL,
        "Events read back from the output topics, by topic.",
    ),
    (
        PUBLISH_DUPLICATES_TOTAL,
        "Events found twice in an output topic.",
    ),
    (
        PRODUCER_ROTATED_TOTAL,
        "Output producers replaced after a slow or failed transaction.",
    ),
];

const GAUGES: &[(&str, &str)] = &[
    (INGEST_LAG, "Messages not yet applied, by topic."),
    (
        RELEASE_OVERDUE_SECONDS,
        "By how much the oldest hold that could go is overdue.",
    ),
    (
        GATE_AGE_SECONDS,
        "By how much the freshness gate lies behind the clock.",
    ),
    (GATE_OPEN, "1 when the freshness gate lets releases pass."),
    (
        UNPUBLISHED_SECONDS,
        "Age of the oldest event not yet read back.",
    ),
    (PARKED, "Facts that wait for what they belong to."),
    (ALARM, "1 while the named alarm stands."),
    (BUILD_INFO, "Always 1; the label says which version runs."),
];

const HISTOGRAMS: &[(&str, &str)] = &[
    (
        INGEST_BATCH_SECONDS,
        "One ingest batch, first message to commit.",
    ),
    (RELEASE_BATCH_SECONDS, "One release batch."),
    (
        PUBLISH_BATCH_SECONDS,
        "One publish batch, first send to read back.",
    ),
];

/// What became of an input message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It took effect.
    Applied,
    /// It is kept until what it belongs to comes.
    Kept,
    /// It was known already.
    Duplicate,
    /// It could not be accepted.
    DeadLetter,
    /// It had no value.
    Tombstone,
}

impl Outcome {
    fn label(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Kept => "kept",
            Self::Duplicate => "duplicate",
            Self::DeadLetter => "dead_letter",
            Self::Tombstone => "tombstone",
        }
    }
}

/// Sends logs to standard error: one JSON object per line, or lines for people. A panic is a log
/// line too.
///
/// # Errors
/// When a subscriber has been set before.
pub fn start_logs(log: &Log) -> Result<(), TryInitError> {
    use tracing_subscriber::util::SubscriberInitExt as _;
    let filter = EnvFilter::try_new(&log.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(panic = %panic, "this is a bug in holdback");
    }));
    match log.format {
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .finish()
            .try_init(),
        LogFormat::Human => lines
            .compact()
            .with_ansi(std::io::stderr().is_terminal())
            .finish()
            .try_init(),
    }
}

/// An error with everything that caused it, in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// Installs the recorder of this process and describes every metric. The handle renders them and
/// wants [`PrometheusHandle::run_upkeep`] every few seconds while nobody asks.
///
/// # Errors
/// When a recorder has been installed before.
pub fn start_metrics() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), BUCKETS)?
        .install_recorder()?;
    describe();
    gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1_u32);
    Ok(handle)
}

fn describe() {
    let unit = |name: &str| {
        if name.ends_with("_seconds") {
            Unit::Seconds
        } else {
            Unit::Count
        }
    };
    for (name, help) in COUNTERS {
        describe_counter!(*name, unit(name), *help);
    }
    for (name, help) in GAUGES {
        describe_gauge!(*name, unit(name), *help);
    }
    for (name, help) in HISTOGRAMS {
        describe_histogram!(*name, unit(name), *help);
    }
}

/// Counts input messages of one type with one outcome.
pub fn events(kind: &'static str, outcome: Outcome, count: u64) {
    counter!(EVENTS_TOTAL, "type" => kind, "outcome" => outcome.label()).increment(count);
}

/// Counts dead letters of one reason.
pub fn dead_letters(reason: &'static str, count: u64) {
    counter!(DEAD_LETTERS_TOTAL, "reason" => reason).increment(count);
}

/// Notes how long an ingest batch took.
pub fn ingest_batch(took: Duration) {
    histogram!(INGEST_BATCH_SECONDS).record(took);
}

/// Counts an ingest batch that is tried again.
pub fn ingest_retry(cause: &'static str) {
    counter!(INGEST_RETRIES_TOTAL, "cause" => cause).increment(1);
}

/// Says how many messages of a topic are not yet applied.
pub fn ingest_lag(topic: &str, messages: u64) {
    gauge!(INGEST_LAG, "topic" => topic.to_owned()).set(level(messages));
}

/// Counts the releases of one batch and notes how long it took.
pub fn release_batch(releases: u64, took: Duration) {
    counter!(RELEASES_TOTAL).increment(releases);
    histogram!(RELEASE_BATCH_SECONDS).record(took);
}

/// Says by how much the oldest hold that could go is overdue.
pub fn release_overdue(by: Duration) {
    gauge!(RELEASE_OVERDUE_SECONDS).set(by);
}

/// Says whether the freshness gate is open, and how far it lies behind the clock if that is known.
pub fn gate(open: bool, age: Option<Duration>) {
    if let Some(age) = age {
        gauge!(GATE_AGE_SECONDS).set(age);
    }
    gauge!(GATE_OPEN).set(u32::from(open));
}

/// Counts an output producer that was replaced because its transaction was slow or failed.
pub fn producer_rotated() {
    counter!(PRODUCER_ROTATED_TOTAL).increment(1);
}

/// Counts events of one topic that were read back.
pub fn published(topic: &str, events: u64) {
    counter!(PUBLISHED_TOTAL, "topic" => topic.to_owned()).increment(events);
}

/// Notes how long a publish batch took.
pub fn publish_batch(took: Duration) {
    histogram!(PUBLISH_BATCH_SECONDS).record(took);
}

/// Counts events that were found twice in an output topic.
pub fn publish_duplicates(count: u64) {
    counter!(PUBLISH_DUPLICATES_TOTAL).increment(count);
}

/// Says how long the oldest event has waited to be read back.
pub fn unpublished(age: Duration) {
    gauge!(UNPUBLISHED_SECONDS).set(age);
}

/// Says how many facts wait.
pub fn parked(facts: u64) {
    gauge!(PARKED).set(level(facts));
}

/// Raises or settles a named alarm.
pub fn alarm(name: &'static str, stands: bool) {
    gauge!(ALARM, "name" => name).set(u32::from(stands));
}

/// Logs that two clocks disagree; the alarm itself stands while they do.
pub fn clocks_disagree(says: &str) {
    tracing::error!(
        alarm = "clocks_disagree",
        says,
        "nothing is released; see the README, \"When clocks disagree\""
    );
}

/// A level for a gauge, which takes no more than 32 bits exactly.
fn level(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
