//! The payout system at the marketplace's end: reads what holdback releases and answers hours
//! later, mostly with good news. What it answers hangs on the release's id, not on chance.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::merchants::{Form, PaidBy};
use super::wire::Message;
use super::{DAY, Market};
use crate::message::Record;
use crate::message::incoming::InputType;
use crate::message::outgoing::EventType;

/// One transfer in so many fails at first.
const ONE_FAILS_OF: u128 = 40;

impl Market {
    /// Takes note of a record of the releases' topic and plans the answer to it.
    pub fn hear(&mut self, record: &Record) {
        let kind = record.header("ce_type").unwrap_or_default();
        let body = record.value.as_deref().map(serde_json::from_slice);
        let Some(Ok(body)) = body else { return };
        let body: Value = body;
        let merchant = body["merchant_id"].as_str().unwrap_or_default();
        let mut known = self.register.merchants.iter();
        let by_settlement =
            known.any(|known| known.merchant_id == merchant && known.paid_by == PaidBy::Settlement);
        // Pay by releases or by settlements, never by both. A settlement is answered once, so what
        // comes in its later parts, and what has no settlement, goes by its own.
        let first_part = body["settlement_part"] == 1 || body["part"] == 1;
        let subject = if kind == EventType::ReleaseIssued.as_str() {
            (!by_settlement || !first_part).then_some("release_id")
        } else {
            (by_settlement && first_part).then_some("settlement_id")
        };
        if let (Some(subject), Some(said)) = (subject, body["occurred_at"].as_str())
            && let (Ok(id), Ok(said)) = (
                body[subject].as_str().unwrap_or_default().parse(),
                said.parse(),
            )
            && !is_nothing(&body)
        {
            self.answer(merchant, subject, id, said);
        }
    }

    fn answer(&mut self, merchant: &str, subject: &str, id: Uuid, said: Timestamp) {
        let lot = id.as_u128();
        let hours = i64::try_from(lot % 36).unwrap_or_default() + 3;
        let at = said + SignedDuration::from_hours(hours);
        let mut say = |kind: InputType, at: Timestamp, reason: Option<&str>| {
            let body = json!({
                "merchant_id": merchant, subject: id, "attempt": 1, "at": at, "reason": reason,
            });
            let message = Message::write(Form::Binary, kind, &format!("{id}/{at}"), at, &body);
            self.plan(at, message);
        };
        if (lot / 36).is_multiple_of(ONE_FAILS_OF) {
            say(InputType::PayoutFailed, at, Some("account closed"));
            // Half of them get through once the merchant has named another account.
            if (lot / 36 / ONE_FAILS_OF).is_multiple_of(2) {
                say(InputType::PayoutPaid, at + DAY * 2, None);
            }
        } else {
            say(InputType::PayoutPaid, at, None);
        }
    }
}

/// A release that went wholly into what the merchant owed is finished without a payout.
fn is_nothing(body: &Value) -> bool {
    let amount = body["amount"].as_str().unwrap_or_default();
    !amount.contains(|digit: char| ('1'..='9').contains(&digit))
}
