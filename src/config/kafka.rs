//! The `[kafka]` section: librdkafka's own properties pass through under their own names, out of
//! files too. Which of them are refused is settled where the clients are made.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};

use super::Kafka;
use super::source::{Reader, Setting, read_secret_file};
use crate::kafka::settings::{check_property, is_property};

/// Under which librdkafka's properties stand in the file.
const PROPERTIES: &str = "kafka.properties.";
/// Variables for one of them each; what follows is its name with dots as underscores.
const VARIABLES: &str = "HOLDBACK_KAFKA_PROPERTY_";

impl Kafka {
    pub(super) fn read(reader: &mut Reader, name: &str) -> Self {
        let brokers = reader.required("kafka.brokers");
        let group = reader.text("kafka.group", name);
        let insecure_dev = reader.flag("kafka.insecure_dev", false);
        let mut properties = BTreeMap::new();
        let name_of = |rest: &str| rest.to_ascii_lowercase().replace('_', ".");
        for (property, setting) in reader.below(PROPERTIES, VARIABLES, name_of) {
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
        .filter(|_| !is_property(property));
    let (property, value) = match from_file {
        Some(stem) => (stem, read_secret_file(setting.value.expose_secret())?),
        None => (property, setting.value.clone()),
    };
    check_property(property, value.expose_secret(), insecure_dev)
        .map_err(|error| error.to_string())?;
    Ok((property.to_owned(), value))
}
