//! Each section out of its settings: names, defaults and bounds, as the structs document them.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use tracing_subscriber::EnvFilter;

use super::source::Reader;
use super::{
    Approval, Config, ConfigErrors, Database, Http, Ingest, IngestStart, Kafka, Log, LogFormat,
    OnUnreadable, Parked, Payout, Publish, Refund, Release, ReleaseMode, Reviews, Shutdown, Topics,
};
use crate::rules::money::{Amount, Currency};
use crate::rules::time::Instant;

impl Config {
    /// Reads the file, if there is one, lays the environment over it and checks every value.
    ///
    /// # Errors
    /// Every wrong key and value, named as it was given.
    pub fn load(
        path: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(path, env)?;
        let name = reader.text("name", "holdback");
        let config = Self {
            database: Database {
                url: reader.secret("database.url"),
                max_connections: reader.whole("database.max_connections", 8, 2..=200),
                insecure_dev: reader.flag("database.insecure_dev", false),
            },
            kafka: Kafka::read(&mut reader, &name),
            name,
            topics: Topics::read(&mut reader),
            ingest: Ingest::read(&mut reader),
            release: Release::read(&mut reader),
            approval: Approval::read(&mut reader),
            publish: Publish {
                batch_max: reader.whole("publish.batch_max", 2_000, 1..=50_000),
            },
            parked: Parked {
                alarm_hours: reader.whole("parked.alarm_hours", 24, 1..=8_760),
            },
            refund: Refund {
                wait_hours: reader.whole("refund.wait_hours", 168, 1..=8_760),
            },
            payout: Payout {
                reissue_after_hours: reader.whole("payout.reissue_after_hours", 0, 0..=8_760),
                max_attempts: reader.whole("payout.max_attempts", 3, 1..=100),
            },
            reviews: Reviews {
                trust_events: reader.flag("reviews.trust_events", false),
            },
            http: Http {
                addr: reader.parsed("http.addr", "127.0.0.1:8080", |text| {
                    text.parse()
                        .map_err(|_| "an address such as 127.0.0.1:8080".to_owned())
                }),
            },
            log: Log {
                format: reader.one_of(
                    "log.format",
                    &[("json", LogFormat::Json), ("human", LogFormat::Human)],
                ),
                level: reader.parsed("log.level", "info", |text| {
                    EnvFilter::try_new(text)
                        .map(|_| text.to_owned())
                        .map_err(|_| "error, warn, info, debug, trace or filters".to_owned())
                }),
            },
            shutdown: Shutdown {
                deadline_seconds: reader.whole("shutdown.deadline_seconds", 30, 1..=3_600),
            },
        };
        let url = config.database.url.expose_secret();
        if !(url.is_empty() || url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            reader.complain("database.url does not begin with postgres://".to_owned());
        }
        reader.finish().map(|()| config)
    }
}

impl Topics {
    fn read(reader: &mut Reader) -> Self {
        let mut name = |key: &str, default: &str| {
            reader.parsed(key, default, |text| {
                let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
                let legal = (1..=249).contains(&text.len()) && text.chars().all(plain);
                let legal = legal && text != "." && text != "..";
                legal
                    .then(|| text.to_owned())
                    .ok_or_else(|| "a topic name: letters, digits, . _ -, at most 249".to_owned())
            })
        };
        let topics = Self {
            order_completed: name("topics.order_completed", "order-completed"),
            refund: name("topics.refund", "refund"),
            dispute: name("topics.dispute", "dispute"),
            merchant: name("topics.merchant", "merchant"),
            payout_result: name("topics.payout_result", "payout-result"),
            releases: name("topics.releases", "holdback-releases"),
            events: name("topics.events", "holdback-events"),
            dead_letters: name("topics.dead_letters", "holdback-dead-letters"),
        };
        let mut seen = BTreeMap::new();
        for topic in topics.inputs().into_iter().chain(topics.outputs()) {
            *seen.entry(topic).or_insert(0_u32) += 1;
        }
        for (topic, _) in seen.into_iter().filter(|(_, uses)| *uses > 1) {
            reader.complain(format!(
                "topics: {topic:?} is used twice; each topic is its own"
            ));
        }
        topics
    }
}

impl Ingest {
    fn read(reader: &mut Reader) -> Self {
        let start = |text: &str| match text {
            "earliest" => Ok(IngestStart::Earliest),
            "latest" => Ok(IngestStart::Latest),
            _ => instant(text)
                .map(IngestStart::At)
                .map_err(|expected| format!("earliest, latest or {expected}")),
        };
        Self {
            start: reader.optional("ingest.start", start),
            workers: reader.whole("ingest.workers", 2, 1..=64),
            batch_max: reader.whole("ingest.batch_max", 2_000, 1..=50_000),
            linger_ms: reader.whole("ingest.linger_ms", 20, 0..=10_000),
            horizon_days: reader.whole("ingest.horizon_days", 730, 1..=36_500),
            time_ahead_hours: reader.whole("ingest.time_ahead_hours", 24, 0..=8_760),
            time_behind_days: reader.whole("ingest.time_behind_days", 400, 1..=36_500),
            breaker_consecutive: reader.whole("ingest.breaker_consecutive", 500, 1..=u32::MAX),
            facts_per_order: reader.whole("ingest.facts_per_order", 10_000, 1..=1_000_000),
            on_unreadable: reader.one_of(
                "ingest.on_unreadable",
                &[
                    ("dead_letter", OnUnreadable::DeadLetter),
                    ("halt", OnUnreadable::Halt),
                ],
            ),
        }
    }
}

impl Release {
    fn read(reader: &mut Reader) -> Self {
        Self {
            not_before: reader.optional("release.not_before", instant),
            margin_seconds: reader.whole("release.margin_seconds", 0, 0..=86_400),
            max_staleness_seconds: reader.whole("release.max_staleness_seconds", 30, 1..=86_400),
            batch_max: reader.whole("release.batch_max", 2_000, 1..=50_000),
            mode: reader.one_of(
                "release.mode",
                &[("live", ReleaseMode::Live), ("shadow", ReleaseMode::Shadow)],
            ),
            live_from: reader.optional("release.live_from", |text| {
                text.parse()
                    .map_err(|_| "a date such as 2026-12-01".to_owned())
            }),
        }
    }
}

impl Approval {
    /// One key per currency: `approval.above.EUR`, `HOLDBACK_APPROVAL_ABOVE_EUR`.
    fn read(reader: &mut Reader) -> Self {
        let variables = "HOLDBACK_APPROVAL_ABOVE_";
        let mut above = BTreeMap::new();
        for (code, setting) in reader.below("approval.above.", variables, str::to_owned) {
            let currency = Currency::from_code(&code);
            let given = setting.value.expose_secret();
            let amount = currency.and_then(|it| Amount::parse(given, it).ok());
            match currency.zip(amount) {
                Some((currency, amount)) => drop(above.insert(currency, amount)),
                None => reader.complain(format!(
                    "{} is {given:?}, expected an amount, by a currency",
                    setting.origin
                )),
            }
        }
        Self { above }
    }
}

/// An RFC 3339 instant with its offset.
fn instant(text: &str) -> Result<Instant, String> {
    text.parse::<Timestamp>()
        .map(Instant::new)
        .map_err(|_| "an instant such as 2026-11-01T00:00:00+08:00".to_owned())
}
