//! What just happened, in plain words, out of the topics that holdback writes.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant as Moment};

use jiff::Timestamp;
use serde_json::Value;

use super::figures::{day_and_month, grouped};
use crate::message::Record;
use crate::message::outgoing::EventType;

/// One sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    pub kind: Kind,
    /// Simulated.
    pub at: Timestamp,
    pub text: String,
}

/// What it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Event(EventType),
    DeadLetter,
}

impl Kind {
    /// Worth a line even among few: not the hundreds of holds and releases that go well.
    #[must_use]
    pub fn is_notable(self) -> bool {
        use EventType as E;
        match self {
            Self::DeadLetter => true,
            Self::Event(kind) => !matches!(
                kind,
                E::HoldCreated
                    | E::OrderAccepted
                    | E::HoldConsumed
                    | E::HoldRescheduled
                    | E::HoldRestored
                    | E::ReleaseIssued
                    | E::ReleaseShadowed
                    | E::PayoutSettled
                    | E::AgreementAccepted
            ),
        }
    }
}

impl News {
    /// The sentence of a record of an output topic; `None` for what needs no telling.
    #[must_use]
    pub fn of(record: &Record) -> Option<Self> {
        if let Some(reason) = record.header("holdback_reason") {
            let detail = record.header("holdback_detail").unwrap_or_default();
            let topic = record.header("holdback_topic").unwrap_or_default();
            let detail = detail.trim_start_matches(reason).trim_start_matches(": ");
            return Some(Self {
                kind: Kind::DeadLetter,
                at: record.header("holdback_at")?.parse().ok()?,
                text: format!("a message in {topic} can't be accepted: {reason} ({detail})"),
            });
        }
        let name = record.header("ce_type")?;
        let kind = EventType::ALL.iter().find(|kind| kind.as_str() == name)?;
        let body = Body(serde_json::from_slice(record.value.as_deref()?).ok()?);
        let text = format!("{}  {}", body.text("merchant_id"), body.sentence(*kind)?);
        Some(Self {
            kind: Kind::Event(*kind),
            at: body.text("occurred_at").parse().ok()?,
            text,
        })
    }
}

/// An event's value, read by name.
struct Body(Value);

impl Body {
    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    fn has(&self, name: &str) -> bool {
        !self.0[name].is_null()
    }

    /// `1,234.50 EUR`
    fn money(&self, name: &str) -> String {
        format!("{} {}", grouped(self.text(name)), self.text("currency"))
    }

    fn is_nothing(&self, name: &str) -> bool {
        !self
            .text(name)
            .contains(|digit: char| ('1'..='9').contains(&digit))
    }

    fn date(&self, name: &str) -> String {
        day_and_month(self.text(name)).unwrap_or_else(|| "a later day".to_owned())
    }

    fn sentence(&self, kind: EventType) -> Option<String> {
        use EventType as E;
        let order = self.text("order_id");
        Some(match kind {
            E::HoldCreated => self.held(),
            E::OrderAccepted => {
                format!("{order}: nothing to hold of {}", self.money("order_amount"))
            }
            E::HoldRescheduled => self.rescheduled(),
            E::HoldBlocked => self.blocked(),
            E::HoldUnblocked => self.unblocked(),
            // Told by the refund.
            E::HoldConsumed | E::HoldRestored => return None,
            E::HoldReversed => format!(
                "{order}: cancelled, {} no longer held",
                self.money("amount")
            ),
            E::HoldLimitReached => format!(
                "{order}: held for too long, {} wait for a person",
                self.money("left")
            ),
            E::RefundApplied => self.refunded(),
            E::RefundReversed => {
                let returned = self.money("returned");
                format!("{order}: a refund did not go through, {returned} come back")
            }
            E::ReceivableOpened => format!("{order}: now owes {}", self.money("amount")),
            E::ReceivableRecovered => format!("{order}: owes {} less", self.money("amount")),
            E::ReceivableWrittenOff => format!("{order}: {} written off", self.money("amount")),
            E::DepositChanged => format!("the deposit is now {}", self.money("deposit")),
            E::CreditOpened => format!("{order}: gets {} back", self.money("amount")),
            E::ReleaseIssued | E::ReleaseShadowed => self.released(),
            E::SettlementClosed | E::SettlementShadowed => self.settled(),
            E::SettlementSkipped => format!(
                "settlement of {} skipped: {} due, the minimum is {}",
                self.date("settlement_date"),
                self.money("due"),
                self.money("minimum")
            ),
            E::PayoutSettled => format!(
                "{order}: payout of {} {}",
                self.money("amount"),
                self.text("result")
            ),
            E::ReviewRequested => format!("{order}: under review, the merchant is asked"),
            E::ReviewReminded => format!("{order}: review, the merchant is reminded"),
            E::ReviewOverdue => format!("{order}: review, no {} in time", self.text("awaited")),
            E::ReviewClosed => format!("{order}: review {}", self.text("result")),
            E::ControlDaily => format!(
                "{} of {} summed up",
                self.text("currency"),
                self.date("date")
            ),
            E::AgreementAccepted => format!("agreement {} accepted", self.text("agreement_id")),
        })
    }

    fn held(&self) -> String {
        let held = format!(
            "{}: {} held ({})",
            self.text("order_id"),
            self.money("original"),
            self.text("term")
        );
        if self.has("settlement_date") {
            format!("{held} until {}", self.date("settlement_date"))
        } else {
            format!("{held}, its clock starts when it is delivered or confirmed")
        }
    }

    fn blocked(&self) -> String {
        let (order, money) = (self.text("order_id"), self.money("blocked"));
        match self.text("block") {
            "dispute" => format!("{order}: dispute {} keeps {money}", self.text("reference")),
            block => format!("{order}: {block}, {money} wait for a person"),
        }
    }

    fn unblocked(&self) -> String {
        let (order, block) = (self.text("order_id"), self.text("block"));
        let block = format!("{order}: {block} {}", self.text("reference"));
        if self.is_nothing("blocked") {
            format!("{block} is over, nothing is blocked any more")
        } else {
            format!(
                "{block} keeps less, {} still blocked",
                self.money("blocked")
            )
        }
    }

    fn rescheduled(&self) -> String {
        let why = match self.text("reason") {
            "anchor_known" => "delivered or confirmed",
            "unblocked" => "free again",
            "calendar" => "the calendar changed",
            _ => "under the settlement's minimum",
        };
        let (order, money) = (self.text("order_id"), self.money("amount"));
        format!(
            "{order}: {why}, {money} now due {}",
            self.date("settlement_date")
        )
    }

    fn refunded(&self) -> String {
        let sources = self.0["sources"].as_array();
        let mut names: Vec<&str> = sources
            .into_iter()
            .flatten()
            .filter_map(|source| source["kind"].as_str())
            .map(|kind| match kind {
                "hold" => "the hold",
                "reversed" => "what the cancellation gave back",
                "deposit" => "the deposit",
                _ => "a debt",
            })
            .collect();
        names.dedup();
        let what = if self.has("refund_id") {
            "refund"
        } else {
            "lost chargeback"
        };
        let from = if names.is_empty() {
            "nothing".to_owned()
        } else {
            names.join(" and ")
        };
        let (order, money) = (self.text("order_id"), self.money("amount"));
        format!("{order}: {what} of {money} paid by {from}")
    }

    fn settled(&self) -> String {
        let (date, money) = (self.date("settlement_date"), self.money("amount"));
        let releases = match self.0["releases"].as_u64() {
            Some(1) => "one release".to_owned(),
            Some(count) => format!("{} releases", grouped(&count.to_string())),
            None => "releases".to_owned(),
        };
        format!("settlement of {date}: {money} in {releases}")
    }

    fn released(&self) -> String {
        let (order, money) = (self.text("order_id"), self.money("amount"));
        let recovered = if self.is_nothing("recovered") {
            String::new()
        } else {
            format!(", {} kept for a debt", self.money("recovered"))
        };
        match self.text("reason") {
            "limit" => format!("{order}: {money} released, its limit has passed{recovered}"),
            _ => format!("{order}: {money} released{recovered}"),
        }
    }
}

/// Lets each kind pass so often that a person can read along.
#[derive(Debug)]
pub struct Pace<K> {
    every: Duration,
    last: HashMap<K, Moment>,
}

impl<K: Hash + Eq> Pace<K> {
    /// One of each kind in this time.
    #[must_use]
    pub fn of(every: Duration) -> Self {
        Self {
            every,
            last: HashMap::new(),
        }
    }

    /// Whether one of this kind may pass now.
    pub fn lets_pass(&mut self, kind: K, now: Moment) -> bool {
        let last = self.last.get(&kind);
        let passes = last.is_none_or(|last| now.duration_since(*last) >= self.every);
        if passes {
            self.last.insert(kind, now);
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn sentence(kind: &str, value: &str) -> String {
        let record = Record {
            topic: Arc::from("holdback-events"),
            partition: 0,
            offset: 0,
            timestamp: None,
            key: None,
            headers: vec![("ce_type".to_owned(), Some(kind.as_bytes().to_vec()))],
            value: Some(value.as_bytes().to_vec()),
        };
        News::of(&record).expect("a sentence").text
    }

    #[test]
    fn every_published_example_has_a_sentence_without_gaps() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/examples/output");
        let mut told = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let kind = name.strip_suffix(".json").unwrap_or(name);
            let kind = kind.split("--").next().unwrap_or(kind);
            let quiet = ["consumed", "restored"];
            if quiet.iter().any(|quiet| kind.contains(quiet)) {
                continue;
            }
            let text = sentence(kind, &std::fs::read_to_string(&path).unwrap());
            assert!(
                !text.contains(" :") && !text.contains("null"),
                "{name}: {text}"
            );
            told += 1;
        }
        assert!(told >= 10, "{told}");
    }

    #[test]
    fn a_kind_passes_once_in_its_time_and_does_not_hinder_another() {
        let start = Moment::now();
        let mut pace = Pace::of(Duration::from_secs(2));
        assert!(pace.lets_pass('a', start));
        assert!(!pace.lets_pass('a', start + Duration::from_secs(1)));
        assert!(pace.lets_pass('b', start + Duration::from_secs(1)));
        assert!(pace.lets_pass('a', start + Duration::from_secs(2)));
    }
}
