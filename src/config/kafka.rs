//! The `[kafka]` section: librdkafka's own properties pass through, except those by which a
//! promise of holdback would be broken.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;
use secrecy::{ExposeSecret as _, SecretString};

use super::Kafka;
use super::source::{Reader, Setting, read_secret_file};

/// Under which librdkafka's properties stand in the file.
pub(super) const PROPERTIES: &str = "kafka.properties.";

/// Properties that holdback sets itself, each with the reason.
const OURS: &[(&[&str], &str)] = &[
    (
        &["bootstrap.servers", "metadata.broker.list"],
        "set kafka.brokers instead",
    ),
    (&["group.id"], "set kafka.group instead"),
    (
        &[
            "enable.auto.commit",
            "auto.commit.enable",
            "enable.auto.offset.store",
        ],
        "positions live in Postgres, moved in the transaction of their effects",
    ),
    (
        &["auto.offset.reset"],
        "a lost position must stop, not skip; see ingest.start",
    ),
    (
        &["isolation.level"],
        "aborted records must not become orders",
    ),
    (
        &["group.protocol", "partition.assignment.strategy"],
        "the rebalance relies on it",
    ),
    (
        &[
            "acks",
            "request.required.acks",
            "enable.idempotence",
            "transactional.id",
        ],
        "an event must be published once, and for good",
    ),
    (
        &["partitioner"],
        "a merchant's events must share the partition that Java clients compute",
    ),
    (
        &["allow.auto.create.topics"],
        "topics are made by `holdback topics`",
    ),
    (
        &["test.mock.num.brokers"],
        "orders must come from a real broker",
    ),
];

impl Kafka {
    pub(super) fn read(reader: &mut Reader, name: &str) -> Self {
        let brokers = reader.required("kafka.brokers");
        let group = reader.text("kafka.group", name);
        let insecure_dev = reader.flag("kafka.insecure_dev", false);
        let mut properties = BTreeMap::new();
        for (property, setting) in reader.below(PROPERTIES) {
            match property_of(&property, &setting, insecure_dev) {
                Ok((property, value)) => {
                    properties.insert(property, value);
                }
                Err(wrong) => reader.complain(format!("{}: {wrong}", setting.origin)),
            }
        }
        Self {
            brokers,
            group,
            properties,
            insecure_dev,
        }
    }
}

/// The property and its value, out of a file when its name ends in `.file` and librdkafka has no
/// such property of its own.
fn property_of(
    property: &str,
    setting: &Setting,
    insecure_dev: bool,
) -> Result<(String, SecretString), String> {
    let from_file = property
        .strip_suffix(".file")
        .filter(|_| !is_known(property));
    let (property, value) = match from_file {
        Some(stem) => (stem, read_secret_file(setting.value.expose_secret())?),
        None => (property, setting.value.clone()),
    };
    if let Some((_, reason)) = OURS.iter().find(|(names, _)| names.contains(&property)) {
        return Err(format!("{property} can't be set: {reason}"));
    }
    let unchecked = match property {
        "enable.ssl.certificate.verification" => value.expose_secret() == "false",
        "ssl.endpoint.identification.algorithm" => value.expose_secret() == "none",
        _ => false,
    };
    if unchecked && !insecure_dev {
        return Err(format!(
            "{property} leaves the brokers' certificates unchecked; only kafka.insecure_dev allows it"
        ));
    }
    if !is_known(property) {
        return Err(format!("{property} is not a librdkafka property"));
    }
    // The reason is librdkafka's own and may repeat the value: a secret is not said again.
    if set(property, value.expose_secret()).is_err() {
        return Err(format!(
            "the value of {property} is not one that librdkafka takes"
        ));
    }
    Ok((property.to_owned(), value))
}

fn is_known(property: &str) -> bool {
    !matches!(
        set(property, ""),
        Err(KafkaError::ClientConfig(
            RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN,
            ..
        ))
    )
}

fn set(property: &str, value: &str) -> Result<(), KafkaError> {
    let mut client = ClientConfig::new();
    client.set(property, value);
    client.create_native_config().map(drop)
}
