//! Facts about orders, and what agreements and calendars set in motion after the fact.

use super::books::Sink;
use super::{OrderKey, Simulation, purses};
use crate::ingest::deposits::brought;
use crate::ingest::fold::{self, is_indirect, own_id, stranger, suspicion};
use crate::rules::decide::{self, Outcome, Verdict, World};
use crate::rules::fact::{FactKey, FactKind, OrderFact};
use crate::rules::ids::{CalendarId, MerchantId};
use crate::rules::release;
use crate::rules::review::Review;
use crate::rules::time::Instant;

impl<S: Sink> Simulation<S> {
    /// Folds a fact into its order.
    pub(super) fn fold(&mut self, line: u64, fact: &OrderFact) -> anyhow::Result<()> {
        let key = (fact.merchant.clone(), fact.order.clone());
        let place = self.orders.find_or_make(&key);
        self.give_strays(place, fact);
        let id = own_id(fact);
        let home = id.as_ref().and_then(|id| self.orders.homes.get(id));
        let home = home.cloned();
        let agreements = self.catalogue.of(&fact.merchant);
        let calendars = self.catalogue.calendars();
        let world = World {
            agreements: &agreements,
            calendars: &calendars,
            now: self.now(),
            approval: &self.approval,
        };
        let case = self.orders.at_mut(place);
        let waited_for = case.is_heard() && case.order.sale.is_none();
        let looks = case.looks();
        case.order.purse = self.purses.lend(&case.order, brought(fact));
        let answer = fold::fold(&mut case.order, fact, home, world);
        self.purses.take_back(&mut case.order, place);
        match answer {
            Ok(outcome) => {
                if outcome.verdict == Verdict::Kept {
                    case.lines.push((fact.key(), line));
                }
                self.say_all(&key.0, &outcome.entries)?;
                self.taken_up(place, &key, line, &outcome)?;
                if let Some(id) = id.filter(|(_, kind, _)| *kind == fact.key_parts().0) {
                    let home = || fact.order.clone();
                    self.orders.homes.entry(id).or_insert_with(home);
                }
            }
            Err(rejection) => self.reject(line, &rejection)?,
        }
        self.find_strangers(place, &key, waited_for);
        self.changed(place, &looks);
        self.take_up_reversals(fact)
    }

    /// After facts that had waited were taken up: forgets their lines, refuses those that did not fit.
    fn taken_up(
        &mut self,
        place: usize,
        key: &OrderKey,
        line: u64,
        outcome: &Outcome,
    ) -> anyhow::Result<()> {
        for parked in &outcome.unparked {
            self.line_of(place, parked);
        }
        for (parked, refusal) in &outcome.refused {
            let line = self.line_of(place, parked).unwrap_or(line);
            self.orders.homes.remove(&known_as(&key.0, parked));
            let moves_money = !is_indirect(parked.kind);
            let rejection = fold::rejection(refusal, moves_money, &key.0, &key.1);
            self.reject(line, &rejection)?;
        }
        Ok(())
    }

    /// The line of a fact that has waited until now.
    fn line_of(&mut self, place: usize, fact: &FactKey) -> Option<u64> {
        let lines = &mut self.orders.at_mut(place).lines;
        let position = lines.iter().position(|(key, _)| key == fact)?;
        Some(lines.swap_remove(position).1)
    }

    /// A fact that waits for an order which is known under another merchant may be about that
    /// order's money: whichever comes second finds the other (contract, section 10).
    fn find_strangers(&mut self, place: usize, key: &OrderKey, waited_for: bool) {
        let Some(case) = self.orders.at(place) else {
            return;
        };
        let sold = case.order.sale.is_some();
        let now = self.now();
        for other in self.orders.namesakes(place) {
            let there = (other.merchant.clone(), other.id.clone());
            match (sold, other.sale.is_some()) {
                (false, true) => self.distrusted.push((there, suspicion(&key.0, now))),
                (true, false) if !other.parked.is_empty() => {
                    let block = suspicion(&other.merchant, now);
                    self.distrusted.push((key.clone(), block));
                }
                (true, true) if waited_for => self.trusted.push((there, stranger(&key.0))),
                _ => {}
            }
        }
    }

    /// After an order has changed: when to look at its holds, whether it waits, whether it is done.
    pub(super) fn changed(&mut self, place: usize, looks: &[Option<Instant>]) {
        let now = self.now();
        if let Some(case) = self.orders.at(place) {
            for (position, hold) in case.order.holds.iter().enumerate() {
                let look_at = release::wake_at(hold);
                if let Some(at) = look_at
                    && looks.get(position).copied().flatten() != look_at
                {
                    self.agenda.look(at, place, hold.term_no);
                }
            }
            let order = &case.order;
            if !order.credits.is_empty() && !purses::is_kept(order) {
                self.agenda.pay(now, place);
            }
            if let Some(at) = order.reviews.iter().filter_map(Review::next_at).min() {
                self.agenda.watch(at, place);
            }
            if order.sale.is_some() && order.agreement.is_none() {
                let key = (order.merchant.clone(), order.id.clone());
                self.waiting.insert(key);
            }
        }
        if looks.is_empty() {
            // An order seldom gets more holds later; room for some would be most of its size.
            self.orders.at_mut(place).order.holds.shrink_to_fit();
        }
        self.orders.touched(place, now);
    }

    /// Looks again at the sales that wait for an agreement.
    pub(super) fn resume(&mut self, line: u64) -> anyhow::Result<()> {
        for key in std::mem::take(&mut self.waiting) {
            let place = self.orders.find_or_make(&key);
            self.give_strays_at_last(place);
            let mut resumed = Outcome::told(Vec::new());
            self.change(&key, |order, world| {
                if let Ok(outcome) = decide::resume(order, world) {
                    resumed = outcome;
                }
                std::mem::take(&mut resumed.entries)
            })?;
            self.taken_up(place, &key, line, &resumed)?;
        }
        Ok(())
    }

    /// Gives new dates to the holds that follow a calendar.
    pub(super) fn recompute(&mut self, calendar: &CalendarId) -> anyhow::Result<()> {
        let follows = self.orders.keys(|order| {
            let agreement = order.agreement.as_ref();
            agreement.is_some_and(|it| it.calendar.as_ref() == Some(calendar))
                && order.holds.iter().any(|hold| !hold.left.is_zero())
        });
        for key in follows {
            self.change(&key, decide::recompute)?;
        }
        Ok(())
    }
}

/// The key under which a parked refund or dispute has its home.
fn known_as(merchant: &MerchantId, fact: &FactKey) -> (MerchantId, FactKind, String) {
    (merchant.clone(), fact.kind, fact.id.clone())
}
