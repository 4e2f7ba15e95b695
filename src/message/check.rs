//! An agreement in a file, looked at before it is published: by the same reader, with the same
//! answer as the dead letter would have.

use std::sync::Arc;

use super::fields::{Fields, text_of};
use super::incoming::InputType;
use super::rejection::Fault;
use super::{Record, agreement, envelope};
use crate::rules::agreement::Agreement;

/// Reads an agreement as its event's data, or a structured `CloudEvent` that carries it.
///
/// # Errors
/// Everything that is wrong with it, one sentence each, beginning with its JSON pointer.
pub fn agreement(file: &[u8]) -> Result<Agreement, Vec<String>> {
    read(file).map_err(|faults| faults.into_iter().map(|it| it.detail).collect())
}

fn read(file: &[u8]) -> Result<Agreement, Vec<Fault>> {
    let one = |fault| vec![fault];
    let whole = text_of(file)
        .and_then(|text| Fields::split(text, String::new()))
        .map_err(one)?;
    let media_type = match whole.written("specversion") {
        Some(_) => "application/cloudevents+json",
        None => "application/json",
    };
    let record = Record {
        topic: Arc::from("merchant"),
        partition: 0,
        offset: 0,
        timestamp: None,
        key: None,
        headers: vec![("content-type".to_owned(), Some(media_type.into()))],
        value: None,
    };
    let wanted = InputType::AgreementPublished.as_str();
    let envelope = envelope::open(&record, file, Some(wanted)).map_err(one)?;
    if envelope.type_name != wanted {
        let what = format!("/type: is {}, not {wanted}", envelope.type_name);
        return Err(one(Fault::new(super::Reason::UnknownType, what)));
    }
    let fields = Fields::split(&envelope.data, String::new()).map_err(one)?;
    agreement::every_fault(&fields)
}
