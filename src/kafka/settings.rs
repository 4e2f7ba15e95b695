//! Client configurations.
//!
//! Guarantees: a user's librdkafka property can tune and secure a client, but not change what the
//! promises rest on; whoever tries is told which key and why. Values are never printed, they may be
//! secrets.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

use super::Error;
use crate::loopback::is_loopback;

/// What every client of a deployment is built from.
#[derive(Clone)]
pub struct KafkaSettings {
    /// Comma-separated `host:port`.
    pub brokers: String,
    /// Consumer group of the input topics.
    pub group: String,
    /// Name of the deployment: part of the transactional id, so two deployments on one cluster
    /// need two names.
    pub name: String,
    /// The user's librdkafka properties, by librdkafka's names.
    pub properties: BTreeMap<String, String>,
    /// False only for the demo's broker stand-in, which has no transactions.
    pub transactional: bool,
    /// Allows connections whose certificates are not verified.
    pub insecure_dev: bool,
}

impl fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSettings")
            .field("brokers", &self.brokers)
            .field("group", &self.group)
            .field("name", &self.name)
            .field("properties", &self.properties.keys().collect::<Vec<_>>())
            .field("transactional", &self.transactional)
            .field("insecure_dev", &self.insecure_dev)
            .finish()
    }
}

const OFFSETS: &str = "offsets live in Postgres, in the transaction of their effects";
const LOST: &str = "a lost or foreign position must halt a partition, never skip or replay it";
const GROUP: &str = "the classic, eager protocol with one assignment from Postgres is relied upon";
const ONCE: &str = "it decides whether each event is in the output topics exactly once";
const OWN: &str = "it has a setting of its own";

/// Keys that would break a promise, with what each would break.
const REFUSED: &[(&str, &str)] = &[
    ("bootstrap.servers", OWN),
    ("metadata.broker.list", OWN),
    ("group.id", OWN),
    ("enable.auto.commit", OFFSETS),
    ("auto.commit.enable", OFFSETS),
    ("enable.auto.offset.store", OFFSETS),
    ("offset.store.method", OFFSETS),
    ("auto.offset.reset", LOST),
    (
        "isolation.level",
        "records of aborted transactions must not be read",
    ),
    ("group.protocol", GROUP),
    ("group.remote.assignor", GROUP),
    ("group.instance.id", GROUP),
    ("partition.assignment.strategy", GROUP),
    ("enable.partition.eof", GROUP),
    ("transactional.id", ONCE),
    ("transaction.timeout.ms", ONCE),
    ("enable.idempotence", ONCE),
    ("acks", ONCE),
    ("request.required.acks", ONCE),
    ("retries", ONCE),
    ("message.send.max.retries", ONCE),
    ("message.timeout.ms", ONCE),
    ("delivery.timeout.ms", ONCE),
    (
        "partitioner",
        "a merchant's events must be in the partition that Java clients compute",
    ),
    (
        "allow.auto.create.topics",
        "a misspelt topic must be an error, not an empty topic",
    ),
    (
        "test.mock.num.brokers",
        "a stand-in broker has no transactions",
    ),
];

/// Settings that switch the verification of certificates off, by librdkafka's own name of the value.
const INSECURE: &[(&str, &str)] = &[
    ("enable.ssl.certificate.verification", "false"),
    ("ssl.endpoint.identification.algorithm", "none"),
];
/// How a connection begins when `security.protocol` asks for TLS.
const TLS: [&str; 2] = ["ssl", "sasl_ssl"];

/// Refuses a property that would break a promise, that librdkafka doesn't know, or with a value that
/// it doesn't take.
///
/// # Errors
/// [`Error::Setting`] that names the key.
pub fn check_property(key: &str, value: &str, insecure_dev: bool) -> Result<(), Error> {
    if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == key) {
        return Err(Error::Setting(format!(
            "Kafka property {key} can't be set: {why}"
        )));
    }
    let mut alone = ClientConfig::new();
    let native = alone.set(key, value).create_native_config()?;
    let off = INSECURE.iter().find(|(insecure, _)| *insecure == key);
    // Asked for, because it takes `0` and `f` for false.
    if let Some((_, off)) = off
        && !insecure_dev
        && native.get(key)? == *off
    {
        return Err(Error::Setting(format!(
            "Kafka property {key} = {off} lets anyone pose as the broker; it needs insecure_dev"
        )));
    }
    Ok(())
}

/// Whether librdkafka has a property of this name.
#[must_use]
pub fn is_property(key: &str) -> bool {
    let answer = ClientConfig::new().set(key, "").create_native_config();
    let unknown = RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN;
    !matches!(answer, Err(KafkaError::ClientConfig(said, ..)) if said == unknown)
}

impl KafkaSettings {
    /// Refuses what would break a promise and what librdkafka doesn't know, without connecting.
    ///
    /// # Errors
    /// [`Error::Setting`] that names the key.
    pub fn check(&self) -> Result<(), Error> {
        for (key, value) in &self.properties {
            check_property(key, value, self.insecure_dev)?;
        }
        for config in [self.input(), self.output(), self.reader(), self.admin()] {
            config.create_native_config()?;
        }
        Ok(())
    }

    /// Whether what is said to the brokers, and by them, could be read and changed by anyone between.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        let here = |broker: &str| {
            let named = broker.trim().rsplit("://").next().unwrap_or_default();
            let host = named.rsplit_once(':').map_or(named, |(host, _)| host);
            is_loopback(host)
        };
        !self.encrypts() && !self.brokers.split(',').all(here)
    }

    fn encrypts(&self) -> bool {
        let protocol = self.properties.get("security.protocol");
        protocol.is_some_and(|protocol| TLS.contains(&protocol.to_ascii_lowercase().as_str()))
    }

    /// The input consumer: reads at given positions, commits nothing by itself.
    pub(crate) fn input(&self) -> ClientConfig {
        // A member learns that another joins at its next heartbeat. The stand-in broker makes a
        // second joiner wait for nearly a session.
        let (session, heartbeat) = if self.transactional {
            ("10000", "500")
        } else {
            ("6000", "500")
        };
        let mut config = self.reading();
        self.tune(
            &mut config,
            &[
                ("session.timeout.ms", session),
                ("heartbeat.interval.ms", heartbeat),
            ],
        );
        config
            .set("isolation.level", "read_committed")
            .set("group.protocol", "classic")
            .set("partition.assignment.strategy", "range");
        config
    }

    /// Reads the own output topics back. It never joins the group; librdkafka only wants a name.
    pub(crate) fn reader(&self) -> ClientConfig {
        let mut config = self.reading();
        config.set("isolation.level", "read_committed");
        config
    }

    /// Asks for watermarks (read-uncommitted: the high watermark, not the last stable offset).
    pub(crate) fn admin(&self) -> ClientConfig {
        let mut config = self.common();
        config
            .set("isolation.level", "read_uncommitted")
            .set("allow.auto.create.topics", "false");
        config
    }

    /// The output producer: transactional, or idempotent only for the stand-in broker.
    pub(crate) fn output(&self) -> ClientConfig {
        let mut config = self.common();
        self.tune(
            &mut config,
            &[
                ("compression.type", "lz4"),
                ("linger.ms", "2"),
                ("queue.buffering.max.kbytes", "32768"),
                // A call that hangs longer than this is given up, and the producer with it.
                ("socket.timeout.ms", "10000"),
            ],
        );
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("partitioner", "murmur2_random");
        if self.transactional {
            config
                .set("transactional.id", format!("holdback-{}", self.name))
                .set("transaction.timeout.ms", "30000");
        }
        config
    }

    fn reading(&self) -> ClientConfig {
        let mut config = self.common();
        self.tune(
            &mut config,
            &[
                // Bounds memory: one queue for all partitions of a consumer.
                ("queued.max.messages.kbytes", "16384"),
                ("queued.min.messages", "20000"),
                ("fetch.max.bytes", "8388608"),
                // The default of 1 s is a hole in the flow each time the queue was full.
                ("fetch.queue.backoff.ms", "10"),
                ("fetch.error.backoff.ms", "100"),
                ("topic.metadata.refresh.interval.ms", "30000"),
            ],
        );
        config
            .set("group.id", &self.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("allow.auto.create.topics", "false");
        config
    }

    fn common(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Warning);
        config.set("bootstrap.servers", &self.brokers);
        self.tune(
            &mut config,
            &[
                ("client.id", &format!("holdback-{}", self.name)),
                ("reconnect.backoff.max.ms", "1000"),
                ("socket.keepalive.enable", "true"),
            ],
        );
        // The OpenSSL that is built in looks for authorities where it would have been installed.
        if self.encrypts() && !self.properties.contains_key("ssl.ca.pem") {
            self.tune(&mut config, &[("ssl.ca.location", "probe")]);
        }
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        config
    }

    /// Sets defaults that the user's properties override.
    fn tune(&self, config: &mut ClientConfig, defaults: &[(&str, &str)]) {
        for (key, value) in defaults {
            if !self.properties.contains_key(*key) {
                config.set(*key, *value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(key: &str, value: &str) -> KafkaSettings {
        KafkaSettings {
            brokers: "127.0.0.1:9092".into(),
            group: "holdback".into(),
            name: "test".into(),
            properties: BTreeMap::from([(key.into(), value.into())]),
            transactional: true,
            insecure_dev: false,
        }
    }

    fn refusal(settings: &KafkaSettings) -> String {
        settings.check().expect_err("should be refused").to_string()
    }

    #[test]
    fn tuning_and_security_properties_pass() {
        for (key, value) in [
            ("security.protocol", "SASL_SSL"),
            ("linger.ms", "20"),
            ("session.timeout.ms", "20000"),
        ] {
            with(key, value).check().expect(key);
        }
    }

    #[test]
    fn the_users_tuning_overrides_the_default() {
        let config = with("linger.ms", "20").output();
        assert_eq!(config.get("linger.ms"), Some("20"));
    }

    #[test]
    fn a_property_that_breaks_a_promise_is_refused_by_name() {
        for (key, _) in REFUSED {
            assert!(refusal(&with(key, "true")).contains(key));
        }
    }

    #[test]
    fn an_unknown_property_is_named_and_its_value_is_not() {
        let said = refusal(&with("sasl.passwort", "hunter2"));
        assert!(said.contains("sasl.passwort"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }

    #[test]
    fn a_wrong_value_is_refused_without_printing_it() {
        let said = refusal(&with("linger.ms", "hunter2"));
        assert!(said.contains("linger.ms"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }

    #[test]
    fn debug_output_hides_values() {
        let said = format!("{:?}", with("sasl.password", "hunter2"));
        assert!(said.contains("sasl.password") && !said.contains("hunter2"));
    }

    #[test]
    fn unverified_certificates_need_the_explicit_flag() {
        let verification = "enable.ssl.certificate.verification";
        let endpoint = "ssl.endpoint.identification.algorithm";
        for (key, value) in [
            (verification, "false"),
            (verification, "FALSE"),
            (verification, "0"),
            (verification, "f"),
            (endpoint, "none"),
            (endpoint, "None"),
        ] {
            let mut settings = with(key, value);
            assert!(refusal(&settings).contains("insecure_dev"), "{key} {value}");
            settings.insecure_dev = true;
            settings.check().expect("explicitly allowed");
        }
        with(verification, "true").check().expect("checked");
        with(endpoint, "https").check().expect("checked");
    }

    #[test]
    fn a_clear_way_to_another_machine_is_noticed() {
        let exposed = |brokers: &str, protocol: &str| {
            let mut settings = with("security.protocol", protocol);
            settings.brokers = brokers.into();
            settings.is_exposed()
        };
        let here = "localhost:9092,127.0.0.1:9092,[::1]:9092";
        assert!(!exposed(here, "plaintext"));
        assert!(exposed("kafka:9092", "plaintext"));
        assert!(exposed("localhost:9092,10.0.0.1:9092", "SASL_PLAINTEXT"));
        assert!(!exposed("kafka:9092", "SASL_SSL"));
        assert!(!exposed("kafka:9092", "ssl"));
    }

    #[test]
    fn without_an_authority_the_machines_own_are_looked_for() {
        let config = with("security.protocol", "ssl").output();
        assert_eq!(config.get("ssl.ca.location"), Some("probe"));
        let config = with("linger.ms", "20").output();
        assert_eq!(config.get("ssl.ca.location"), None);
    }
}
