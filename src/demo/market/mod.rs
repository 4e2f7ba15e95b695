//! A made-up marketplace: who sells what, what goes wrong, and the payout system at its end.
//!
//! Guarantees: the same seed tells the same orders, refunds and disputes, at the same simulated
//! times. Only the payout system's answers depend on what holdback released.

mod merchants;
mod orders;
mod payout;
mod wire;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::Value;

use crate::message::incoming::InputType;
use merchants::{Form, Register};

pub use wire::Message;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// The marketplace, with everything that it is going to say.
#[derive(Debug)]
pub struct Market {
    register: Register,
    rng: StdRng,
    /// By the time at which it is said; the number keeps the order of what is said at once.
    planned: BTreeMap<(Timestamp, u64), Message>,
    said: u64,
    orders: u64,
    /// Orders are planned up to here.
    planned_until: Timestamp,
}

impl Market {
    /// Opens at this simulated time: first of all the agreements are published.
    #[must_use]
    pub fn open(seed: u64, from: Timestamp) -> Self {
        let mut market = Self {
            register: Register::open(),
            rng: StdRng::seed_from_u64(seed),
            planned: BTreeMap::new(),
            said: 0,
            orders: 0,
            planned_until: from,
        };
        for calendar in market.register.calendars.clone() {
            let id = format!("calendar/{}", calendar["calendar"]);
            let kind = InputType::CalendarPublished;
            market.plan(
                from,
                Message::write(Form::Binary, kind, &id, from, &calendar),
            );
        }
        for agreement in market.register.platform_agreements() {
            market.publish(from, &agreement);
        }
        for merchant in market.register.merchants.clone() {
            if let Some(agreement) = merchant.agreement() {
                let at = from + DAY * i32::try_from(merchant.agreement_after_days).unwrap_or(0);
                market.publish(at, &agreement);
            }
        }
        market
    }

    /// What is said from the last call until now, each with its time.
    pub fn until(&mut self, now: Timestamp) -> Vec<(Timestamp, Message)> {
        while self.planned_until <= now {
            let day = self.planned_until;
            self.plan_day(day);
            self.planned_until = day + DAY;
        }
        let later = self.planned.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut self.planned, later);
        due.into_iter()
            .map(|((at, _), message)| (at, message))
            .collect()
    }

    fn publish(&mut self, at: Timestamp, agreement: &Value) {
        let id = format!(
            "agreement/{}/{}",
            agreement["agreement_id"], agreement["version"]
        );
        let kind = InputType::AgreementPublished;
        self.plan(
            at,
            Message::write(Form::Structured, kind, &id, at, agreement),
        );
    }

    fn plan(&mut self, at: Timestamp, message: Message) {
        self.said += 1;
        self.planned.insert((at, self.said), message);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::message::Record;
    use crate::message::incoming::{Limits, parse};
    use crate::rules::time::Instant;

    const DAYS: i32 = 20;

    fn told(seed: u64) -> Vec<(Timestamp, Message)> {
        let from: Timestamp = "2026-03-02T00:00:00Z".parse().unwrap();
        Market::open(seed, from).until(from + DAY * DAYS)
    }

    fn record(at: Timestamp, message: &Message) -> Record {
        let headers = message.headers.iter();
        Record {
            topic: Arc::from("any"),
            partition: 0,
            offset: 0,
            timestamp: Some(Instant::new(at)),
            key: Some(message.merchant.clone().into_bytes()),
            headers: headers
                .map(|(name, value)| ((*name).to_owned(), Some(value.clone().into_bytes())))
                .collect(),
            value: Some(message.value.clone()),
        }
    }

    #[test]
    fn the_same_seed_tells_the_same_story_and_another_seed_another() {
        let story = told(7);
        assert_eq!(story, told(7));
        assert_ne!(story, told(8));
    }

    #[test]
    fn nearly_all_that_is_said_can_be_read_and_every_type_occurs() {
        let story = told(42);
        let (mut refused, mut kinds) = (0, std::collections::BTreeSet::new());
        for (at, message) in &story {
            kinds.insert(message.kind.as_str());
            let default = Some(message.kind.as_str());
            refused +=
                u32::from(parse(&record(*at, message), default, &Limits::default()).is_err());
        }
        assert!((5..100).contains(&refused), "{refused} of {}", story.len());
        for kind in InputType::ALL {
            // The payout system answers by itself; in this market all refunds go through, and nobody
            // reviews orders, has a deposit or is corrected.
            let name = kind.as_str();
            let untold = [
                "payout.",
                "review.",
                "deposit.",
                "refund.reversed.",
                "adjustment.",
            ];
            let untold = untold.iter().any(|prefix| name.starts_with(prefix));
            assert_eq!(kinds.contains(name), !untold, "{name}");
        }
    }

    #[test]
    fn the_agreements_come_first() {
        let story = told(42);
        let first_order = story
            .iter()
            .position(|(_, message)| message.kind == InputType::OrderCompleted);
        assert!(first_order.unwrap() > 20);
    }
}
