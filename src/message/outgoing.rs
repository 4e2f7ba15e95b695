//! From a journal line to the record that the outside reads.
//!
//! The journal keeps an event's own fields as JSON text ([`data`]); [`render`] puts the envelope
//! around it by splicing, without reading it again: the publisher does this for every event.

use std::borrow::Cow;
use std::io::Write;

use uuid::Uuid;

use crate::rules::entry::Event;
use crate::rules::time::Instant;

/// The topics that holdback writes, dead letters aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutTopic {
    /// What payout systems act on.
    Releases,
    /// Everything else.
    Events,
}

macro_rules! event_types {
    ($($name:ident = $number:literal $topic:ident $wire:literal),+ $(,)?) => {
        /// The types of events, with the numbers under which the journal keeps them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum EventType {
            $($name = $number),+
        }

        impl EventType {
            /// Every type.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The `ce_type`, for instance `holdback.hold.created.v1`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $wire),+
                }
            }

            /// The topic that carries it.
            #[must_use]
            pub fn topic(self) -> OutTopic {
                match self {
                    $(Self::$name => OutTopic::$topic),+
                }
            }

            /// The number under which the journal keeps it.
            #[must_use]
            pub fn number(self) -> i16 {
                match self {
                    $(Self::$name => $number),+
                }
            }

            /// The type of a number.
            #[must_use]
            pub fn from_number(number: i16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)+
                    _ => None,
                }
            }

            /// The type of an event.
            #[must_use]
            pub fn of(event: &Event) -> Self {
                match event {
                    $(Event::$name(_) => Self::$name),+
                }
            }
        }
    };
}

event_types! {
    OrderAccepted = 1 Events "holdback.order.accepted.v1",
    HoldCreated = 2 Events "holdback.hold.created.v1",
    HoldRescheduled = 3 Events "holdback.hold.rescheduled.v1",
    HoldBlocked = 4 Events "holdback.hold.blocked.v1",
    HoldUnblocked = 5 Events "holdback.hold.unblocked.v1",
    HoldConsumed = 6 Events "holdback.hold.consumed.v1",
    HoldReversed = 7 Events "holdback.hold.reversed.v1",
    HoldLimitReached = 8 Events "holdback.hold.limit_reached.v1",
    RefundApplied = 9 Events "holdback.refund.applied.v1",
    ReceivableOpened = 10 Events "holdback.receivable.opened.v1",
    ReceivableRecovered = 11 Events "holdback.receivable.recovered.v1",
    ReleaseIssued = 12 Releases "holdback.release.issued.v1",
    SettlementClosed = 13 Releases "holdback.settlement.closed.v1",
    SettlementSkipped = 14 Events "holdback.settlement.skipped.v1",
    PayoutSettled = 15 Events "holdback.payout.settled.v1",
    AgreementAccepted = 16 Events "holdback.agreement.accepted.v1",
    HoldRestored = 17 Events "holdback.hold.restored.v1",
    RefundReversed = 18 Events "holdback.refund.reversed.v1",
    ReleaseShadowed = 20 Events "holdback.release.shadowed.v1",
    SettlementShadowed = 21 Events "holdback.settlement.shadowed.v1",
    CreditOpened = 30 Events "holdback.credit.opened.v1",
    DepositChanged = 31 Events "holdback.deposit.changed.v1",
    ReceivableWrittenOff = 32 Events "holdback.receivable.written_off.v1",
    ReviewRequested = 40 Events "holdback.review.requested.v1",
    ReviewReminded = 41 Events "holdback.review.reminded.v1",
    ReviewOverdue = 42 Events "holdback.review.overdue.v1",
    ReviewClosed = 43 Events "holdback.review.closed.v1",
    ControlDaily = 50 Events "holdback.control.daily.v1",
}

/// An event's own fields as one JSON object, without the envelope's: what the journal keeps.
///
/// # Panics
/// Never: an event has text keys only.
#[must_use]
pub fn data(event: &Event) -> String {
    let mut json = Vec::with_capacity(1024);
    write_data(&mut json, event).to_owned()
}

/// The same into a buffer that is used again and again.
///
/// # Panics
/// Never, as [`data`].
pub fn write_data<'a>(json: &'a mut Vec<u8>, event: &Event) -> &'a str {
    json.clear();
    serde_json::to_writer(&mut *json, event).expect("events serialize: text keys, no floats");
    std::str::from_utf8(json).expect("JSON is UTF-8")
}

/// The `ce_source` of a deployment.
#[must_use]
pub fn source(deployment: &str) -> String {
    format!("/holdback/{deployment}")
}

/// One line of the journal, as it is kept.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    pub event_type: EventType,
    /// `ce_id`.
    pub event_id: Uuid,
    /// `ce_subject`: what the event is about.
    pub subject: &'a str,
    pub merchant: &'a str,
    /// Grows by one per merchant over both topics.
    pub sequence: i64,
    /// The merchant's previous sequence in the same topic; 0 for the first.
    pub previous: i64,
    pub occurred_at: Instant,
    pub order: Option<&'a str>,
    pub hold: Option<Uuid>,
    pub currency: Option<&'a str>,
    /// As [`data`] made it: one JSON object.
    pub data: &'a str,
    pub traceparent: Option<&'a str>,
}

/// A record to be produced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    pub topic: OutTopic,
    /// The merchant's id.
    pub key: Vec<u8>,
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    pub payload: Vec<u8>,
}

/// Makes the record of a journal line: `CloudEvents` in binary mode, keyed by merchant. The same
/// line and source give the same bytes.
#[must_use]
pub fn render(line: &Line<'_>, source: &str) -> Outgoing {
    let occurred_at = line.occurred_at.to_string();
    let mut json = Vec::with_capacity(line.data.len() + 256);
    payload(&mut json, line, &occurred_at);
    let mut headers = vec![
        ("ce_specversion", Cow::Borrowed("1.0")),
        ("ce_id", Cow::Owned(line.event_id.to_string())),
        ("ce_source", Cow::Owned(source.to_owned())),
        ("ce_type", Cow::Borrowed(line.event_type.as_str())),
        ("ce_time", Cow::Owned(occurred_at)),
        ("ce_subject", Cow::Owned(line.subject.to_owned())),
        ("ce_sequence", Cow::Owned(line.sequence.to_string())),
        ("content-type", Cow::Borrowed("application/json")),
    ];
    if let Some(traceparent) = line.traceparent {
        headers.push(("traceparent", Cow::Owned(traceparent.to_owned())));
    }
    Outgoing {
        topic: line.event_type.topic(),
        key: line.merchant.as_bytes().to_vec(),
        headers,
        payload: json,
    }
}

/// Writes a journal line as one JSON object, `CloudEvents` in structured mode: the headers and the
/// payload of [`render`], which carry the same.
pub fn structured(json: &mut Vec<u8>, line: &Line<'_>, source: &str) {
    let occurred_at = line.occurred_at.to_string();
    id(json, "{\"specversion\":\"1.0\",\"id\":", line.event_id);
    text(json, ",\"source\":", source);
    write!(
        json,
        ",\"type\":\"{}\",\"time\":\"{occurred_at}\",\"subject\":",
        line.event_type.as_str()
    )
    .expect("writing to memory does not fail");
    text(json, "", line.subject);
    write!(
        json,
        ",\"sequence\":\"{}\",\"datacontenttype\":\"application/json\"",
        line.sequence
    )
    .expect("writing to memory does not fail");
    if let Some(traceparent) = line.traceparent {
        text(json, ",\"traceparent\":", traceparent);
    }
    json.extend_from_slice(b",\"data\":");
    payload(json, line, &occurred_at);
    json.push(b'}');
}

/// An event's own fields out of the payload that [`render`] made of it, as [`data`] made them; `None`
/// when this is no such payload. `line` is the event with any data.
#[must_use]
pub fn data_of(sent: &[u8], line: &Line<'_>) -> Option<String> {
    let mut envelope = Vec::new();
    let empty = Line {
        data: "{}",
        ..*line
    };
    payload(&mut envelope, &empty, &line.occurred_at.to_string());
    envelope.pop();
    let fields = sent.strip_prefix(&envelope[..])?;
    let fields = fields.strip_prefix(b",").unwrap_or(fields);
    Some(format!("{{{}", std::str::from_utf8(fields).ok()?))
}

fn payload(json: &mut Vec<u8>, line: &Line<'_>, occurred_at: &str) {
    text(json, "{\"merchant_id\":", line.merchant);
    write!(
        json,
        ",\"occurred_at\":\"{occurred_at}\",\"sequence\":{},\"previous\":{}",
        line.sequence, line.previous
    )
    .expect("writing to memory does not fail");
    if let Some(order) = line.order {
        text(json, ",\"order_id\":", order);
    }
    if let Some(hold) = line.hold {
        id(json, ",\"hold_id\":", hold);
    }
    if let Some(currency) = line.currency {
        text(json, ",\"currency\":", currency);
    }
    let fields = line.data.trim_start().strip_prefix('{').unwrap_or("}");
    if !fields.trim_start().starts_with('}') {
        json.push(b',');
    }
    json.extend_from_slice(fields.as_bytes());
}

fn id(json: &mut Vec<u8>, before: &str, value: Uuid) {
    let mut buffer = Uuid::encode_buffer();
    let written = value.hyphenated().encode_lower(&mut buffer);
    for part in [before, "\"", written, "\""] {
        json.extend_from_slice(part.as_bytes());
    }
}

fn text(json: &mut Vec<u8>, before: &str, value: &str) {
    json.extend_from_slice(before.as_bytes());
    serde_json::to_writer(json, value).expect("writing text to memory does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(data: &str) -> Line<'_> {
        Line {
            event_type: EventType::HoldReversed,
            event_id: Uuid::nil(),
            subject: "s",
            merchant: "M \"1\" 商户",
            sequence: 7,
            previous: 5,
            occurred_at: Instant::new("2026-05-01T12:00:00.0000019+08:00".parse().unwrap()),
            order: Some("O\\1"),
            hold: Some(Uuid::nil()),
            currency: Some("EUR"),
            data,
            traceparent: None,
        }
    }

    #[test]
    fn splicing_makes_the_json_that_a_serializer_would_make() {
        let out = render(&line(r#"{"amount":"1.00"}"#), "/holdback/test");
        let read: serde_json::Value = serde_json::from_slice(&out.payload).unwrap();
        let expected = serde_json::json!({
            "merchant_id": "M \"1\" 商户", "occurred_at": "2026-05-01T04:00:00.000001Z",
            "sequence": 7, "previous": 5, "order_id": "O\\1",
            "hold_id": "00000000-0000-0000-0000-000000000000", "currency": "EUR", "amount": "1.00",
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn the_own_fields_are_found_in_the_payload() {
        for data in [r#"{"amount":"1.00","left":{"a":[1]}}"#, "{}"] {
            let line = line(data);
            let sent = render(&line, "/holdback/test").payload;
            assert_eq!(data_of(&sent, &line).as_deref(), Some(data));
            let other = Line {
                sequence: 8,
                ..line
            };
            assert_eq!(data_of(&sent, &other), None);
        }
    }

    #[test]
    fn an_event_without_fields_of_its_own_is_still_json() {
        let out = render(&line("{ }"), "/holdback/test");
        assert!(serde_json::from_slice::<serde_json::Value>(&out.payload).is_ok());
    }

    #[test]
    fn numbers_and_names_of_types_lead_back_to_the_type() {
        for &known in EventType::ALL {
            assert_eq!(EventType::from_number(known.number()), Some(known));
            assert!(known.as_str().starts_with("holdback.") && known.as_str().ends_with(".v1"));
        }
        assert_eq!(EventType::from_number(0), None);
    }
}
