//! Short hands for input messages. Every one is the least that the contract asks for; a test adds
//! what it is about by [`Fact::with`].

use serde_json::{Value, json};

use super::at;

/// A message: its type and its data.
#[derive(Debug, Clone)]
pub struct Fact {
    pub type_name: &'static str,
    pub data: Value,
}

impl Fact {
    /// The same with these fields added or replaced.
    pub fn with(mut self, fields: Value) -> Self {
        let (Value::Object(into), Value::Object(fields)) = (&mut self.data, fields) else {
            panic!("objects");
        };
        into.extend(fields);
        self
    }

    /// Where messages of its type usually go (contract, section 2).
    pub fn usual_topic(&self) -> &'static str {
        match self.type_name.split('.').next() {
            Some("order") => "order-completed",
            Some("refund") => "refund",
            Some("dispute") => "dispute",
            Some("payout") => "payout-result",
            _ => "merchant",
        }
    }
}

/// All of an order for seven days, settled daily, in UTC.
pub fn agreement(merchant: &str, id: &str) -> Fact {
    let data = json!({
        "agreement_id": id, "version": 1, "merchant_id": merchant,
        "effective_from": "2025-01-01T00:00:00Z", "time_zone": "Etc/UTC",
        "terms": [{ "name": "sale", "rate_bps": 10000, "days": 7, "count": "date" }],
        "settlement": { "cycle": "daily" },
    });
    let type_name = "agreement.published.v1";
    Fact { type_name, data }
}

/// A calendar with free weekends.
pub fn calendar(calendar: &str, version: u64) -> Fact {
    let data = json!({ "calendar": calendar, "version": version, "weekend": ["sat", "sun"] });
    let type_name = "calendar.published.v1";
    Fact { type_name, data }
}

/// A fact about an order.
fn about(type_name: &'static str, merchant: &str, order: &str, fields: Value) -> Fact {
    let data = json!({ "merchant_id": merchant, "order_id": order });
    Fact { type_name, data }.with(fields)
}

/// An order in euros.
pub fn order(merchant: &str, order: &str, amount: &str, when: &str) -> Fact {
    let fields = json!({ "amount": amount, "currency": "EUR", "completed_at": at(when) });
    about("order.completed.v1", merchant, order, fields)
}

pub fn delivered(merchant: &str, order: &str, when: &str) -> Fact {
    let fields = json!({ "delivered_at": at(when) });
    about("order.delivered.v1", merchant, order, fields)
}

pub fn confirmed(merchant: &str, order: &str, when: &str) -> Fact {
    let fields = json!({ "confirmed_at": at(when), "by": "buyer" });
    about("order.confirmed.v1", merchant, order, fields)
}

pub fn cancelled(merchant: &str, order: &str, when: &str) -> Fact {
    let fields = json!({ "cancelled_at": at(when) });
    about("order.cancelled.v1", merchant, order, fields)
}

pub fn refund(merchant: &str, order: &str, id: &str, amount: &str, when: &str) -> Fact {
    let fields =
        json!({ "refund_id": id, "amount": amount, "currency": "EUR", "refunded_at": at(when) });
    about("refund.succeeded.v1", merchant, order, fields)
}

pub fn opened(merchant: &str, order: &str, id: &str, kind: &str, when: &str) -> Fact {
    let fields = json!({ "dispute_id": id, "kind": kind, "opened_at": at(when) });
    about("dispute.opened.v1", merchant, order, fields)
}

pub fn updated(merchant: &str, order: &str, id: &str, version: u64, when: &str) -> Fact {
    let fields = json!({ "dispute_id": id, "version": version, "at": at(when) });
    about("dispute.updated.v1", merchant, order, fields)
}

pub fn closed(merchant: &str, order: &str, id: &str, outcome: &str, when: &str) -> Fact {
    let fields = json!({ "dispute_id": id, "outcome": outcome, "closed_at": at(when) });
    about("dispute.closed.v1", merchant, order, fields)
}

pub fn requested(merchant: &str, order: &str, id: &str, when: &str) -> Fact {
    let fields = json!({ "review_id": id, "reason": "looks odd", "at": at(when) });
    about("review.requested.v1", merchant, order, fields)
}

pub fn answered(merchant: &str, id: &str, when: &str) -> Fact {
    let data = json!({ "merchant_id": merchant, "review_id": id, "answer": "it is not",
                       "evidence": ["https://m.example/1"], "answered_at": at(when) });
    let type_name = "review.answered.v1";
    Fact { type_name, data }
}

pub fn decided(merchant: &str, id: &str, decision: &str, when: &str) -> Fact {
    let data = json!({ "merchant_id": merchant, "review_id": id, "decision": decision,
                       "decided_by": "Ann", "decided_at": at(when) });
    let type_name = "review.decided.v1";
    Fact { type_name, data }
}

/// The refund did not go through after all.
pub fn refund_reversed(merchant: &str, id: &str, when: &str) -> Fact {
    let data = json!({ "merchant_id": merchant, "refund_id": id, "reversed_at": at(when) });
    let type_name = "refund.reversed.v1";
    Fact { type_name, data }
}

/// A payment into a deposit in euros, or out of it.
pub fn deposit(merchant: &str, withdrawn: bool, id: &str, amount: &str, when: &str) -> Fact {
    let data = json!({ "transaction_id": id, "merchant_id": merchant, "amount": amount,
                       "currency": "EUR", "at": at(when) });
    let type_name = if withdrawn {
        "deposit.withdrawn.v1"
    } else {
        "deposit.credited.v1"
    };
    Fact { type_name, data }
}

/// A correction in euros.
pub fn adjusted(merchant: &str, id: &str, direction: &str, amount: &str, when: &str) -> Fact {
    let data = json!({ "adjustment_id": id, "merchant_id": merchant, "currency": "EUR",
                       "amount": amount, "direction": direction, "reason": "a mistake in May",
                       "actor": "finance-lin", "at": at(when) });
    let type_name = "adjustment.posted.v1";
    Fact { type_name, data }
}

/// A payout result of a release or a settlement: `subject` names the field.
pub fn paid(merchant: &str, subject: &str, id: &str, when: &str) -> Fact {
    let data = json!({ "merchant_id": merchant, subject: id, "at": at(when) });
    let type_name = "payout.paid.v1";
    Fact { type_name, data }
}

pub fn failed(merchant: &str, subject: &str, id: &str, when: &str) -> Fact {
    let type_name = "payout.failed.v1";
    Fact {
        type_name,
        ..paid(merchant, subject, id, when)
    }
}
