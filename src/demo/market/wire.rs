//! The demo's messages as third parties would write them: plain JSON, and `CloudEvents` in both of
//! their forms.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::merchants::Form;
use crate::config::Topics;
use crate::message::incoming::InputType;

/// One message on its way to the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub(super) kind: InputType,
    pub merchant: String,
    pub headers: Vec<(&'static str, String)>,
    pub value: Vec<u8>,
}

impl Message {
    /// The topic that usually carries it.
    #[must_use]
    pub fn topic<'a>(&self, topics: &'a Topics) -> &'a str {
        match self.kind {
            InputType::OrderCompleted
            | InputType::OrderConfirmed
            | InputType::OrderDelivered
            | InputType::OrderCancelled => &topics.order_completed,
            InputType::RefundSucceeded | InputType::RefundReversed => &topics.refund,
            InputType::DisputeOpened | InputType::DisputeUpdated | InputType::DisputeClosed => {
                &topics.dispute
            }
            InputType::AgreementPublished
            | InputType::CalendarPublished
            | InputType::DepositCredited
            | InputType::DepositWithdrawn
            | InputType::AdjustmentPosted
            | InputType::ReviewRequested
            | InputType::ReviewAnswered
            | InputType::ReviewDecided => &topics.merchant,
            InputType::PayoutPaid | InputType::PayoutFailed => &topics.payout_result,
        }
    }

    /// Writes a message in this form; where the topic has no type of its own to fall back on, a
    /// plain one becomes a binary one.
    pub(super) fn write(
        form: Form,
        kind: InputType,
        id: &str,
        at: Timestamp,
        body: &Value,
    ) -> Self {
        let merchant = body["merchant_id"].as_str().unwrap_or("*").to_owned();
        let named = !matches!(kind, InputType::OrderCompleted | InputType::RefundSucceeded);
        let (headers, value) = match form {
            Form::Plain if !named => (Vec::new(), body.to_string()),
            Form::Plain | Form::Binary => {
                let headers = vec![
                    ("ce_specversion", "1.0".to_owned()),
                    ("ce_id", id.to_owned()),
                    ("ce_source", "/marketplace".to_owned()),
                    ("ce_type", kind.as_str().to_owned()),
                    ("ce_time", at.to_string()),
                    ("content-type", "application/json".to_owned()),
                ];
                (headers, body.to_string())
            }
            Form::Structured => {
                let media_type = "application/cloudevents+json; charset=utf-8";
                let event = json!({
                    "specversion": "1.0", "id": id, "source": "/marketplace",
                    "type": kind.as_str(), "time": at.to_string(),
                    "datacontenttype": "application/json", "data": body,
                });
                (
                    vec![("content-type", media_type.to_owned())],
                    event.to_string(),
                )
            }
        };
        Self {
            kind,
            merchant,
            headers,
            value: value.into_bytes(),
        }
    }

    /// The same message cut off in the middle.
    pub(super) fn cut(mut self) -> Self {
        self.value.truncate(self.value.len() / 2);
        self
    }
}
