//! What is counted: the functions that the service's loops call, without their SQL and Kafka.

use std::sync::Arc;

use holdback::message::Record;
use holdback::message::incoming::{self, Limits, Parsed};
use holdback::message::outgoing::{self, EventType, Line, Outgoing};
use holdback::rules::adjustment;
use holdback::rules::agreement::Agreement;
use holdback::rules::calendar::Calendars;
use holdback::rules::decide::{self, Outcome, Refusal, World};
use holdback::rules::deposit;
use holdback::rules::entry::Entry;
use holdback::rules::fact::{Fact, OrderFact};
use holdback::rules::ids::{MerchantId, SettlementId};
use holdback::rules::money::Currency;
use holdback::rules::order::Order;
use holdback::rules::payout::{self, Payout};
use holdback::rules::recovery::Purse;
use holdback::rules::release::{self, Claim, Clock, SettlementPart};
use holdback::rules::review::Approval;
use holdback::rules::time::Instant;

/// What is known besides the order.
#[derive(Debug, Clone)]
pub struct Books {
    pub agreements: Vec<Arc<Agreement>>,
    pub calendars: Calendars,
    pub approval: Approval,
    pub now: Instant,
}

impl Books {
    pub fn world(&self) -> World<'_> {
        World {
            agreements: &self.agreements,
            calendars: &self.calendars,
            now: self.now,
            approval: &self.approval,
        }
    }
}

/// What a message meets, with the fact in it.
#[derive(Debug, Clone)]
pub enum Before {
    /// The order that it is about.
    Order(Box<Order>, OrderFact),
    /// An agreement meets an order that waits for it.
    Waiting(Box<Order>),
    /// A calendar meets an order whose dates go by it.
    Dated(Box<Order>),
    /// The merchant's deposit and debts.
    Purse(Purse, Fact),
    /// The release that was paid or not.
    Payout(Payout, Fact),
    /// No message, but the clock: a hold that is due.
    Due(Box<Claim>, Purse),
}

/// From bytes to a fact.
pub fn parse(record: &Record) -> Parsed {
    incoming::parse(record, None, &Limits::default()).expect("accepted")
}

/// From a fact and what it meets to what there is to say.
pub fn decide(before: &mut Before, books: &Books) -> Vec<Entry> {
    let world = books.world();
    match before {
        Before::Order(order, fact) => accepted(decide::apply(order, fact.clone(), world)),
        Before::Waiting(order) => accepted(decide::resume(order, world)),
        Before::Dated(order) => decide::recompute(order, world),
        Before::Purse(purse, Fact::Deposit(fact)) => {
            let effect = deposit::apply(purse, fact).expect("within range");
            let mut entries = effect.entries;
            entries.extend(deposit::pay_debts(purse));
            entries
        }
        Before::Purse(purse, Fact::Adjustment(fact)) => adjustment::apply(purse, fact).entries,
        Before::Payout(payout, Fact::Payout(result)) => payout::apply(payout, result),
        Before::Due(claim, purse) => release(claim, purse, books.now),
        other => panic!("nothing decides {other:?}"),
    }
}

fn accepted(answer: Result<Outcome, Refusal>) -> Vec<Entry> {
    answer.expect("accepted").entries
}

/// As the release loop does with a hold that it has claimed, pauses and minimum aside.
fn release(claim: &mut Claim, purse: &mut Purse, now: Instant) -> Vec<Entry> {
    let clock = Clock {
        now,
        gate: Some(now),
        not_before: Instant::new(jiff::Timestamp::UNIX_EPOCH),
    };
    let judgement = release::judge(claim, clock);
    let mut entries = Vec::with_capacity(judgement.portions.len());
    for portion in &judgement.portions {
        let part = portion.dates.map(|dates| SettlementPart {
            id: SettlementId::of(&claim.merchant, claim.currency, dates.settlement_on),
            part: 1,
        });
        entries.extend(release::issue(claim, portion, part, purse, now));
    }
    entries
}

/// From an entry to the record that is produced: what the journal writes and the publisher renders.
pub struct Encoder {
    data: Vec<u8>,
    source: String,
    merchant: MerchantId,
    now: Instant,
}

impl Default for Encoder {
    fn default() -> Self {
        Self {
            data: Vec::new(),
            source: outgoing::source("eu-1"),
            merchant: MerchantId::parse("M-1").expect("an id"),
            now: super::messages::at("2026-05-05T02:00:00.123456Z"),
        }
    }
}

impl Encoder {
    pub fn encode(&mut self, entry: &Entry) -> Outgoing {
        let subject = entry.subject();
        let line = Line {
            event_type: EventType::of(&entry.event),
            event_id: entry.event_id_about(&self.merchant, &subject).0,
            subject: &subject,
            merchant: self.merchant.as_str(),
            sequence: 123_456,
            previous: 123_455,
            occurred_at: self.now,
            order: entry.order.as_ref().map(|order| order.as_str()),
            hold: entry.hold.map(|hold| hold.0),
            currency: entry.currency.map(Currency::code),
            data: outgoing::write_data(&mut self.data, &entry.event),
            traceparent: entry.traceparent.as_deref(),
        };
        outgoing::render(&line, &self.source)
    }
}
