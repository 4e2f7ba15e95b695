//! What parsing promises beyond the examples in `schemas/`: envelopes, business time, and the order
//! behind a broken message.

mod content;
mod properties;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::incoming::{Accepted, Limits, Parsed, parse};
use super::{About, Reason, Record, Rejection};
use crate::rules::fact::Fact;
use crate::rules::ids::{MerchantId, OrderId};
use crate::rules::time::Instant;

pub(super) const COMPLETED: Option<&str> = Some("order.completed.v1");

pub(super) fn record(headers: &[(&str, &str)], value: impl Into<Vec<u8>>) -> Record {
    let header =
        |(name, value): &(&str, &str)| ((*name).to_owned(), Some(value.as_bytes().to_vec()));
    Record {
        topic: "order-completed".into(),
        partition: 0,
        offset: 7,
        timestamp: None,
        key: None,
        headers: headers.iter().map(header).collect(),
        value: Some(value.into()),
    }
}

pub(super) fn read(record: &Record, default_type: Option<&str>) -> Result<Accepted, Rejection> {
    match parse(record, default_type, &Limits::default())? {
        Parsed::Fact(accepted) => Ok(*accepted),
        Parsed::Tombstone => panic!("no tombstone was sent"),
    }
}

/// The message as its own type, in binary mode.
pub(super) fn named(name: &str, value: &Value) -> Result<Accepted, Rejection> {
    read(&record(&[("ce_type", name)], value.to_string()), None)
}

pub(super) fn sale() -> Value {
    json!({ "order_id": "O-1", "merchant_id": "M-1", "amount": "100.00", "currency": "EUR",
            "completed_at": "2026-05-01T12:00:00+08:00" })
}

pub(super) fn refund() -> Value {
    json!({ "refund_id": "R-1", "order_id": "O-1", "merchant_id": "M-1", "amount": "10.00",
            "currency": "EUR", "refunded_at": "2026-05-01T12:00:00Z" })
}

pub(super) fn with(mut value: Value, field: &str, new: impl Into<Value>) -> Value {
    value[field] = new.into();
    value
}

fn about(merchant: &str, order: &str) -> Option<About> {
    Some(About {
        merchant: MerchantId::parse(merchant).unwrap(),
        order: OrderId::parse(order).unwrap(),
    })
}

#[test]
fn plain_binary_and_structured_messages_say_the_same() {
    let plain = read(&record(&[], sale().to_string()), COMPLETED).unwrap();
    let binary = named("order.completed.v1", &sale()).unwrap();
    let event = json!({ "specversion": "1.0", "id": "1", "source": "/shop", "type": "order.completed.v1",
                        "data": sale() });
    let content_type = (
        "content-type",
        "Application/CloudEvents+JSON; charset=utf-8",
    );
    let structured = read(&record(&[content_type], event.to_string()), None).unwrap();
    let mut event = event;
    event.as_object_mut().unwrap().remove("data");
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(sale().to_string());
    let event = with(event, "data_base64", encoded);
    let in_base64 = read(&record(&[content_type], event.to_string()), None).unwrap();
    assert_eq!(plain, binary);
    assert_eq!(plain, structured);
    assert_eq!(plain, in_base64);
}

#[test]
fn the_envelopes_type_goes_before_the_topics() {
    let refused = read(
        &record(&[("ce_type", "refund.succeeded.v1")], sale().to_string()),
        COMPLETED,
    );
    assert_eq!(refused.unwrap_err().reason, Reason::Schema);
}

#[test]
fn a_message_that_nothing_names_is_of_unknown_type() {
    for headers in [&[][..], &[("ce_specversion", "1.0")]] {
        let refused = read(&record(headers, sale().to_string()), None).unwrap_err();
        assert_eq!(refused.reason, Reason::UnknownType);
    }
}

#[test]
fn an_unreadable_type_is_not_the_topics_type() {
    let mut record = record(&[], sale().to_string());
    record
        .headers
        .push(("ce_type".to_owned(), Some(vec![0xff])));
    let refused = read(&record, COMPLETED).unwrap_err();
    assert_eq!(refused.reason, Reason::UnknownType);
}

#[test]
fn an_object_of_very_many_fields_is_read_in_no_time() {
    let mut message = sale();
    for n in 0..60_000 {
        message[format!("x{n}")] = json!(0);
    }
    assert!(named("order.completed.v1", &message).is_ok());
}

#[test]
fn batches_other_formats_and_other_versions_of_cloudevents_are_refused() {
    let reason = |headers: &[(&str, &str)]| {
        read(&record(headers, sale().to_string()), COMPLETED)
            .unwrap_err()
            .reason
    };
    assert_eq!(
        reason(&[("content-type", "application/cloudevents-batch+json")]),
        Reason::Malformed
    );
    assert_eq!(
        reason(&[("content-type", "application/cloudevents+avro")]),
        Reason::Malformed
    );
    let old = [("ce_type", "order.completed.v1"), ("ce_specversion", "0.3")];
    assert_eq!(reason(&old), Reason::Schema);
}

#[test]
fn a_null_value_is_a_tombstone_and_an_empty_one_is_malformed() {
    let mut record = record(&[], "");
    assert_eq!(
        read(&record, COMPLETED).unwrap_err().reason,
        Reason::Malformed
    );
    record.value = None;
    assert_eq!(
        parse(&record, COMPLETED, &Limits::default()),
        Ok(Parsed::Tombstone)
    );
}

#[test]
fn the_trace_context_is_carried_from_header_and_attribute() {
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for name in ["traceparent", "ce_traceparent"] {
        let accepted = read(&record(&[(name, trace)], sale().to_string()), COMPLETED).unwrap();
        let Fact::Order(order) = accepted.fact else {
            panic!("an order was sent")
        };
        assert_eq!(order.traceparent.as_deref(), Some(trace));
    }
}

#[test]
fn times_are_read_in_every_form_of_rfc_3339_and_cut_to_microseconds() {
    let same = [
        "2026-05-01T04:00:00.123456Z",
        "2026-05-01t04:00:00.1234569z",
        "2026-05-01T12:00:00.123456999999999999+08:00",
        "2026-05-01T04:00:00.123456-00:00",
    ];
    for text in same {
        let accepted = named("order.completed.v1", &with(sale(), "completed_at", text)).unwrap();
        assert_eq!(accepted.business_at.unwrap().to_string(), same[0], "{text}");
    }
    let leap = named(
        "order.completed.v1",
        &with(sale(), "completed_at", "2016-12-31T23:59:60Z"),
    );
    let leap = leap.unwrap().business_at.unwrap();
    assert_eq!(leap.to_string(), "2016-12-31T23:59:59Z");
    for text in [
        "2026-05-01 04:00:00Z",
        "2026-05-01T04:00Z",
        "2026-05-01T04:00:00",
        "20260501T040000Z",
        "2026-05-01T04:00:00.Z",
        "2026-05-01T04:00:00Z[UTC]",
        "2026-05-01T04:00:00+08",
        "２０26-05-01T04:00:00Z",
    ] {
        let refused = named("order.completed.v1", &with(sale(), "completed_at", text)).unwrap_err();
        assert_eq!(refused.reason, Reason::Schema, "{text}");
    }
}

/// Reads a message whose business time lies that many hours after Kafka's.
fn hours_after_kafka(
    name: &str,
    field: &str,
    message: Value,
    hours: i64,
) -> Result<Accepted, Rejection> {
    let kafka: Timestamp = "2026-05-01T00:00:00Z".parse().unwrap();
    let at = kafka + SignedDuration::from_hours(hours);
    let mut record = record(
        &[("ce_type", name)],
        with(message, field, at.to_string()).to_string(),
    );
    record.timestamp = Some(Instant::new(kafka));
    read(&record, None)
}

#[test]
fn what_frees_money_must_be_near_kafkas_time() {
    let sold = |hours| hours_after_kafka("order.completed.v1", "completed_at", sale(), hours);
    let days = 24;
    for hours in [24, 0, -400 * days] {
        assert!(!sold(hours).unwrap().off_time, "{hours}");
    }
    for (hours, reason) in [
        (25, Reason::Time),
        (-401 * days, Reason::Time),
        (-731 * days, Reason::TooOld),
    ] {
        let refused = sold(hours).unwrap_err();
        assert_eq!(
            (refused.reason, refused.about),
            (reason, about("M-1", "O-1")),
            "{hours}"
        );
    }
}

#[test]
fn what_keeps_money_is_accepted_far_from_kafkas_time_but_not_beyond_the_horizon() {
    let refunded = |hours| hours_after_kafka("refund.succeeded.v1", "refunded_at", refund(), hours);
    let days = 24;
    assert!(!refunded(24).unwrap().off_time);
    assert!(refunded(25).unwrap().off_time);
    assert!(refunded(-401 * days).unwrap().off_time);
    assert_eq!(refunded(-731 * days).unwrap_err().reason, Reason::TooOld);
}

#[test]
fn a_message_over_the_limit_is_refused_unread_and_still_finds_its_order() {
    let large = with(refund(), "reason", "x".repeat(1 << 20));
    let refused = named("refund.succeeded.v1", &large).unwrap_err();
    assert_eq!(refused.reason, Reason::TooLarge);
    assert_eq!(
        (refused.moves_money, refused.about),
        (true, about("M-1", "O-1"))
    );
}

#[test]
fn the_order_behind_a_broken_message_about_money_is_found() {
    let found =
        |name: &str, value: &[u8]| read(&record(&[("ce_type", name)], value), None).unwrap_err();
    let cut: &[u8] =
        br#"{ "merchant_id": "M-1", "x": {"order_id": "not me"}, "order_id": "O-1", "amount": "1"#;
    let number: &[u8] = br#"{ "merchant_id": "M-1", "order_id": 77, "amount": true }"#;
    let not_utf8: &[u8] =
        b"{ \"merchant_id\": \"M-1\", \"order_id\": \"O-1\", \"reason\": \"\xff\" }";
    for name in [
        "refund.succeeded.v1",
        "refund.reversed.v1",
        "dispute.opened.v1",
        "dispute.closed.v2",
        "order.cancelled.v1",
        "order.completed.v1",
    ] {
        assert_eq!(found(name, cut).about, about("M-1", "O-1"), "{name}");
        assert_eq!(found(name, number).about, about("M-1", "77"), "{name}");
        assert_eq!(found(name, not_utf8).about, about("M-1", "O-1"), "{name}");
    }
    let hopeless = found("refund.succeeded.v1", b"refund of 5 EUR");
    assert_eq!((hopeless.moves_money, hopeless.about), (true, None));
    let delivered = found("order.delivered.v1", cut);
    assert_eq!((delivered.moves_money, delivered.about), (false, None));
}

#[test]
fn the_order_behind_a_broken_structured_message_is_that_of_its_data() {
    let headers = [("content-type", "application/cloudevents+json")];
    let broken = br#"{ "type": "refund.succeeded.v1", "order_id": "no", "merchant_id": "no",
                       "data": { "merchant_id": "M-1", "order_id": "O-1", "amount": "#;
    let refused = read(&record(&headers, &broken[..]), None).unwrap_err();
    assert_eq!(
        (refused.reason, refused.about),
        (Reason::Malformed, about("M-1", "O-1"))
    );
    let unnamed = read(&record(&headers, &b"{ \"data\": {"[..]), None).unwrap_err();
    assert!(
        unnamed.moves_money,
        "a message whose type can't be read may be about money"
    );
}

#[test]
fn details_are_short_whatever_the_message_quotes() {
    let refused = named(
        "order.completed.v1",
        &with(sale(), &"x\u{e9}".repeat(9_000), 1),
    )
    .is_ok();
    assert!(refused, "unknown fields are ignored, long names too");
    let refused = named(&"long.type".repeat(500), &sale()).unwrap_err();
    assert_eq!(refused.detail.chars().count(), 500);
}
