//! What the lines of a scenario do: facts, calendars, agreements and the clock.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use holdback::rules::agreement::Agreement;
use holdback::rules::by_hand::Cannot;
use holdback::rules::calendar::Calendars;
use holdback::rules::decide::{self, Outcome, Refusal, World};
use holdback::rules::entry::{Account, Entry};
use holdback::rules::fact::{ContentHash, OrderFact};
use holdback::rules::ids::{EventId, MerchantId, OrderId, ReceivableId};
use holdback::rules::limit;
use holdback::rules::money::{Amount, Currency};
use holdback::rules::order::{Order, Receivable};
use holdback::rules::pause::Pauses;
use holdback::rules::recovery::{self, Credit, Purse};
use holdback::rules::release::{self, Claim, Clock, Judgement, SettlementPart};
use holdback::rules::review::{Approval, Ruling};
use holdback::rules::time::Instant;
use rust_decimal::Decimal;

use super::by_hand;
use super::happenings::{fact, review_id};
use super::setup::{self, ZONE, instant, word};

/// Everything that a scenario has brought about so far.
#[derive(Default, Clone)]
pub struct Ledger {
    agreements: Vec<Arc<Agreement>>,
    calendars: Calendars,
    pub orders: BTreeMap<String, Order>,
    pub journal: Vec<Entry>,
    /// The order that the last line was about.
    pub about: String,
    /// What the last line brought.
    pub step: Vec<Entry>,
    pub outcome: Option<Result<Outcome, Refusal>>,
    /// Why what a person asked for can't be done.
    pub cannot: Option<Cannot>,
    pub judged: BTreeMap<(String, String), Judgement>,
    approval: Approval,
    now: Option<Instant>,
    event_ids: HashSet<EventId>,
    /// The merchant's money apart from orders; scenarios with deposits are in CNY.
    pub purse: Option<Purse>,
    /// What withdrawals and adjustments left owing.
    pub withdrawals: Vec<Receivable>,
    /// The orders that such adjustments name.
    pub names: HashMap<ReceivableId, OrderId>,
    /// Credits of no order.
    pub credits: Vec<Credit>,
}

impl Ledger {
    pub fn zone(&self) -> String {
        let last = self.agreements.last();
        last.map_or_else(|| ZONE.to_owned(), |it| it.time_zone.clone())
    }

    /// The latest time that anything happened.
    pub fn now(&self) -> Option<Instant> {
        self.now
    }

    pub fn order(&self) -> Option<&Order> {
        self.orders.get(&self.about)
    }

    /// Does what one line says.
    pub fn act(&mut self, action: &str) -> Result<(), String> {
        self.step.clear();
        self.outcome = None;
        let words: Vec<&str> = action.split_whitespace().collect();
        match words.as_slice() {
            ["agreement", ..] => {
                let text = action.strip_prefix("agreement").unwrap_or_default();
                self.agreements.push(Arc::new(setup::agreement(text)?));
                self.each_order(|order, world| {
                    let waits = order.sale.is_some() && order.agreement.is_none();
                    waits.then(|| decide::resume(order, world))
                });
            }
            ["calendar", rest @ ..] => {
                let calendar = setup::calendar(rest)?;
                let id = calendar.calendar.clone();
                self.calendars.0.insert(id, Arc::new(calendar));
                self.each_order(|order, world| {
                    let mut outcome = blank();
                    outcome.entries = decide::recompute(order, world);
                    Some(Ok(outcome))
                });
            }
            ["approval", amount, code] => {
                let currency = Currency::from_code(code).ok_or("unknown currency")?;
                let limit = Amount::parse(amount, currency).map_err(|error| error.to_string())?;
                self.approval.above.insert(currency, limit);
            }
            ["approval", "trusted"] => self.approval.trust_events = true,
            ["watch", at] => {
                let until = instant(at, &self.zone(), "00:00")?;
                self.now = Some(until);
                self.each_order(|order, world| Some(Ok(decide::watch(order, until, world))));
            }
            ["clock", at, rest @ ..] => self.clock(at, rest)?,
            [at, what @ ("credited" | "withdrawn"), id, amount, currency] => {
                self.deposit(at, *what == "withdrawn", id, (amount, currency))?;
            }
            [at, "adjusted", rest @ ..] => self.adjust(at, rest)?,
            [at, "wrote_off", cause, amount] => self.write_off(at, cause, amount)?,
            [at, rest @ ..] => self.happens(at, rest)?,
            [] => {}
        }
        self.journal.extend(self.step.iter().cloned());
        Ok(())
    }

    fn each_order(
        &mut self,
        act: impl Fn(&mut Order, World<'_>) -> Option<Result<Outcome, Refusal>>,
    ) {
        let now = self.now.unwrap_or(Instant::MAX);
        for order in self.orders.values_mut() {
            let world = World {
                agreements: &self.agreements,
                calendars: &self.calendars,
                now,
                approval: &self.approval,
            };
            if let Some(result) = act(order, world) {
                if let Ok(outcome) = &result {
                    self.step.extend(outcome.entries.iter().cloned());
                }
                self.outcome = Some(result);
            }
        }
    }

    fn happens(&mut self, at: &str, words: &[&str]) -> Result<(), String> {
        let at = instant(at, &self.zone(), "12:00")?;
        self.now = self.now.max(Some(at));
        let [_, id, ..] = words else {
            return Err("a fact names its order".to_owned());
        };
        self.about = (*id).to_owned();
        let merchant = MerchantId::parse("M1").unwrap();
        let order_id = OrderId::parse(id).unwrap();
        let stub = || Order::stub(merchant.clone(), order_id.clone());
        let mut order = self.orders.remove(*id).unwrap_or_else(stub);
        let world = World {
            agreements: &self.agreements,
            calendars: &self.calendars,
            now: self.now.unwrap_or(at),
            approval: &self.approval,
        };
        let zone = self.zone();
        self.cannot = None;
        let brings = words.contains(&"CNY").then(|| self.purse());
        order.purse = brings.or_else(|| self.purse_of(&order));
        let mut of_a_fact = false;
        let result = if let Some(done) = by_hand::act(&mut order, words, at, &zone, world) {
            let mut outcome = blank();
            match done? {
                Ok(entries) => outcome.entries = entries,
                Err(cannot) => self.cannot = Some(cannot),
            }
            Ok(outcome)
        } else if let ["ruled", _, review, decision] = words {
            let ruling = Ruling {
                decision: word(decision)?,
                actor: "Ann".to_owned(),
                reason: "looked".to_owned(),
            };
            decide::rule(&mut order, &review_id(review, words), &ruling, world)
        } else {
            let what = fact(at, words)?;
            let mut hasher = DefaultHasher::new();
            format!("{what:?}").hash(&mut hasher);
            let half = hasher.finish().to_be_bytes();
            let fact = OrderFact {
                merchant: merchant.clone(),
                order: order_id.clone(),
                content: ContentHash([half, half].concat().try_into().unwrap()),
                traceparent: None,
                recorded_at: None,
                what,
            };
            of_a_fact = true;
            decide::apply(&mut order, fact, world)
        };
        let purse = order.purse.take();
        self.orders.insert((*id).to_owned(), order);
        if let Ok(outcome) = &result {
            self.step.extend(outcome.entries.iter().cloned());
        }
        if let Some(mut purse) = purse {
            if of_a_fact {
                purse.debts.clear();
            }
            self.keep(purse);
            self.pay_debts();
        }
        self.outcome = Some(result);
        Ok(())
    }

    /// `clock 05-09 [gate 05-08 | gate closed] [start 05-01] [paused CNY] [carry]`: releases what may go.
    fn clock(&mut self, at: &str, mut rest: &[&str]) -> Result<(), String> {
        let zone = self.zone();
        let now = instant(at, &zone, "00:00")?;
        self.now = Some(now);
        let mut clock = Clock {
            now,
            gate: Some(now),
            not_before: instant("2020-01-01", &zone, "00:00")?,
        };
        let (mut carry, mut pauses) = (false, Pauses::default());
        loop {
            rest = match rest {
                [] => break,
                ["gate", "closed", after @ ..] => {
                    clock.gate = None;
                    after
                }
                ["gate", at, after @ ..] => {
                    clock.gate = Some(instant(at, &zone, "00:00")?);
                    after
                }
                ["start", at, after @ ..] => {
                    clock.not_before = instant(at, &zone, "00:00")?;
                    after
                }
                ["paused", what, after @ ..] => {
                    pauses = setup::paused(what, now)?;
                    after
                }
                ["carry", after @ ..] => {
                    carry = true;
                    after
                }
                other => return Err(format!("`{}` is no part of a clock", other.join(" "))),
            }
        }
        self.judged.clear();
        let mut purse = self.purse();
        if pauses.iter().next().is_none() {
            self.release_credits(&mut purse, now);
        }
        let orders: Vec<String> = self.orders.keys().cloned().collect();
        for name in orders {
            let claims = limit::claims(&self.orders[&name]);
            let paused = |it: &Claim| pauses.over(&it.merchant, it.currency).is_some();
            if claims.iter().any(paused) {
                continue;
            }
            while self.look_at(&name, clock, carry, &mut purse) {}
        }
        self.keep(purse);
        Ok(())
    }

    fn release_credits(&mut self, purse: &mut Purse, now: Instant) {
        for credit in self.credits.drain(..) {
            self.step
                .extend(recovery::issue_credit(&credit, purse, now));
        }
        for order in self.orders.values_mut() {
            for credit in order.credits.drain(..) {
                self.step
                    .extend(recovery::issue_credit(&credit, purse, now));
            }
        }
    }

    /// Releases what may go of an order; true when a limit has let blocked money go, so that there
    /// may be more.
    fn look_at(&mut self, name: &str, clock: Clock, carry: bool, purse: &mut Purse) -> bool {
        let (now, calendars) = (clock.now, self.calendars.clone());
        let order = self.orders.get_mut(name).expect("it is known");
        let claims = limit::claims(order);
        let overrun = limit::overrun(&claims, clock);
        let mut gone = None;
        for (position, mut claim) in claims.into_iter().enumerate() {
            let mut judgement = release::judge(&claim, clock);
            if overrun.is_some_and(|it| it.term_no == claim.hold.term_no) {
                gone = Some(claim.hold.id);
            } else if let Some(overrun) = overrun {
                limit::put_off(&claim, &mut judgement, overrun);
            }
            for portion in &judgement.portions {
                let carried = carry
                    .then(|| release::carry_over(&mut claim, portion, &calendars))
                    .flatten();
                let issued = carried.map(|entry| vec![entry]).unwrap_or_else(|| {
                    release::issue(&mut claim, portion, None::<SettlementPart>, purse, now)
                });
                self.step.extend(issued);
            }
            if judgement.limit_alert {
                self.step.push(release::limit_reached(&mut claim, now));
            }
            let key = (name.to_owned(), claim.hold.term.to_string());
            self.judged.insert(key, judgement);
            order.holds[position] = claim.hold;
        }
        if let Some(hold) = gone {
            let world = World {
                agreements: &self.agreements,
                calendars: &calendars,
                now,
                approval: &self.approval,
            };
            self.step.extend(decide::move_blocks(order, hold, world));
        }
        gone.is_some()
    }

    /// What must be true after every line.
    pub fn check_books(&mut self) -> Result<(), String> {
        for entry in &self.step {
            let merchant = MerchantId::parse("M1").unwrap();
            if !self.event_ids.insert(entry.event_id(&merchant)) {
                return Err(format!("two entries have the id of {entry:?}"));
            }
        }
        let deposit = self.purse.as_ref().map(|purse| purse.deposit.decimal());
        let booked = balance(self.journal.iter(), Account::Deposit);
        if booked != deposit.unwrap_or_default() {
            return Err(format!(
                "the deposit is {deposit:?}, {booked} in the journal"
            ));
        }
        for (name, order) in &self.orders {
            if let Some(hold) = order.holds.iter().find(|hold| !hold.check()) {
                return Err(format!("the hold does not add up: {hold:?}"));
            }
            let credits = order.credits.iter().map(|credit| credit.amount);
            let held = order.holds.iter().map(|hold| hold.left).chain(credits);
            let held: Decimal = held.map(|amount| amount.decimal()).sum();
            let named = self.withdrawals.iter();
            let named = named.filter(|it| self.names.get(&it.id) == Some(&order.id));
            let owed = order.receivables.iter().chain(named);
            let owed: Decimal = owed.map(|it| it.left.decimal()).sum();
            for (account, expected) in [(Account::Held, held), (Account::Receivable, -owed)] {
                let booked = self.balance(name, account);
                if booked != expected {
                    return Err(format!(
                        "{account:?} is {booked} in the journal, {expected} in {name}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Credits less debits of an order's entries.
    fn balance(&self, order: &str, account: Account) -> Decimal {
        let entries = self.journal.iter().filter(|entry| {
            let of = entry.order.as_ref();
            of.is_some_and(|id| id.as_str() == order)
        });
        balance(entries, account)
    }
}

fn balance<'a>(entries: impl Iterator<Item = &'a Entry>, account: Account) -> Decimal {
    let transfers = entries.filter_map(|entry| entry.transfer);
    transfers
        .map(|it| match account {
            _ if it.credit == account => it.amount.decimal(),
            _ if it.debit == account => -it.amount.decimal(),
            _ => Decimal::ZERO,
        })
        .sum()
}

fn blank() -> Outcome {
    Outcome {
        verdict: decide::Verdict::Applied,
        entries: Vec::new(),
        unparked: Vec::new(),
        refused: Vec::new(),
        alarms: Vec::new(),
    }
}
