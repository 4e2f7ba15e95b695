//! Configuration: a TOML file and the environment, read and checked once, at start.
//!
//! Key `k` of section `[s]` is the variable `HOLDBACK_S_K`, and the variable wins. Whatever is
//! wrong is reported at once, each by the name under which it was given. Nothing else in holdback
//! reads the environment. Secrets never print.

mod kafka;
mod read;
mod source;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use jiff::civil::Date;
use secrecy::SecretString;

use crate::rules::money::{Amount, Currency};
use crate::rules::time::Instant;

/// Everything that can be set. The documentation of each field gives its unit and default; a field
/// without a default must be given or may be left out, as its type says.
#[derive(Debug, Clone)]
pub struct Config {
    /// Names this deployment: its lease, its transactional id, the source of its events.
    /// Default `holdback`.
    pub name: String,
    pub database: Database,
    pub kafka: Kafka,
    pub topics: Topics,
    pub ingest: Ingest,
    pub release: Release,
    pub approval: Approval,
    pub publish: Publish,
    pub parked: Parked,
    pub refund: Refund,
    pub payout: Payout,
    pub reviews: Reviews,
    pub http: Http,
    pub log: Log,
    pub shutdown: Shutdown,
}

/// `[database]`
#[derive(Debug, Clone)]
pub struct Database {
    /// `postgres://user:password@host:port/database`, or `url_file`: a file that contains it. A
    /// server on another machine must prove itself (`sslmode=verify-full`), unless the URL says
    /// `sslmode=disable`. Required.
    pub url: SecretString,
    /// Connections of this process, 2 to 200. Default 8.
    pub max_connections: u32,
    /// Lets the URL turn off the check of another machine's certificate (`sslmode=require` and
    /// `verify-ca`). Default false.
    pub insecure_dev: bool,
}

/// `[kafka]`
#[derive(Debug, Clone)]
pub struct Kafka {
    /// `host:port`, several separated by commas (in the file also a list). Required.
    pub brokers: String,
    /// Consumer group, which shares partitions among processes and is what lag tools look at.
    /// Positions live in Postgres. Default: [`Config::name`].
    pub group: String,
    /// librdkafka properties by their own names; a name with `.file` appended: a file that
    /// contains the value. Those that would break a promise are refused.
    pub properties: BTreeMap<String, SecretString>,
    /// Lets `properties` turn off the check of the brokers' certificates. Default false.
    pub insecure_dev: bool,
}

/// `[topics]`: names, each with the default seen in `deploy/topics.yaml`.
#[derive(Debug, Clone)]
pub struct Topics {
    /// Default `order-completed`.
    pub order_completed: String,
    /// Default `refund`.
    pub refund: String,
    /// Default `dispute`.
    pub dispute: String,
    /// Default `merchant`.
    pub merchant: String,
    /// Default `payout-result`.
    pub payout_result: String,
    /// Default `holdback-releases`.
    pub releases: String,
    /// Default `holdback-events`.
    pub events: String,
    /// Default `holdback-dead-letters`.
    pub dead_letters: String,
}

impl Topics {
    /// The topics that are read.
    #[must_use]
    pub fn inputs(&self) -> [&str; 5] {
        [
            &self.order_completed,
            &self.refund,
            &self.dispute,
            &self.merchant,
            &self.payout_result,
        ]
    }

    /// The topics that are written.
    #[must_use]
    pub fn outputs(&self) -> [&str; 3] {
        [&self.releases, &self.events, &self.dead_letters]
    }
}

/// `[ingest]`
#[derive(Debug, Clone)]
pub struct Ingest {
    /// Where the very first start begins to read: `earliest`, `latest` or an RFC 3339 instant.
    /// Without it a deployment that has no positions yet does not start.
    pub start: Option<IngestStart>,
    /// Workers of this process, each with partitions of its own, 1 to 64. Default 2.
    pub workers: u32,
    /// Messages per transaction, 1 to 50000. Default 2000: larger ones gain little and take memory.
    pub batch_max: u32,
    /// Milliseconds to wait for a batch to fill, 0 to 10000. Default 20.
    pub linger_ms: u32,
    /// Days for which a message is known again; never less than the topics' retention. 1 to 36500.
    /// Default 730.
    pub horizon_days: u32,
    /// Hours by which a business time may lie after its record's Kafka timestamp, 0 to 8760.
    /// Default 24.
    pub time_ahead_hours: u32,
    /// Days by which a business time may lie before its record's Kafka timestamp, 1 to 36500.
    /// Default 400.
    pub time_behind_days: u32,
    /// Bad messages in a row that halt a partition, at least 1. Default 500.
    pub breaker_consecutive: u32,
    /// Refunds, disputes, their updates, reviews, blocks and waiting messages that one order may have,
    /// 1 to 1000000; more are refused. The work on an order grows with their square. Default 10000.
    pub facts_per_order: u32,
    /// What a message about money does whose order can't be read: `dead_letter` or `halt`.
    /// Default `dead_letter`.
    pub on_unreadable: OnUnreadable,
}

/// Where the very first start begins to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IngestStart {
    Earliest,
    Latest,
    At(Instant),
}

/// What happens to a message about money whose order id can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnreadable {
    /// A dead letter and an alarm.
    DeadLetter,
    /// Its partition stops, and the freshness gate with it.
    Halt,
}

/// `[release]`
#[derive(Debug, Clone)]
pub struct Release {
    /// RFC 3339: holds due before it are shown and need a person. Without it a deployment that has
    /// never released anything does not start.
    pub not_before: Option<Instant>,
    /// Seconds by which the gate's moment must have passed a release's date, 0 to 86400. Default 0.
    pub margin_seconds: u32,
    /// Seconds by which the gate's moment may lie behind the clock, 1 to 86400. Default 30.
    pub max_staleness_seconds: u32,
    /// Holds per transaction, 1 to 50000. Default 2000: larger ones gain little and take memory.
    pub batch_max: u32,
    /// `live`, or `shadow`: decide, show and keep everything, publish no release. Default `live`.
    pub mode: ReleaseMode,
    /// The settlement date from which on a deployment that began as a shadow releases by itself; what
    /// settles before stays a shadow.
    pub live_from: Option<Date>,
}

/// Whether releases are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseMode {
    Live,
    Shadow,
}

/// `[approval]`
#[derive(Debug, Clone)]
pub struct Approval {
    /// Per currency, the most that one person may let go by an early release or by clearing a block;
    /// more needs a second person. Reviews of orders above it are not decided by messages. `EUR = "1000.00"`. Default: none, one person may let go of all.
    pub above: BTreeMap<Currency, Amount>,
}

/// `[publish]`
#[derive(Debug, Clone)]
pub struct Publish {
    /// Events per Kafka transaction, 1 to 50000. Default 2000: larger ones gain little and take memory.
    pub batch_max: u32,
}

/// `[parked]`
#[derive(Debug, Clone)]
pub struct Parked {
    /// Hours after which a fact that waits for its order raises an alarm, 1 to 8760. Default 24.
    pub alarm_hours: u32,
}

/// `[payout]`
#[derive(Debug, Clone)]
pub struct Payout {
    /// Hours after which a release whose payout has failed is issued again by itself, by the time that
    /// its answer gives; 0 to 8760. Default 0: only a person issues it again.
    pub reissue_after_hours: u32,
    /// Attempts that a release has in all, 1 to 100. Default 3.
    pub max_attempts: u32,
}

/// `[refund]`
#[derive(Debug, Clone)]
pub struct Refund {
    /// Hours for which `refund_expected` of a closed dispute stays blocked without its refunds,
    /// 1 to 8760. Default 168.
    pub wait_hours: u32,
}

/// `[reviews]`
#[derive(Debug, Clone)]
pub struct Reviews {
    /// Takes `review.decided` messages whatever the order's amount. Default false.
    pub trust_events: bool,
}

/// `[http]`
#[derive(Debug, Clone)]
pub struct Http {
    /// Address and port to listen on; port 0 takes a free one. Default `127.0.0.1:8080`.
    pub addr: SocketAddr,
}

/// `[log]`
#[derive(Debug, Clone)]
pub struct Log {
    /// `json` or `human`. Default `json`.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or filters such as
    /// `info,holdback::ingest=debug`. Default `info`.
    pub level: String,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Json,
    Human,
}

/// `[shutdown]`
#[derive(Debug, Clone)]
pub struct Shutdown {
    /// Seconds that the loops have to finish what they hold after SIGTERM, 1 to 3600. Default 30.
    pub deadline_seconds: u32,
}

/// Everything that is wrong with the configuration, one sentence each.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<String>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is wrong")?;
        for error in &self.0 {
            write!(f, "\n  {error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// The process's own environment, as far as it concerns holdback.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        let ours = name.starts_with("HOLDBACK_");
        ours.then(|| (name, value.to_string_lossy().into_owned()))
    })
}
