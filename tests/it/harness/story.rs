//! What holdback said, told in lines that read like a ledger, and held against its schemas.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use jsonschema::Validator;
use serde_json::Value;

use super::Seen;

/// One event of the output topics.
#[derive(Debug, Clone)]
pub struct Event {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// `hold.created`
    pub kind: String,
    pub merchant: String,
    pub sequence: i64,
    pub previous: i64,
    pub id: String,
    pub traceparent: Option<String>,
    pub data: Value,
}

impl Event {
    pub fn read(topic: &str, seen: &Seen) -> Self {
        let data = seen.json();
        let kind = seen.headers["ce_type"]
            .strip_prefix("holdback.")
            .and_then(|rest| rest.strip_suffix(".v1"))
            .expect("a type of ours");
        let text = |name: &str| data[name].as_str().expect("a text").to_owned();
        let number = |name: &str| data[name].as_i64().expect("a number");
        assert_eq!(seen.headers["ce_sequence"], number("sequence").to_string());
        assert_eq!(seen.key.as_deref(), data["merchant_id"].as_str());
        Self {
            topic: topic.to_owned(),
            partition: seen.partition,
            offset: seen.offset,
            kind: kind.to_owned(),
            merchant: text("merchant_id"),
            sequence: number("sequence"),
            previous: number("previous"),
            id: seen.headers["ce_id"].clone(),
            traceparent: seen.headers.get("traceparent").cloned(),
            data,
        }
    }

    pub fn place(&self) -> (&str, i64) {
        (&self.merchant, self.sequence)
    }

    /// What the journal must say of it.
    pub fn identity(&self) -> (String, i64, i64, String) {
        let Self {
            merchant,
            sequence,
            previous,
            id,
            ..
        } = self;
        (merchant.clone(), *sequence, *previous, id.clone())
    }

    /// A field as text: `-` for null.
    pub fn field(&self, name: &str) -> String {
        match &self.data[name] {
            Value::String(text) => text.clone(),
            Value::Null => "-".to_owned(),
            other => other.to_string(),
        }
    }

    /// A field that holds an instant: `11-10`, or `11-10 08:30` when it is not midnight.
    fn when(&self, name: &str) -> String {
        let text = self.field(name);
        let short = text.strip_prefix("2025-").unwrap_or(&text);
        let short = short.strip_suffix(":00Z").unwrap_or(short);
        short.replace("T00:00", "").replace('T', " ")
    }

    /// The amount of a release or settlement, and its gross where something was recovered.
    fn of_gross(&self) -> String {
        let (gross, amount) = (self.field("gross"), self.field("amount"));
        if gross == amount {
            amount
        } else {
            format!("{amount} of {gross}")
        }
    }

    /// What a refund took, or gave back.
    fn sources(&self) -> String {
        let sources = self.data["sources"].as_array().expect("sources");
        let sources: Vec<String> = sources
            .iter()
            .map(|it| (&it["kind"], &it["amount"]))
            .map(|(kind, amount)| format!("{kind} {amount}").replace('"', ""))
            .collect();
        sources.join(" + ")
    }

    /// The event in a line.
    #[expect(clippy::too_many_lines, reason = "one arm per type of event")]
    pub fn line(&self) -> String {
        let f = |name: &str| self.field(name);
        let order = f("order_id");
        let cause = || {
            let ids = ["refund_id", "dispute_id", "transaction_id", "adjustment_id"].map(f);
            ids.into_iter().find(|id| id != "-").unwrap_or_default()
        };
        match self.kind.as_str() {
            "order.accepted" => format!("{order} accepted, free {}", f("free")),
            "hold.created" => {
                let due = self.when("release_at");
                format!("{order} {} holds {} until {due}", f("term"), f("original"))
            }
            "hold.rescheduled" => {
                let due = self.when("release_at");
                format!("{order} moves {} to {due}: {}", f("amount"), f("reason"))
            }
            "hold.blocked" | "hold.unblocked" => {
                let kind = self.kind.trim_start_matches("hold.");
                let sums = (f("blocked"), f("left"));
                let by = match (f("block").as_str(), f("reference").split_once('/')) {
                    // A bad message's place tells a reader nothing; another merchant's name does.
                    ("review", Some(("merchant", other))) => format!("review of {other}"),
                    ("review", _) => "review".to_owned(),
                    (block, _) => format!("{block} {}", f("reference")),
                };
                format!("{order} {kind} {} of {} by {by}", sums.0, sums.1)
            }
            "hold.consumed" => {
                let sums = (f("amount"), f("left"));
                format!("{order} gives {} to {}, left {}", sums.0, cause(), sums.1)
            }
            "hold.restored" | "hold.reversed" => {
                let kind = self.kind.trim_start_matches("hold.");
                format!("{order} {kind} {}, left {}", f("amount"), f("left"))
            }
            "hold.limit_reached" => format!("{order} over its limit with {}", f("left")),
            "refund.applied" => match self.sources() {
                // The dispute that it names was charged before.
                none if none.is_empty() => format!("{order} {} takes nothing more", cause()),
                sources => format!("{order} {} takes {sources}", cause()),
            },
            "refund.reversed" => format!("{order} {} gives back {}", cause(), self.sources()),
            "receivable.opened" => format!("{order} owes {} for {}", f("amount"), cause()),
            "receivable.recovered" => {
                let sums = (f("amount"), f("left"));
                format!(
                    "{order} owes {} less by {}, left {}",
                    sums.0,
                    f("by"),
                    sums.1
                )
            }
            "receivable.written_off" => {
                let what = if f("made_good") == "true" {
                    "back to the platform"
                } else {
                    "written off"
                };
                let sums = (f("amount"), f("by"), f("left"), f("written_off"));
                format!(
                    "{order} {} {what} by {}, left {}, borne {}",
                    sums.0, sums.1, sums.2, sums.3
                )
            }
            "deposit.changed" => {
                let sums = (f("direction"), f("amount"), f("deposit"));
                format!(
                    "deposit {} {} by {}, now {}",
                    sums.0,
                    sums.1,
                    f("by"),
                    sums.2
                )
            }
            "credit.opened" => format!("{order} gets {} back by {}", f("amount"), f("by")),
            "release.issued" | "release.shadowed" => {
                let part = (self.when("settlement_date"), f("settlement_part"));
                let (amount, reason) = (self.of_gross(), f("reason"));
                let verb = match self.kind.as_str() {
                    "release.issued" => "releases",
                    _ => "shadows",
                };
                format!("{order} {verb} {amount} {reason} {}/{}", part.0, part.1)
            }
            "settlement.closed" | "settlement.shadowed" => {
                let part = (self.when("settlement_date"), f("part"));
                let sums = (f("releases"), self.of_gross());
                let end = self.kind.trim_start_matches("settlement.");
                format!("{end} {}/{}: {} with {}", part.0, part.1, sums.0, sums.1)
            }
            "settlement.skipped" => {
                let day = self.when("settlement_date");
                format!("skipped {day}: {} under {}", f("due"), f("minimum"))
            }
            "payout.settled" => format!("{order} {} {}", f("result"), f("amount")),
            "review.requested" => {
                let due = self.when("respond_by");
                format!("{order} review by {}: answer by {due}", f("cause"))
            }
            "review.reminded" => format!("{order} review: reminded"),
            "review.overdue" => {
                let due = self.when("due_at");
                format!("{order} review: no {} by {due}", f("awaited"))
            }
            "review.closed" => format!("{order} review {} by {}", f("result"), f("by")),
            "control.daily" => format!("{} of {} summed up", f("currency"), f("date")),
            "agreement.accepted" => {
                let version = (f("agreement_id"), f("agreement_version"));
                format!("{}/{} late for {}", version.0, version.1, f("late_for"))
            }
            other => panic!("no line for {other}"),
        }
    }
}

/// Holds an event against the schema of its type.
pub fn validate(event: &Event) {
    static VALIDATORS: OnceLock<Mutex<HashMap<String, Validator>>> = OnceLock::new();
    let validators = VALIDATORS.get_or_init(Mutex::default).lock();
    let mut validators = validators.unwrap_or_else(PoisonError::into_inner);
    let validator = validators.entry(event.kind.clone()).or_insert_with(|| {
        let name = format!("schemas/events/holdback.{}.v1.schema.json", event.kind);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let schema: Value = serde_json::from_slice(&bytes).expect("JSON");
        jsonschema::validator_for(&schema).expect("a schema")
    });
    if let Err(error) = validator.validate(&event.data) {
        panic!("{error} at {}: {:#}", error.instance_path(), event.data);
    }
}
