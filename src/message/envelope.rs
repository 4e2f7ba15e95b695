//! `CloudEvents` over Kafka: structured, binary, or a plain value of the topic's default type.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::fields::{Fields, text_of};
use super::rejection::{Fault, Reason};
use super::trace;
use super::{Record, hints};

/// What a record says about itself, and the JSON text of the event proper.
#[derive(Debug)]
pub(super) struct Envelope<'a> {
    pub type_name: Cow<'a, str>,
    pub data: Cow<'a, str>,
    pub traceparent: Option<String>,
}

/// How the event lies in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// The value is the whole event.
    Structured,
    /// Headers carry the attributes, the value is the data.
    Binary,
    /// No envelope.
    Plain,
}

/// The mode, by the rule of the `CloudEvents` Kafka binding.
pub(super) fn mode(record: &Record) -> Mode {
    let media_type = record.header("content-type").unwrap_or_default();
    let prefix = media_type.get(.."application/cloudevents".len());
    if prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case("application/cloudevents")) {
        Mode::Structured
    } else if record.has_header("ce_specversion") || record.has_header("ce_type") {
        Mode::Binary
    } else {
        Mode::Plain
    }
}

/// Opens the envelope.
///
/// # Errors
/// [`Reason::UnknownType`] when nothing names a type; [`Reason::Malformed`] or [`Reason::Schema`]
/// when the envelope can't be read.
pub(super) fn open<'a>(
    record: &'a Record,
    value: &'a [u8],
    default_type: Option<&'a str>,
) -> Result<Envelope<'a>, Fault> {
    match mode(record) {
        Mode::Structured => structured(record, value),
        Mode::Binary => {
            check_version(record.header("ce_specversion"))?;
            let type_name = record.header("ce_type");
            plain(record, value, type_name, "the headers name no ce_type")
        }
        Mode::Plain => plain(record, value, default_type, "this topic needs a ce_type"),
    }
}

fn plain<'a>(
    record: &'a Record,
    value: &'a [u8],
    type_name: Option<&'a str>,
    unnamed: &str,
) -> Result<Envelope<'a>, Fault> {
    let type_name = type_name.ok_or_else(|| Fault::new(Reason::UnknownType, unnamed))?;
    Ok(Envelope {
        type_name: Cow::Borrowed(type_name),
        data: Cow::Borrowed(text_of(value)?),
        traceparent: trace::traceparent(record, None),
    })
}

fn structured<'a>(record: &'a Record, value: &'a [u8]) -> Result<Envelope<'a>, Fault> {
    let media_type = record.header("content-type").unwrap_or_default();
    let format = media_type.split(';').next().unwrap_or_default().trim();
    if !format.eq_ignore_ascii_case("application/cloudevents+json") {
        let what =
            format!("{format}: of the structured forms only application/cloudevents+json is read");
        return Err(Fault::new(Reason::Malformed, what));
    }
    let event = Fields::split(text_of(value)?, String::new())?;
    check_version(event.text("specversion")?.as_deref())?;
    let type_name = event
        .text("type")?
        .ok_or_else(|| Fault::new(Reason::UnknownType, "the event names no type"))?;
    let attribute = event.text("traceparent").ok().flatten();
    let data = match (event.written("data"), event.text("data_base64")?) {
        (Some(data), None) => Cow::Borrowed(data),
        (None, Some(encoded)) => {
            let bytes = decode(&encoded)
                .ok_or_else(|| Fault::new(Reason::Malformed, "/data_base64: is no base64"))?;
            Cow::Owned(text_of(&bytes)?.to_owned())
        }
        (None, None) => return Err(Fault::new(Reason::Schema, "/data: is required")),
        (Some(_), Some(_)) => {
            return Err(Fault::new(
                Reason::Schema,
                "/data: stands beside data_base64",
            ));
        }
    };
    Ok(Envelope {
        type_name,
        data,
        traceparent: trace::traceparent(record, attribute.as_deref()),
    })
}

/// Any 1.x is read; an envelope that does not say is taken for one.
fn check_version(version: Option<&str>) -> Result<(), Fault> {
    match version {
        Some(version) if !version.starts_with("1.") => Err(Fault::new(
            Reason::Schema,
            format!("CloudEvents {version} is not read, only 1.0"),
        )),
        _ => Ok(()),
    }
}

/// Standard base64.
pub(super) fn decode(encoded: &str) -> Option<Vec<u8>> {
    STANDARD.decode(encoded).ok()
}

/// The type that a record seems to have, however broken it is.
pub(super) fn type_hint<'a>(
    record: &'a Record,
    hints: &'a hints::Hints,
    default_type: Option<&'a str>,
) -> Option<&'a str> {
    match mode(record) {
        Mode::Structured => hints.type_name.as_deref(),
        Mode::Binary => record.header("ce_type"),
        Mode::Plain => default_type,
    }
}
