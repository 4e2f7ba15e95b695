//! Orders, refunds and disputes in numbers, with what must come of them. Three kinds of merchants:
//!
//! - *rolling*: 90 % due at once, 10 % in a year; nothing happens to their orders
//! - *waiting*: everything due in a year; refunds consume, open disputes block
//! - *mixed*: everything due at once; refunds and disputes race the release
//!
//! Guarantees that the same seed gives the same facts, in an arrival order that nobody planned: the
//! topics are read side by side.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Deref;

use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use crate::harness::{Message, TestBed};

/// What kind of merchant, by the first letter of its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Rolling,
    Waiting,
    Mixed,
}

impl Kind {
    pub fn of(merchant: &str) -> Self {
        match merchant.as_bytes().first() {
            Some(b'R') => Self::Rolling,
            Some(b'W') => Self::Waiting,
            _ => Self::Mixed,
        }
    }
}

/// What must come of one order; amounts in cents.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    pub amount: i64,
    pub refunded: i64,
    /// An open dispute stays.
    pub blocked: bool,
}

impl Expected {
    /// Its holds, in the order of their terms.
    pub fn holds(&self, merchant: &str) -> Vec<(&'static str, i64)> {
        match Kind::of(merchant) {
            Kind::Rolling => vec![
                ("sale", self.amount / 10 * 9),
                ("reserve", self.amount / 10),
            ],
            _ => vec![("sale", self.amount)],
        }
    }
}

/// Facts on their way, and what was promised about them.
pub struct Traffic<'a> {
    bed: &'a TestBed,
    sent: Sent,
}

/// What was sent so far, without the bed, whose servers a test may want to stop meanwhile.
pub struct Sent {
    now: Timestamp,
    random: StdRng,
    merchants: u32,
    messages: Cell<i64>,
    /// By merchant and order.
    pub expected: BTreeMap<(String, String), Expected>,
}

impl Deref for Traffic<'_> {
    type Target = Sent;

    fn deref(&self) -> &Sent {
        &self.sent
    }
}

/// Euros and cents.
pub fn money(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// Cents out of an amount with two digits.
pub fn cents(amount: &str) -> i64 {
    let (euros, cents) = amount.split_once('.').expect("two digits");
    assert_eq!(cents.len(), 2, "{amount}");
    format!("{euros}{cents}").parse().expect("an amount")
}

impl<'a> Traffic<'a> {
    /// Publishes the agreements of `merchants` merchants of each kind.
    pub fn new(bed: &'a TestBed, seed: u64, merchants: u32) -> Self {
        let traffic = Self {
            bed,
            sent: Sent {
                now: now(),
                random: StdRng::seed_from_u64(seed),
                merchants,
                messages: Cell::new(0),
                expected: BTreeMap::new(),
            },
        };
        for number in 0..merchants {
            for kind in ["R", "W", "X"] {
                traffic.agree(&format!("{kind}-{number}"));
            }
        }
        bed.flush();
        traffic
    }

    /// Puts what was sent aside.
    pub fn into_sent(self) -> Sent {
        self.sent
    }

    /// Goes on where [`Traffic::into_sent`] stopped.
    pub fn resume(bed: &'a TestBed, sent: Sent) -> Self {
        Self { bed, sent }
    }

    /// How many messages were sent beyond this many.
    pub fn ahead_of(&self, applied: i64) -> i64 {
        self.messages.get() - applied
    }

    fn agree(&self, merchant: &str) {
        let term = |name, rate_bps, days| json!({"name": name, "rate_bps": rate_bps, "days": days, "count": "instant"});
        let terms = match Kind::of(merchant) {
            Kind::Rolling => vec![term("sale", 9000, 1), term("reserve", 1000, 365)],
            Kind::Waiting => vec![term("sale", 10000, 365)],
            Kind::Mixed => vec![term("sale", 10000, 1)],
        };
        let agreement = json!({
            "agreement_id": format!("AG-{merchant}"), "version": 1, "merchant_id": merchant,
            "effective_from": "2020-01-01T00:00:00Z", "time_zone": "Europe/Berlin",
            "terms": terms, "settlement": {"cycle": "daily"}
        });
        self.send("merchant", merchant, "agreement.published.v1", &agreement);
    }

    /// Sends `count` orders with some refunds and disputes among them.
    pub fn orders(&mut self, count: usize) {
        let first = self.expected.len();
        for number in first..first + count {
            let kind = ["R", "W", "X"][self.sent.random.random_range(0..3)];
            let merchants = self.merchants;
            let merchant = format!("{kind}-{}", self.sent.random.random_range(0..merchants));
            let order = format!("O-{number}");
            let mut expected = Expected {
                amount: self.sent.random.random_range(100..50_000) * 10,
                ..Expected::default()
            };
            let days = self.sent.random.random_range(8..13);
            let completed_at = self.days_ago(days);
            // Now and then what follows the order comes before it.
            let early = self.sent.random.random_range(0..4) == 0;
            if early {
                self.troubles(&merchant, &order, &mut expected);
            }
            let sale = json!({
                "order_id": order, "merchant_id": merchant, "currency": "EUR",
                "amount": money(expected.amount), "completed_at": completed_at.to_string()
            });
            self.send("order-completed", &merchant, "order.completed.v1", &sale);
            if !early {
                self.troubles(&merchant, &order, &mut expected);
            }
            self.sent.expected.insert((merchant, order), expected);
        }
        self.bed.flush();
    }

    fn troubles(&mut self, merchant: &str, order: &str, expected: &mut Expected) {
        let kind = Kind::of(merchant);
        if kind == Kind::Rolling {
            return;
        }
        let (opened_at, later) = (self.days_ago(6), self.days_ago(5));
        if self.sent.random.random_range(0..4) == 0 {
            for part in 0..self.sent.random.random_range(1..3_i64) {
                let amount = expected.amount / 10 + part;
                let refund = json!({
                    "refund_id": format!("RF-{order}-{part}"), "order_id": order,
                    "merchant_id": merchant, "amount": money(amount), "currency": "EUR",
                    "refunded_at": later.to_string()
                });
                self.send("refund", merchant, "refund.succeeded.v1", &refund);
                expected.refunded += amount;
            }
        }
        if self.sent.random.random_range(0..6) == 0 {
            let dispute = format!("D-{order}");
            let opened = json!({
                "dispute_id": dispute, "order_id": order, "merchant_id": merchant,
                "kind": "complaint", "opened_at": opened_at.to_string()
            });
            self.send("dispute", merchant, "dispute.opened.v1", &opened);
            expected.blocked = kind == Kind::Waiting && self.sent.random.random();
            if !expected.blocked {
                let closed = json!({
                    "dispute_id": dispute, "order_id": order, "merchant_id": merchant,
                    "outcome": "resolved", "closed_at": later.to_string()
                });
                self.send("dispute", merchant, "dispute.closed.v1", &closed);
            }
        }
    }

    /// Sends facts that were sent before, as an upstream with retries does.
    pub fn again(&self, share: usize) {
        for ((merchant, order), expected) in self.expected.iter().step_by(share) {
            if expected.refunded == 0 || Kind::of(merchant) == Kind::Rolling {
                continue;
            }
            let refund = json!({
                "refund_id": format!("RF-{order}-0"), "order_id": order,
                "merchant_id": merchant, "amount": money(expected.amount / 10), "currency": "EUR",
                "refunded_at": self.days_ago(5).to_string()
            });
            self.send("refund", merchant, "refund.succeeded.v1", &refund);
        }
        self.bed.flush();
    }

    fn days_ago(&self, days: i64) -> Timestamp {
        self.now - SignedDuration::from_hours(24 * days)
    }

    fn send(&self, topic: &str, key: &str, kind: &str, value: &serde_json::Value) {
        self.messages.set(self.messages.get() + 1);
        self.bed.produce(
            topic,
            &Message {
                key: Some(key),
                headers: &[
                    ("ce_specversion", "1.0"),
                    ("ce_id", "1"),
                    ("ce_source", "/test"),
                    ("ce_type", kind),
                    ("content-type", "application/json"),
                ],
                value: Some(value.to_string().as_bytes()),
                timestamp_ms: None,
            },
        );
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "facts must lie a few days before the records that carry them"
)]
fn now() -> Timestamp {
    Timestamp::now()
}
