//! The same history through `src/rules`, with a clock by hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdback::rules::agreement::Agreement;
use holdback::rules::calendar::Calendars;
use holdback::rules::decide::{self, World as Known};
use holdback::rules::entry::{Account, Entry, Event};
use holdback::rules::fact::OrderFact;
use holdback::rules::hold::Hold;
use holdback::rules::limit::{self, Overrun};
use holdback::rules::money::{Amount, Currency};
use holdback::rules::order::Order;
use holdback::rules::recovery::Purse;
use holdback::rules::release::{self, Clock};
use holdback::rules::review::Approval;
use holdback::rules::time::Instant;
use jiff::Timestamp;

use super::dates::Due;
use super::history::Step;
use super::sums::{Units, units};
use super::world::{HoldView, OrderView, Released, World};

#[derive(Default)]
pub struct Machine {
    agreements: Vec<Arc<Agreement>>,
    calendars: Calendars,
    orders: BTreeMap<String, Order>,
    journal: Vec<Entry>,
    pub released: Vec<Released>,
    now: Option<Timestamp>,
}

impl Machine {
    pub fn act(&mut self, step: &Step) {
        match step {
            Step::Agreement(it) => {
                self.agreements.push(Arc::new(it.clone()));
                self.each_order(|order, known| {
                    let outcome = decide::resume(order, known);
                    outcome.map_or_else(|_| Vec::new(), |it| it.entries)
                });
            }
            Step::Calendar(it) => {
                let id = it.calendar.clone();
                self.calendars.0.insert(id, Arc::new(it.clone()));
                self.each_order(decide::recompute);
            }
            Step::Order(fact) => self.fact(fact),
            Step::Clock(now) => self.clock(*now),
        }
    }

    /// No clock has gone yet: everything lies ahead.
    fn now(&self) -> Instant {
        let long_ago = Timestamp::from_second(0).expect("1970");
        Instant::new(self.now.unwrap_or(long_ago))
    }

    fn each_order(&mut self, act: impl Fn(&mut Order, Known<'_>) -> Vec<Entry>) {
        let now = self.now();
        for order in self.orders.values_mut() {
            let known = Known {
                agreements: &self.agreements,
                calendars: &self.calendars,
                now,
                approval: &Approval::default(),
            };
            self.journal.extend(act(order, known));
        }
    }

    fn fact(&mut self, fact: &OrderFact) {
        let now = self.now();
        let stub = || Order::stub(fact.merchant.clone(), fact.order.clone());
        let order = self
            .orders
            .entry(fact.order.to_string())
            .or_insert_with(stub);
        let known = Known {
            agreements: &self.agreements,
            calendars: &self.calendars,
            now,
            approval: &Approval::default(),
        };
        if let Ok(outcome) = decide::apply(order, fact.clone(), known) {
            self.journal.extend(outcome.entries);
        }
    }

    fn clock(&mut self, now: Timestamp) {
        self.now = Some(now);
        let now = Instant::new(now);
        let clock = Clock {
            now,
            gate: Some(now),
            not_before: Instant::new(Timestamp::from_second(0).expect("1970")),
        };
        let orders: Vec<String> = self.orders.keys().cloned().collect();
        for id in &orders {
            while let Some(overrun) = limit::overrun(&limit::claims(&self.orders[id]), clock) {
                self.release(id, clock, Some(overrun));
            }
            self.release(id, clock, None);
        }
    }

    /// What may go of an order; until a limit has let blocked money go, and that.
    fn release(&mut self, id: &str, clock: Clock, overrun: Option<Overrun>) {
        let now = clock.now;
        let order = self.orders.get_mut(id).expect("it is known");
        let mut gone = None;
        for (position, mut claim) in limit::claims(order).into_iter().enumerate() {
            let overruns = overrun.filter(|it| it.term_no == claim.hold.term_no);
            let mut judgement = release::judge(&claim, clock);
            match overrun {
                Some(_) if overruns.is_some() => gone = Some(claim.hold.id),
                Some(overrun) => limit::put_off(&claim, &mut judgement, overrun),
                None => {}
            }
            for portion in &judgement.portions {
                // What a release pays of debts is not this model's: gross is.
                let mut purse = Purse::empty(claim.currency);
                for entry in release::issue(&mut claim, portion, None, &mut purse, now) {
                    if let Event::ReleaseIssued(it) = &entry.event {
                        self.released.push(Released {
                            order: id.to_owned(),
                            term: claim.hold.term.to_string(),
                            settlement_date: it.settlement_date,
                            amount: units(it.gross, claim.currency),
                        });
                    }
                    self.journal.push(entry);
                }
            }
            if judgement.limit_alert {
                self.journal.push(release::limit_reached(&mut claim, now));
            }
            order.holds[position] = claim.hold;
        }
        if let Some(hold) = gone {
            let known = Known {
                agreements: &self.agreements,
                calendars: &self.calendars,
                now,
                approval: &Approval::default(),
            };
            let moved = decide::move_blocks(order, hold, known);
            self.journal.extend(moved);
        }
    }

    /// What the holds say, once the journal has been seen to say the same.
    pub fn world(&self) -> World {
        let mut world = World::new();
        for (id, order) in &self.orders {
            let Some((sale, agreement)) = order.settled() else {
                continue;
            };
            let units = |amount: Amount| units(amount, sale.currency);
            let holds: Vec<HoldView> = order
                .holds
                .iter()
                .map(|hold| view(hold, &agreement, sale.currency))
                .collect();
            let owes: Units = order.receivables.iter().map(|it| units(it.left)).sum();
            let left: Units = holds.iter().map(|hold| hold.left).sum();
            let released: Units = holds.iter().map(|hold| hold.released).sum();
            for (account, sum) in [
                (Account::Held, left),
                (Account::Payable, released),
                (Account::Receivable, -owes),
            ] {
                assert_eq!(
                    self.balance(id, account, sale.currency),
                    sum,
                    "{account:?} of {id}"
                );
            }
            world.insert(
                id.clone(),
                OrderView {
                    holds,
                    owes,
                    unsure: false,
                },
            );
        }
        world
    }

    fn balance(&self, order: &str, account: Account, currency: Currency) -> Units {
        let entries = self.journal.iter();
        let entries = entries.filter(|it| it.order.as_ref().is_some_and(|id| id.as_str() == order));
        let mut balance = 0;
        for transfer in entries.filter_map(|entry| entry.transfer) {
            let amount = units(transfer.amount, currency);
            balance += if transfer.credit == account {
                amount
            } else {
                0
            };
            balance -= if transfer.debit == account { amount } else { 0 };
        }
        balance
    }
}

fn view(hold: &Hold, agreement: &Agreement, currency: Currency) -> HoldView {
    let at_limit = agreement.terms[usize::from(hold.term_no)].at_limit;
    let units = |amount: Amount| units(amount, currency);
    let mut free: BTreeMap<Option<Due>, Units> = BTreeMap::new();
    for part in hold.parts() {
        let amount = units(part.amount) - units(part.blocked);
        if amount > 0 {
            let due = part.dates.map(|it| Due {
                release_at: it.release_at.timestamp(),
                settlement_date: it.settlement_on,
            });
            *free.entry(due).or_default() += amount;
        }
    }
    HoldView {
        term: hold.term.to_string(),
        original: units(hold.original),
        left: units(hold.left),
        released: units(hold.released),
        gone: units(hold.consumed) + units(hold.reversed),
        blocked: units(hold.blocked),
        window_ends_at: hold.dates.map(|it| it.window_ends_at.timestamp()),
        limit_at: hold.limit_at.expect("set with the hold").timestamp(),
        at_limit,
        free: free.into_iter().collect(),
    }
}
