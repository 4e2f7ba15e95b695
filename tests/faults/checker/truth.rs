//! What the generator's log says that happened, each fact once however often it was sent.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::cents;
use crate::generator::{BAD, Logged};

/// One line of an agreement.
#[derive(Debug, Clone)]
pub struct Term {
    pub name: String,
    pub rate_bps: i64,
    pub days: i64,
    pub confirmed: bool,
}

/// What counts for a merchant's orders.
#[derive(Debug, Clone)]
pub struct Agreement {
    pub terms: Vec<Term>,
    /// Minutes after midnight, UTC.
    pub cut_off: i64,
}

impl Agreement {
    /// The first settlement at or after an instant: one each day, at the cut-off.
    fn settles(&self, eligible: Timestamp) -> Timestamp {
        let midnight = eligible.as_second() - eligible.as_second().rem_euclid(86_400);
        let today = Timestamp::from_second(midnight + self.cut_off * 60).expect("an instant");
        if today >= eligible {
            today
        } else {
            today + SignedDuration::from_hours(24)
        }
    }

    /// When a term's hold is due, blocks aside.
    pub fn release_at(&self, term: &Term, order: &Order) -> Option<Timestamp> {
        let anchor = if term.confirmed {
            order.confirmed?
        } else {
            order.completed_at?
        };
        Some(self.settles(anchor + SignedDuration::from_hours(24 * term.days)))
    }
}

/// A dispute by all that was said of it.
#[derive(Debug, Clone, Default)]
pub struct Dispute {
    pub chargeback: bool,
    /// When Kafka had the opening first, microseconds since 1970.
    pub opened_us: Option<i64>,
    /// By version; the opening is 0, absent is the whole order.
    pub amounts: BTreeMap<i64, Option<i64>>,
    /// When the closing was sent first, and whether it was lost.
    pub closed: Option<(i64, bool)>,
}

impl Dispute {
    /// The contested part of an order of this amount.
    pub fn contested(&self, amount: i64) -> i64 {
        let last = self.amounts.last_key_value();
        last.and_then(|(_, contested)| *contested)
            .unwrap_or(amount)
            .min(amount)
    }
}

/// An order by all that was said of it; amounts in cents.
#[derive(Debug, Clone, Default)]
pub struct Order {
    pub amount: i64,
    pub completed_at: Option<Timestamp>,
    pub confirmed: Option<Timestamp>,
    pub cancelled: bool,
    pub refunds: BTreeMap<String, (i64, Option<String>)>,
    pub disputes: BTreeMap<String, Dispute>,
}

impl Order {
    fn refunded_under(&self, dispute: &str) -> i64 {
        let named = self.refunds.values();
        let named = named.filter(|(_, of)| of.as_deref() == Some(dispute));
        named.map(|(amount, _)| amount).sum()
    }

    /// What refunds and lost chargebacks take from the merchant: a lost chargeback and the refunds
    /// that name it are one debt, the larger of the two.
    pub fn charged(&self) -> i64 {
        let refunds: i64 = self.refunds.values().map(|(amount, _)| amount).sum();
        let lost = self.disputes.iter().filter(|(_, dispute)| {
            dispute.chargeback && dispute.closed.is_some_and(|(_, lost)| lost)
        });
        let more = lost
            .map(|(id, dispute)| (dispute.contested(self.amount) - self.refunded_under(id)).max(0));
        refunds + more.sum::<i64>()
    }

    /// What open disputes contest and no refund that names them has taken yet.
    pub fn contested(&self) -> i64 {
        let open = self
            .disputes
            .iter()
            .filter(|(_, it)| it.closed.is_none() && it.opened_us.is_some());
        open.map(|(id, it)| (it.contested(self.amount) - self.refunded_under(id)).max(0))
            .sum()
    }
}

/// Everything that is true.
#[derive(Debug, Default)]
pub struct Truth {
    pub agreements: BTreeMap<String, Agreement>,
    /// By merchant and order.
    pub orders: BTreeMap<(String, String), Order>,
    /// What was answered to each release: when, and whether it was paid.
    pub payouts: BTreeMap<String, BTreeSet<(Timestamp, bool)>>,
    /// Refunds whose order never comes.
    pub orphans: Vec<String>,
    /// Messages that can't be read, or that the database refuses, by topic, partition and offset: key and value.
    pub bad: BTreeMap<(String, i32, i64), (String, String)>,
    /// Values that may lie somewhere else, too.
    pub doubtful: HashSet<String>,
    /// By topic and partition, the offset after the last message.
    pub ends: HashMap<(String, i32), i64>,
}

impl Truth {
    /// Out of the generator's log.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        let mut truth = Self::default();
        for line in text.lines() {
            let logged: Logged = serde_json::from_str(line).map_err(|error| error.to_string())?;
            truth.note(&logged)?;
        }
        let orphans = truth
            .orders
            .iter()
            .filter(|(_, order)| order.completed_at.is_none());
        let orphans = orphans.flat_map(|(_, order)| order.refunds.keys().cloned());
        truth.orphans = orphans.collect();
        truth.orders.retain(|_, order| order.completed_at.is_some());
        Ok(truth)
    }

    fn note(&mut self, logged: &Logged) -> Result<(), String> {
        let place = (logged.topic.clone(), logged.partition);
        let known = logged.offset >= 0;
        if known {
            let end = self.ends.entry(place).or_default();
            *end = (*end).max(logged.offset + 1);
        } else {
            self.doubtful.insert(logged.value.clone());
        }
        if logged.key.starts_with(BAD) {
            if known {
                let place = (logged.topic.clone(), logged.partition, logged.offset);
                let bytes = (logged.key.clone(), logged.value.clone());
                self.bad.insert(place, bytes);
            }
            return Ok(());
        }
        let value: Value =
            serde_json::from_str(&logged.value).map_err(|error| error.to_string())?;
        if logged.kind == "agreement.published.v1" {
            self.agreements
                .insert(text(&value, "merchant_id")?, agreement(&value)?);
            return Ok(());
        }
        if logged.kind.starts_with("payout.") {
            let answers = self.payouts.entry(text(&value, "release_id")?).or_default();
            answers.insert((instant(&value, "at")?, logged.kind == "payout.paid.v1"));
            return Ok(());
        }
        let key = (text(&value, "merchant_id")?, text(&value, "order_id")?);
        let order = self.orders.entry(key).or_default();
        match logged.kind.as_str() {
            "order.completed.v1" => {
                order.amount = amount(&value)?.ok_or("an order without an amount")?;
                order.completed_at = Some(instant(&value, "completed_at")?);
            }
            "order.confirmed.v1" => {
                order.confirmed = Some(instant(&value, "confirmed_at")?);
            }
            "order.cancelled.v1" => order.cancelled = true,
            "refund.succeeded.v1" => {
                let of = value["dispute_id"].as_str().map(str::to_owned);
                let amount = amount(&value)?.ok_or("a refund without an amount")?;
                order
                    .refunds
                    .insert(text(&value, "refund_id")?, (amount, of));
            }
            kind => dispute(order, kind, logged, &value)?,
        }
        Ok(())
    }
}

fn dispute(order: &mut Order, kind: &str, logged: &Logged, value: &Value) -> Result<(), String> {
    let dispute = order
        .disputes
        .entry(text(value, "dispute_id")?)
        .or_default();
    match kind {
        "dispute.opened.v1" => {
            dispute.chargeback = value["kind"] == "chargeback";
            dispute.amounts.insert(0, amount(value)?);
            let first = dispute.opened_us.unwrap_or(logged.acked_us);
            dispute.opened_us = Some(first.min(logged.acked_us));
        }
        "dispute.updated.v1" => {
            let version = value["version"].as_i64().ok_or("no version")?;
            dispute.amounts.insert(version, amount(value)?);
        }
        "dispute.closed.v1" => {
            let first = dispute.closed.map_or(logged.sent_us, |(first, _)| first);
            dispute.closed = Some((first.min(logged.sent_us), value["outcome"] == "lost"));
        }
        other => return Err(format!("the checker knows nothing of {other}")),
    }
    Ok(())
}

fn agreement(value: &Value) -> Result<Agreement, String> {
    let terms = value["terms"].as_array().ok_or("no terms")?;
    let terms = terms.iter().map(|term| {
        Ok::<_, String>(Term {
            name: text(term, "name")?,
            rate_bps: term["rate_bps"].as_i64().ok_or("no rate")?,
            days: term["days"].as_i64().ok_or("no days")?,
            confirmed: term["anchor"] == "confirmed",
        })
    });
    let cut_off = text(&value["settlement"], "cut_off")?;
    let (hours, minutes) = cut_off.split_once(':').ok_or("no cut-off")?;
    let number = |text: &str| text.parse::<i64>().map_err(|error| error.to_string());
    Ok(Agreement {
        terms: terms.collect::<Result<_, _>>()?,
        cut_off: number(hours)? * 60 + number(minutes)?,
    })
}

fn text(value: &Value, field: &str) -> Result<String, String> {
    let text = value[field].as_str();
    text.map(str::to_owned)
        .ok_or_else(|| format!("no {field} in {value}"))
}

fn instant(value: &Value, field: &str) -> Result<Timestamp, String> {
    text(value, field)?
        .parse()
        .map_err(|error: jiff::Error| error.to_string())
}

fn amount(value: &Value) -> Result<Option<i64>, String> {
    value["amount"].as_str().map(cents).transpose()
}
