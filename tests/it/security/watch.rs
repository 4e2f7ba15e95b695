//! Runs holdback with right and wrong settings and keeps everything that it says.
//!
//! Guarantees that no secret stands in any of it.

use std::thread;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::harness::facts::{Fact, agreement, order};
use crate::harness::process::{Ended, Process, holdback, run_to_end};
use crate::harness::{Message, TestBed};

const ALL: &str = "ingest,release,publish,http";

/// What is said of a way that is not encrypted.
const OPEN: &str =
    "not encrypted: who can reach this network can read and forge what decides about money";

/// Variables and their values; an empty value takes away.
pub type Settings = Vec<(String, String)>;

/// What a wrong setting is called, the settings, and what must be said of it.
pub type Wrong<'a> = (&'a str, Settings, &'a [&'a str]);

/// What holdback has said so far, and what must not be among it.
pub struct Watch<'a> {
    bed: &'a TestBed,
    secrets: Vec<String>,
}

impl<'a> Watch<'a> {
    pub fn new(bed: &'a TestBed, secrets: &[&str]) -> Self {
        let secrets = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        Self { bed, secrets }
    }

    fn keeps_secrets(&self, what: &str, said: &str) {
        for secret in &self.secrets {
            assert!(!said.contains(secret), "{what} tells a secret: {said}");
        }
    }

    /// Runs a command that must succeed.
    pub fn works(&self, arguments: &[&str], settings: &Settings) -> String {
        let ended = run_to_end(holdback(self.bed, arguments, &borrowed(settings)));
        self.keeps_secrets("a command", &ended.said);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.said);
        ended.said
    }

    /// Sends a sale that is due at once, and runs the service until its release is in the topic.
    pub fn pays(&self, merchant: &str, settings: &Settings) {
        let terms = json!({ "terms": [
            { "name": "sale", "rate_bps": 10000, "days": 0, "count": "instant" }] });
        let completed = now() - SignedDuration::from_hours(48);
        self.send(agreement(merchant, merchant).with(terms));
        self.send(order(merchant, "O-1", "10.00", &completed.to_string()));
        self.bed.flush();
        let mut process = Process::start(self.bed, ALL, &borrowed(settings));
        process.ready();
        process.wait_for("release", |_| {
            let releases = self.bed.read_all("holdback-releases");
            releases.iter().any(|release| {
                release.key.as_deref() == Some(merchant)
                    && release.headers["ce_type"] == "holdback.release.issued.v1"
            })
        });
        assert_eq!(process.terminate().0, Some(0));
        self.keeps_secrets(merchant, &process.log());
    }

    /// Runs the service, which must say once that the way to this server is open to everybody on it.
    pub fn warns(&self, to: &str, settings: &Settings) {
        let mut process = Process::start(self.bed, ALL, &borrowed(settings));
        process.ready();
        assert_eq!(process.terminate().0, Some(0));
        self.keeps_secrets(to, &process.log());
        let warnings = process.logged(OPEN).into_iter();
        let warnings = warnings.filter(|line| line["to"] == to && line["level"] == "WARN");
        assert_eq!(warnings.count(), 1, "{to}: {}", process.log());
    }

    fn send(&self, Fact { type_name, data }: Fact) {
        let id = format!("{:016x}", rand::random::<u64>());
        let headers = [
            ("ce_specversion", "1.0"),
            ("ce_id", &*id),
            ("ce_source", "/test"),
            ("ce_type", type_name),
        ];
        let topic = if type_name.starts_with("order") {
            "order-completed"
        } else {
            "merchant"
        };
        let value = data.to_string();
        let message = Message {
            key: data["merchant_id"].as_str(),
            headers: &headers,
            value: Some(value.as_bytes()),
            timestamp_ms: None,
        };
        self.bed.produce(topic, &message);
    }

    /// Starts the service with each of these; it must end by itself, never ready, and say why.
    pub fn refuses(&self, wrong: &[Wrong<'_>]) {
        thread::scope(|scope| {
            let runs = wrong.iter().map(|(name, settings, words)| {
                scope.spawn(move || {
                    let started = holdback(self.bed, &["run"], &borrowed(settings));
                    (name, run_to_end(started), words)
                })
            });
            for run in runs.collect::<Vec<_>>() {
                let (name, Ended { code, said, .. }, words) = run.join().expect("no panic");
                self.keeps_secrets(name, &said);
                assert!(matches!(code, Some(1 | 2)), "{name}: {code:?} {said}");
                assert!(
                    !said.contains("http listens"),
                    "{name} may be asked: {said}"
                );
                let sentence = said.lines().find(|line| line.starts_with("holdback: "));
                let sentence = sentence.unwrap_or_else(|| panic!("{name}: {said}"));
                for word in *words {
                    assert!(sentence.contains(word), "{name}: no {word:?} in {sentence}");
                }
            }
        });
    }
}

/// A setting of its own, as a variable.
pub fn setting(variable: &str, value: impl Into<String>) -> (String, String) {
    (format!("HOLDBACK_{variable}"), value.into())
}

/// With everything that it could say of secrets said.
fn borrowed(settings: &Settings) -> Vec<(&str, &str)> {
    let pairs = settings.iter();
    let mut all: Vec<(&str, &str)> = pairs.map(|(key, value)| (&**key, &**value)).collect();
    all.push(("HOLDBACK_LOG_LEVEL", "debug"));
    all.push(("HOLDBACK_KAFKA_PROPERTY_DEBUG", "security,conf,broker"));
    all
}

#[expect(
    clippy::disallowed_methods,
    reason = "a sale must lie before the record that carries it, and not long"
)]
fn now() -> Timestamp {
    Timestamp::now()
}
