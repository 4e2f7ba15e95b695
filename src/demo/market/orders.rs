//! A day of the marketplace: its orders and what becomes of each. Most go well. Some are refunded,
//! disputed or cancelled; some messages come late, early, twice or broken.

use jiff::{SignedDuration, Timestamp};
use rand::RngExt as _;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::Market;
use super::merchants::{Merchant, Reports};
use super::wire::Message;
use crate::message::incoming::InputType;

const CATEGORIES: &[&str] = &["phone", "tablet", "case", "book", "gift"];

/// An order as far as its later messages need to know it.
struct Order<'a> {
    merchant: &'a Merchant,
    id: String,
    /// In the currency's minor unit.
    amount: i64,
    completed_at: Timestamp,
    /// When its message is sent.
    told_at: Timestamp,
}

impl Order<'_> {
    /// A sum in the currency's minor unit as messages write it.
    fn money(&self, minor: i64) -> String {
        Decimal::new(minor, self.merchant.currency.exponent()).to_string()
    }

    /// A message's own fields with the two that name the order.
    fn with(&self, mut fields: Value) -> Value {
        fields["order_id"] = json!(self.id);
        fields["merchant_id"] = json!(self.merchant.merchant_id);
        fields
    }
}

impl Market {
    /// Plans the orders of one day with all that follows from them, on later days too.
    pub(super) fn plan_day(&mut self, day: Timestamp) {
        for merchant in self.register.merchants.clone() {
            let usual = merchant.orders_per_day;
            for _ in 0..self.rng.random_range(usual * 7 / 10..=usual * 13 / 10) {
                self.sell(&merchant, day);
            }
        }
    }

    fn sell(&mut self, merchant: &Merchant, day: Timestamp) {
        self.orders += 1;
        let completed_at = day + SignedDuration::from_secs(self.rng.random_range(0..86_400));
        let delay = if self.chance(10) {
            self.hours(26, 46)
        } else {
            SignedDuration::from_secs(self.rng.random_range(1..90))
        };
        let order = Order {
            merchant,
            id: format!("O-{:05}", self.orders),
            amount: self
                .rng
                .random_range(merchant.price_from..=merchant.price_to),
            completed_at,
            told_at: completed_at + delay,
        };
        let category = CATEGORIES[self.rng.random_range(0..CATEGORIES.len())];
        let fees = order.amount * self.rng.random_range(2..8) / 100;
        let body = json!({
            "order_id": order.id, "merchant_id": merchant.merchant_id,
            "amount": order.money(order.amount), "fees": order.money(fees),
            "currency": merchant.currency, "completed_at": completed_at,
            "attributes": { "category": category },
        });
        self.say(&order, InputType::OrderCompleted, order.told_at, &body);
        if self.chance(8) {
            // The same again: its system lost the acknowledgement.
            let again = order.told_at + self.hours(1, 20);
            self.say(&order, InputType::OrderCompleted, again, &body);
        }
        self.report(&order);
        match self.rng.random_range(0..1000) {
            0..60 => self.refund(&order),
            60..90 => self.dispute(&order),
            90..110 => self.cancel(&order),
            110..115 => self.mischief(&order, &body),
            _ => {}
        }
    }

    /// What the shop says after the sale, if it does.
    fn report(&mut self, order: &Order<'_>) {
        match order.merchant.reports {
            Reports::Delivery if !self.chance(30) => {
                let at = order.completed_at + self.hours(20, 90);
                let body = order.with(json!({ "delivered_at": at }));
                self.say(order, InputType::OrderDelivered, at, &body);
            }
            // Who forgets to confirm is taken to have confirmed, some days later.
            Reports::Confirmation if self.chance(600) => {
                let at = order.completed_at + self.hours(30, 140);
                let by = if self.chance(900) {
                    "buyer"
                } else {
                    "merchant"
                };
                let body = order.with(json!({ "confirmed_at": at, "by": by }));
                self.say(order, InputType::OrderConfirmed, at, &body);
            }
            Reports::Nothing | Reports::Delivery | Reports::Confirmation => {}
        }
    }

    fn refund(&mut self, order: &Order<'_>) {
        let amount = if self.chance(500) {
            order.amount
        } else {
            order.amount * self.rng.random_range(10..70) / 100
        };
        let at = order.completed_at + self.hours(2, 240);
        // Systems do not wait for each other: some refunds are told before their order is.
        let told = if self.chance(100) {
            order.told_at - SignedDuration::from_mins(30)
        } else {
            at
        };
        self.pay_back(order, amount.max(1), told.min(at), None);
    }

    /// A refund at this time, which names the dispute that it ends if there was one.
    fn pay_back(&mut self, order: &Order<'_>, amount: i64, at: Timestamp, dispute: Option<&str>) {
        let body = json!({
            "refund_id": format!("R-{}", order.id), "amount": order.money(amount),
            "currency": order.merchant.currency, "refunded_at": at, "dispute_id": dispute,
        });
        let body = order.with(body);
        self.say(order, InputType::RefundSucceeded, at, &body);
    }

    fn cancel(&mut self, order: &Order<'_>) {
        let at = order.completed_at + self.hours(1, 48);
        let body = json!({ "cancelled_at": at, "reason": "buyer changed their mind" });
        let body = order.with(body);
        self.say(order, InputType::OrderCancelled, at, &body);
        if self.chance(250) {
            let later = at + self.hours(1, 30);
            self.pay_back(order, order.amount, later, None);
        }
    }

    fn dispute(&mut self, order: &Order<'_>) {
        let id = format!("D-{}", order.id);
        let opened_at = order.completed_at + self.hours(6, 140);
        let chargeback = self.chance(300);
        let kinds = ["complaint", "return", "exchange", "inquiry"];
        let kind = if chargeback {
            "chargeback"
        } else {
            kinds[self.rng.random_range(0..kinds.len())]
        };
        let part = (order.amount / 2).max(1);
        let contested = self.chance(500).then_some(part);
        let amount = contested.map(|part| order.money(part));
        let body =
            json!({ "dispute_id": id, "kind": kind, "opened_at": opened_at, "amount": amount });
        let body = order.with(body);
        self.say(order, InputType::DisputeOpened, opened_at, &body);
        if self.chance(250) {
            let at = opened_at + self.hours(5, 40);
            let amount = order.money((order.amount * 3 / 4).max(1));
            let body = json!({ "dispute_id": id, "version": 1, "at": at, "amount": amount });
            let body = order.with(body);
            self.say(order, InputType::DisputeUpdated, at, &body);
        }
        // A few stay open, until a limit or a person ends them.
        if !self.chance(120) {
            self.close(order, &id, opened_at, chargeback);
        }
    }

    fn close(&mut self, order: &Order<'_>, id: &str, opened_at: Timestamp, chargeback: bool) {
        let at = opened_at + self.hours(30, 200);
        let outcome = match self.rng.random_range(0..100) {
            0..40 if chargeback => "lost",
            0..35 => "resolved",
            35..65 => "withdrawn",
            _ => "won",
        };
        let given_back = (order.amount / 3).max(1);
        let refunds = outcome == "resolved";
        let expected = refunds.then(|| order.money(given_back));
        let body = json!({
            "dispute_id": id, "outcome": outcome, "closed_at": at, "refund_expected": expected,
        });
        let body = order.with(body);
        self.say(order, InputType::DisputeClosed, at, &body);
        if refunds {
            let later = at + self.hours(1, 60);
            self.pay_back(order, given_back, later, Some(id));
        }
    }

    /// A message that can't be accepted, or that belongs to nothing.
    fn mischief(&mut self, order: &Order<'_>, sale: &Value) {
        let at = order.told_at + self.hours(1, 12);
        let mut body = order.with(json!({
            "refund_id": format!("R-{}", order.id), "amount": order.money(order.amount),
            "currency": order.merchant.currency, "refunded_at": at,
        }));
        let kind = InputType::RefundSucceeded;
        match self.rng.random_range(0..6) {
            0 => {
                let id = format!("{}/{}", order.id, kind.as_str());
                let cut = Message::write(order.merchant.form, kind, &id, at, &body).cut();
                return self.plan(at, cut);
            }
            1 => body["amount"] = json!("-1.00"),
            2 => body["currency"] = json!("XBT"),
            3 => body["amount"] = json!(order.money(order.amount * 3)),
            4 => {
                let mut other = sale.clone();
                other["amount"] = json!(order.money(order.amount + 100));
                return self.say(order, InputType::OrderCompleted, at, &other);
            }
            _ => body["order_id"] = json!(format!("{}-unknown", order.id)),
        }
        self.say(order, kind, at, &body);
    }

    fn say(&mut self, order: &Order<'_>, kind: InputType, at: Timestamp, body: &Value) {
        let id = format!("{}/{}", order.id, kind.as_str());
        self.plan(at, Message::write(order.merchant.form, kind, &id, at, body));
    }

    fn chance(&mut self, of_thousand: u32) -> bool {
        self.rng.random_ratio(of_thousand, 1000)
    }

    fn hours(&mut self, from: i64, to: i64) -> SignedDuration {
        SignedDuration::from_secs(self.rng.random_range(from * 3600..to * 3600))
    }
}
