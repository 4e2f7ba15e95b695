//! Short hands for input messages. Every one is the least that the contract asks for; a test adds
//! what it is about with [`with`].

use serde_json::{Value, json};

use super::at;

/// The object with these fields added or replaced.
pub fn with(mut object: Value, fields: Value) -> Value {
    let (Value::Object(into), Value::Object(fields)) = (&mut object, fields) else {
        panic!("objects");
    };
    into.extend(fields);
    object
}

/// All of an order for seven days to the end of the day, settled daily, in UTC.
pub fn agreement(merchant: &str, id: &str) -> Value {
    json!({
        "agreement_id": id, "version": 1, "merchant_id": merchant,
        "effective_from": "2025-01-01T00:00:00Z", "time_zone": "Etc/UTC",
        "terms": [{ "name": "sale", "rate_bps": 10000, "days": 7, "count": "date" }],
        "settlement": { "cycle": "daily" },
    })
}

/// An order in euros.
pub fn order(merchant: &str, order: &str, amount: &str, completed: &str) -> Value {
    json!({
        "merchant_id": merchant, "order_id": order, "amount": amount, "currency": "EUR",
        "completed_at": at(completed),
    })
}

/// `order.delivered`, `order.cancelled`: the field named after what happened.
pub fn happened(merchant: &str, order: &str, field: &str, when: &str) -> Value {
    json!({ "merchant_id": merchant, "order_id": order, field: at(when) })
}

pub fn confirmed(merchant: &str, order: &str, when: &str) -> Value {
    with(
        happened(merchant, order, "confirmed_at", when),
        json!({ "by": "buyer" }),
    )
}

pub fn refund(merchant: &str, order: &str, id: &str, amount: &str, when: &str) -> Value {
    json!({
        "merchant_id": merchant, "order_id": order, "refund_id": id, "amount": amount,
        "currency": "EUR", "refunded_at": at(when),
    })
}

pub fn opened(merchant: &str, order: &str, id: &str, kind: &str, when: &str) -> Value {
    json!({
        "merchant_id": merchant, "order_id": order, "dispute_id": id, "kind": kind,
        "opened_at": at(when),
    })
}

pub fn updated(merchant: &str, order: &str, id: &str, version: u64, when: &str) -> Value {
    json!({
        "merchant_id": merchant, "order_id": order, "dispute_id": id, "version": version,
        "at": at(when),
    })
}

pub fn closed(merchant: &str, order: &str, id: &str, outcome: &str, when: &str) -> Value {
    json!({
        "merchant_id": merchant, "order_id": order, "dispute_id": id, "outcome": outcome,
        "closed_at": at(when),
    })
}

/// A payout result of a release or a settlement: `subject` names the field.
pub fn payout(merchant: &str, subject: &str, id: &str, when: &str) -> Value {
    json!({ "merchant_id": merchant, subject: id, "at": at(when) })
}
