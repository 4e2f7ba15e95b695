//! What is sent, and when: worked out beforehand from a seed.
//!
//! Merchants are told apart by the first letter of their id:
//!
//! - *N*: everything due long ago, so released as soon as it is known; refunds and disputes race it
//! - *S*: 90 % as N, 10 % in a year
//! - *Y*: everything due in a year; refunds, disputes, lost chargebacks, cancellations
//! - *M*: due at a settlement instant during the run; disputes before it
//! - *C*: due long ago, but only once it is confirmed
//! - *L*: as N, but the agreement comes in the middle of the run

use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::BAD;
use crate::refused::REFUSED;

/// A message and when to send it.
#[derive(Debug, Clone)]
pub struct Planned {
    /// After the begin of the run.
    pub at_ms: u64,
    pub topic: &'static str,
    pub kind: String,
    pub key: String,
    pub value: String,
}

/// How much is sent.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub seconds: u64,
    pub orders_per_second: u64,
    /// Of each kind.
    pub merchants: u32,
    /// The number of the first order.
    pub first: u64,
    /// At most one fact follows an order, so that the order of arrival decides nothing.
    pub calm: bool,
}

/// Everything that a history sends, in the order of sending.
#[derive(Debug)]
pub struct Plan {
    pub messages: Vec<Planned>,
    /// The settlement instant of the merchants M.
    pub boundary: Timestamp,
    /// What makes it hard: how many messages are sent again, and how many before what they belong to.
    pub duplicates: u64,
    pub early: u64,
    pub late: u64,
}

const KINDS: [char; 6] = ['N', 'S', 'Y', 'M', 'C', 'L'];

struct Planner {
    random: StdRng,
    shape: Shape,
    now: Timestamp,
    plan: Plan,
    /// Orders of merchants M without a dispute, and when they are sent.
    quiet: Vec<(String, String, u64)>,
}

impl Plan {
    /// The plan of a seed that begins `now`, with the merchants M's settlement at `boundary`.
    pub fn of(seed: u64, shape: Shape, now: Timestamp, boundary: Timestamp) -> Self {
        let mut planner = Planner {
            random: StdRng::seed_from_u64(seed),
            shape,
            now,
            plan: Self {
                messages: Vec::new(),
                boundary,
                duplicates: 0,
                early: 0,
                late: 0,
            },
            quiet: Vec::new(),
        };
        for kind in KINDS {
            for number in 0..shape.merchants {
                planner.agree(kind, &format!("{kind}-{number}"));
            }
        }
        let orders = shape.seconds * shape.orders_per_second;
        for number in 0..orders {
            let at_ms = number * 1000 / shape.orders_per_second;
            planner.order(shape.first + number, at_ms);
        }
        for number in 0..shape.seconds / 3 {
            planner.bad(shape.first + number);
            planner.refused(shape.first + number);
            planner.orphan(shape.first + number);
        }
        planner.rush();
        planner.repeat();
        let mut plan = planner.plan;
        plan.messages.sort_by_key(|message| message.at_ms);
        plan
    }
}

/// Euros and cents.
pub fn money(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

impl Planner {
    fn one_in(&mut self, of: u32) -> bool {
        self.random.random_range(0..of) == 0
    }

    fn ago(&self, hours: i64) -> String {
        (self.now - SignedDuration::from_hours(hours)).to_string()
    }

    fn push(&mut self, at_ms: u64, topic: &'static str, kind: &str, value: &Value) {
        let merchant = value["merchant_id"].as_str().expect("a merchant");
        // The key means nothing for what is right.
        let key = if self.one_in(10) {
            format!("k{}", self.random.random_range(0..1000))
        } else {
            merchant.to_owned()
        };
        let end = self.shape.seconds * 1000;
        if at_ms > end {
            self.plan.late += 1;
        }
        self.plan.messages.push(Planned {
            at_ms,
            topic,
            kind: kind.to_owned(),
            key,
            value: value.to_string(),
        });
    }

    fn agree(&mut self, kind: char, merchant: &str) {
        let term = |name, rate_bps, days| json!({"name": name, "rate_bps": rate_bps, "days": days, "count": "instant"});
        let (terms, cut_off) = match kind {
            'S' => (
                vec![term("sale", 9000, 0), term("reserve", 1000, 365)],
                "00:00".to_owned(),
            ),
            'Y' => (vec![term("sale", 10000, 365)], "00:00".to_owned()),
            'M' => {
                let at = self.plan.boundary.to_zoned(jiff::tz::TimeZone::UTC);
                (
                    vec![term("sale", 10000, 0)],
                    format!("{:02}:{:02}", at.hour(), at.minute()),
                )
            }
            'C' => {
                let mut term = term("sale", 10000, 0);
                term["anchor"] = json!("confirmed");
                (vec![term], "00:00".to_owned())
            }
            _ => (vec![term("sale", 10000, 0)], "00:00".to_owned()),
        };
        let agreement = json!({
            "agreement_id": format!("AG-{merchant}"), "version": 1, "merchant_id": merchant,
            "effective_from": "2020-01-01T00:00:00Z", "time_zone": "UTC",
            "terms": terms, "settlement": {"cycle": "daily", "cut_off": cut_off}
        });
        let at_ms = if kind == 'L' {
            self.shape.seconds * 500
        } else {
            0
        };
        self.push(at_ms, "merchant", "agreement.published.v1", &agreement);
    }

    fn order(&mut self, number: u64, at_ms: u64) {
        let kind = KINDS[self.random.random_range(0..KINDS.len())];
        let merchant = format!(
            "{kind}-{}",
            self.random.random_range(0..self.shape.merchants)
        );
        let order = format!("O-{number}");
        let amount: i64 = self.random.random_range(100..50_000) * 10;
        let hours = if kind == 'M' { 1 } else { 24 * 9 };
        let sale = json!({
            "order_id": order, "merchant_id": merchant, "currency": "EUR",
            "amount": money(amount), "completed_at": self.ago(hours)
        });
        // Now and then what follows the order comes before it.
        let lag = if self.one_in(5) {
            self.random.random_range(0..5000)
        } else {
            0
        };
        self.plan.early += u64::from(lag > 0);
        self.push(at_ms + lag, "order-completed", "order.completed.v1", &sale);
        if kind == 'C' && !self.one_in(4) {
            let at = at_ms + self.random.random_range(0..6000);
            let confirmed = json!({"order_id": order, "merchant_id": merchant,
                "confirmed_at": self.ago(24 * 7), "by": "buyer"});
            self.push(at, "order-completed", "order.confirmed.v1", &confirmed);
        }
        if kind != 'S' && self.one_in(4) {
            self.dispute(kind, &merchant, &order, amount, at_ms);
        } else if kind == 'M' && lag == 0 {
            self.quiet.push((merchant.clone(), order.clone(), at_ms));
        } else if self.one_in(3) {
            self.refunds(&merchant, &order, amount, at_ms, None);
        }
        if kind == 'Y' && !self.shape.calm && self.one_in(6) {
            let at = at_ms + self.random.random_range(0..6000);
            let cancelled = json!({"order_id": order, "merchant_id": merchant,
                "cancelled_at": self.ago(20)});
            self.push(at, "order-completed", "order.cancelled.v1", &cancelled);
        }
    }

    /// One to three refunds, all together less than 40 % of the order.
    fn refunds(&mut self, merchant: &str, order: &str, amount: i64, at_ms: u64, of: Option<&str>) {
        let most = if self.shape.calm { 2 } else { 4 };
        for part in 0..self.random.random_range(1..most) {
            let at = at_ms + self.random.random_range(0..8000);
            let mut refund = json!({
                "refund_id": format!("RF-{order}-{part}"), "order_id": order,
                "merchant_id": merchant, "amount": money(amount / 10 + part), "currency": "EUR",
                "refunded_at": self.ago(24 * 2)
            });
            if let Some(dispute) = of {
                refund["dispute_id"] = json!(dispute);
            }
            self.push(at, "refund", "refund.succeeded.v1", &refund);
        }
    }

    fn dispute(&mut self, kind: char, merchant: &str, order: &str, amount: i64, at_ms: u64) {
        let dispute = format!("D-{order}");
        let chargeback = kind == 'Y' && self.one_in(3);
        // Of the merchants M the money is due one hour after the order: all of it was before that.
        let (opened, closed) = if kind == 'M' {
            (0, 0)
        } else {
            (24 * 6, 24 * 5)
        };
        let minutes = |ago: i64, minutes: i64| {
            let at = self.now - SignedDuration::from_hours(ago);
            (at - SignedDuration::from_mins(minutes)).to_string()
        };
        let (opened, closed) = (minutes(opened, 50), minutes(closed, 30));
        let mut opening = json!({
            "dispute_id": dispute, "order_id": order, "merchant_id": merchant,
            "kind": if chargeback { "chargeback" } else { "complaint" }, "opened_at": opened
        });
        if chargeback || self.one_in(2) {
            opening["amount"] = json!(money(amount / 2));
        }
        let at = at_ms + self.random.random_range(0..4000);
        self.push(at, "dispute", "dispute.opened.v1", &opening);
        if self.shape.calm {
            return;
        }
        if kind == 'Y' && self.one_in(3) {
            for version in [2, 1] {
                let at = at_ms + self.random.random_range(0..8000);
                let updated = json!({"dispute_id": dispute, "order_id": order,
                    "merchant_id": merchant, "version": version, "at": closed,
                    "amount": money(amount / 10 * (3 + version))});
                self.push(at, "dispute", "dispute.updated.v1", &updated);
            }
        }
        if self.one_in(2) {
            self.refunds(merchant, order, amount, at_ms, Some(&dispute));
        }
        if !self.one_in(3) {
            let outcome = if chargeback { "lost" } else { "resolved" };
            let at = at + self.random.random_range(0..8000);
            let closing = json!({"dispute_id": dispute, "order_id": order,
                "merchant_id": merchant, "outcome": outcome, "closed_at": closed});
            self.push(at, "dispute", "dispute.closed.v1", &closing);
        }
    }

    /// Disputes in the last moment before the settlement instant: whoever lags behind with one of
    /// their partitions must not be overtaken by the clock.
    fn rush(&mut self) {
        let ahead = self.plan.boundary.duration_since(self.now).as_millis();
        let Some(last) = u64::try_from(ahead)
            .ok()
            .and_then(|ahead| ahead.checked_sub(3000))
        else {
            return;
        };
        let quiet = std::mem::take(&mut self.quiet);
        let known = quiet.iter().filter(|(_, _, at_ms)| *at_ms < last);
        for (merchant, order, _) in known.take(40) {
            let opened_at = (self.now - SignedDuration::from_mins(20)).to_string();
            let opening = json!({"dispute_id": format!("D-{order}"), "order_id": order,
                "merchant_id": merchant, "kind": "complaint", "opened_at": opened_at});
            let at_ms = last + self.random.random_range(1800..2900);
            self.push(at_ms, "dispute", "dispute.opened.v1", &opening);
        }
    }

    /// Something that can't be read at all.
    fn bad(&mut self, number: u64) {
        let at_ms = self.random.random_range(0..self.shape.seconds * 1000);
        let topic = ["order-completed", "merchant"][self.random.random_range(0..2)];
        self.plan.messages.push(Planned {
            at_ms,
            topic,
            kind: "order.completed.v1".to_owned(),
            key: format!("{BAD}{number}"),
            value: format!("{{\"order_id\": nonsense {number}"),
        });
    }

    /// Something that reads well and only the database refuses.
    fn refused(&mut self, number: u64) {
        let at_ms = self.random.random_range(0..self.shape.seconds * 1000);
        let refund = json!({
            "refund_id": format!("{REFUSED}{number}"), "order_id": format!("refused-{number}"),
            "merchant_id": "Y-0", "amount": "1.00", "currency": "EUR",
            "refunded_at": self.ago(24 * 2)
        });
        self.plan.messages.push(Planned {
            at_ms,
            topic: "refund",
            kind: "refund.succeeded.v1".to_owned(),
            key: format!("{BAD}{number}"),
            value: refund.to_string(),
        });
    }

    /// A refund whose order never comes: it is kept.
    fn orphan(&mut self, number: u64) {
        let at_ms = self.random.random_range(0..self.shape.seconds * 1000);
        let refund = json!({
            "refund_id": format!("RF-orphan-{number}"), "order_id": format!("never-{number}"),
            "merchant_id": "Y-0", "amount": "1.00", "currency": "EUR",
            "refunded_at": self.ago(24 * 2)
        });
        self.push(at_ms, "refund", "refund.succeeded.v1", &refund);
    }

    /// Sends a part of everything again, one to four times.
    fn repeat(&mut self) {
        for place in 0..self.plan.messages.len() {
            if !self.one_in(10) || self.plan.messages[place].key.starts_with(BAD) {
                continue;
            }
            for _ in 0..self.random.random_range(1..5) {
                let mut again = self.plan.messages[place].clone();
                again.at_ms += self.random.random_range(0..10_000);
                self.plan.duplicates += 1;
                self.plan.messages.push(again);
            }
        }
    }
}
