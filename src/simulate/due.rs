//! The clock of a run meets the holds: releases, settlements in parts, minimum and limits, by the
//! steps of `release`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use foldhash::fast::RandomState;
use jiff::SignedDuration;

use super::books::Sink;
use super::limit::Overruns;
use super::{Simulation, overflow};
use crate::release::booking::{closed, settled_at, settled_by, skipped, with_minimum};
use crate::release::carry_out;
use crate::rules::entry::{Entry, Event};
use crate::rules::ids::{MerchantId, OrderId, SettlementId};
use crate::rules::limit;
use crate::rules::money::Amount;
use crate::rules::release::{self, Claim, Clock, Judgement};
use crate::rules::time::Instant;
use crate::store::settlements::{ClosedPart, SettlementKey};

/// What lies ahead: when to look at which hold, and when which settlement may close.
#[derive(Default)]
pub(super) struct Agenda {
    /// Places of orders and numbers of terms.
    looks: BTreeMap<Instant, Vec<(usize, u16)>>,
    /// Places of orders whose reviews come to a moment.
    watches: BTreeMap<Instant, BTreeSet<usize>>,
    /// Places of orders with credits that may go.
    credits: BTreeMap<Instant, BTreeSet<usize>>,
    closings: BTreeMap<Instant, BTreeSet<SettlementKey>>,
    settlements: HashMap<SettlementKey, Settlement, RandomState>,
}

/// A settlement: which part is open, and what is in it.
struct Settlement {
    part: u32,
    releases: u64,
    gross: Amount,
    recovered: Amount,
    to_deposit: Amount,
    settled_at: Instant,
    /// It was under its minimum at the first pass.
    skipped: bool,
}

/// A hold that may be due.
pub(super) struct Due {
    pub(super) place: usize,
    /// Among the order's holds.
    position: usize,
    pub(super) claim: Claim,
}

impl Agenda {
    /// When something is to be done next.
    pub(super) fn next(&self) -> Option<Instant> {
        let look = self.looks.keys().next();
        let closing = self.closings.keys().next();
        let watch = self.watches.keys().next();
        let credit = self.credits.keys().next();
        let all = look.into_iter().chain(closing).chain(watch).chain(credit);
        all.min().copied()
    }

    pub(super) fn look(&mut self, at: Instant, place: usize, term_no: u16) {
        self.looks.entry(at).or_default().push((place, term_no));
    }

    pub(super) fn watch(&mut self, at: Instant, place: usize) {
        self.watches.entry(at).or_default().insert(place);
    }

    pub(super) fn watched(&mut self, now: Instant) -> BTreeSet<usize> {
        passed(&mut self.watches, now)
    }

    pub(super) fn credits(&mut self, now: Instant) -> BTreeSet<usize> {
        passed(&mut self.credits, now)
    }

    /// Credits of no order may go.
    pub(super) fn pay_others(&mut self, at: Instant) {
        self.credits.entry(at).or_default();
    }

    /// The order's credits may go.
    pub(super) fn pay(&mut self, at: Instant, place: usize) {
        self.credits.entry(at).or_default().insert(place);
    }

    pub(super) fn due(&mut self, now: Instant) -> Vec<(usize, u16)> {
        let mut due = Vec::new();
        while let Some(entry) = self.looks.first_entry().filter(|it| *it.key() <= now) {
            due.append(&mut entry.remove());
        }
        due.sort_unstable();
        due.dedup();
        due
    }

    /// Skips a settlement of which nothing has been released yet; answers whether it is, and
    /// whether for the first time.
    fn skip(&mut self, key: &SettlementKey, now: Instant) -> (bool, bool) {
        let known = self.settlements.get(key).map(|it| it.skipped);
        if known.is_none() {
            let settlement = Settlement {
                skipped: true,
                ..Settlement::empty(key, now)
            };
            self.settlements.insert(key.clone(), settlement);
        }
        (known.unwrap_or(true), known.is_none())
    }

    /// Adds a release to its settlement's open part and names that part in it.
    fn add(
        &mut self,
        merchant: &MerchantId,
        entry: &mut Entry,
        settled_at: &HashMap<SettlementKey, Instant>,
        now: Instant,
    ) -> anyhow::Result<()> {
        let Some((key, _)) = settled_by(merchant, entry) else {
            return Ok(());
        };
        let Event::ReleaseIssued(release) = &mut entry.event else {
            return Ok(());
        };
        let at = settled_at.get(&key).copied().unwrap_or(now);
        let settlement = self.settlements.entry(key.clone());
        let settlement = settlement.or_insert_with(|| Settlement::empty(&key, at));
        let sum = |one: Amount, other| one.plus(other).map_err(|error| overflow(&error));
        settlement.releases += 1;
        settlement.gross = sum(settlement.gross, release.gross)?;
        settlement.recovered = sum(settlement.recovered, release.recovered)?;
        settlement.to_deposit = sum(settlement.to_deposit, release.to_deposit)?;
        release.settlement_part = Some(settlement.part);
        if settlement.releases == 1 || at > settlement.settled_at {
            settlement.settled_at = settlement.settled_at.max(at);
            let closings = self.closings.entry(settlement.settled_at).or_default();
            closings.insert(key);
        }
        Ok(())
    }

    /// The part that is complete of a settlement that was to close by now.
    fn complete(&mut self, key: SettlementKey, now: Instant) -> Option<ClosedPart> {
        let open = self.settlements.get_mut(&key)?;
        if open.releases == 0 || open.settled_at > now {
            return None;
        }
        let next = Settlement {
            part: open.part.saturating_add(1),
            skipped: open.skipped,
            ..Settlement::empty(&key, open.settled_at)
        };
        let part = std::mem::replace(open, next);
        Some(ClosedPart {
            id: SettlementId::of(&key.0, key.1, key.2),
            key,
            part: part.part,
            releases: part.releases,
            gross: part.gross,
            recovered: part.recovered,
            to_deposit: part.to_deposit,
        })
    }
}

/// Takes out what has come.
fn passed<T: Ord>(ahead: &mut BTreeMap<Instant, BTreeSet<T>>, now: Instant) -> BTreeSet<T> {
    let mut all = BTreeSet::new();
    while let Some(entry) = ahead.first_entry().filter(|it| *it.key() <= now) {
        all.append(&mut entry.remove());
    }
    all
}

impl Settlement {
    fn empty(key: &SettlementKey, settled_at: Instant) -> Self {
        let nothing = Amount::zero(key.1);
        Self {
            part: 1,
            releases: 0,
            gross: nothing,
            recovered: nothing,
            to_deposit: nothing,
            settled_at,
            skipped: false,
        }
    }
}

impl<S: Sink> Simulation<S> {
    /// Releases what is due of these holds; what a limit with blocked money stands before waits.
    pub(super) fn release_due(
        &mut self,
        due: Vec<Due>,
        overruns: &Overruns,
        clock: Clock,
    ) -> anyhow::Result<()> {
        let now = clock.now;
        let judged = due.iter().map(|it| {
            let mut judgement = release::judge(&it.claim, clock);
            if let Some(overrun) = overruns.get(&it.place) {
                limit::put_off(&it.claim, &mut judgement, *overrun);
            }
            judgement
        });
        let judged: Vec<Judgement> = judged.collect();
        let settled_at = settled_at(due.iter().map(|it| (&it.claim, &it.claim.hold)));
        let waits = self.under_minimum(&due, &judged, now)?;
        let calendars = self.catalogue.calendars();
        for (mut due, judgement) in due.into_iter().zip(&judged) {
            let merchant = due.claim.merchant.clone();
            let key = (merchant.clone(), due.claim.currency);
            let mut purse = self.purses.whole(&key, &self.orders);
            let claim = &mut due.claim;
            let carried = carry_out(claim, judgement, &waits, &calendars, &mut purse, now);
            self.purses.settle(&merchant, purse, &mut self.orders);
            for mut entry in carried.entries {
                self.agenda.add(&merchant, &mut entry, &settled_at, now)?;
                self.payouts.issued(&merchant, &entry);
                self.say(&merchant, &entry)?;
            }
            if judgement.limit_alert {
                let entry = release::limit_reached(&mut due.claim, now);
                self.say(&merchant, &entry)?;
            }
            if let Some(at) = carried.wake_at {
                // Not at the same instant again, whatever the rules say: the clock must go on.
                let later = now.timestamp() + SignedDuration::from_micros(1);
                let at = at.max(Instant::new(later));
                self.agenda.look(at, due.place, due.claim.hold.term_no);
            }
            let case = self.orders.at_mut(due.place);
            case.order.holds[due.position] = due.claim.hold;
            self.orders.touched(due.place, now);
        }
        Ok(())
    }

    /// The places of holds with their positions among their orders', a group per merchant, by
    /// order and term. One merchant's claims at a time stay small: those of all who are due on a
    /// day would take a seventh of a run's time.
    pub(super) fn by_merchant(&self, due: &[(usize, u16)]) -> Vec<Vec<(usize, usize)>> {
        let mut found = Vec::with_capacity(due.len());
        for (place, term_no) in due {
            let Some(order) = self.orders.at(*place).map(|case| &case.order) else {
                continue;
            };
            let mut holds = order.holds.iter();
            if let Some(position) = holds.position(|hold| hold.term_no == *term_no) {
                found.push((&order.merchant, &order.id, position, *place));
            }
        }
        found.sort_unstable();
        let groups = found.chunk_by(|one, other| one.0 == other.0);
        let places = |group: &[(&MerchantId, &OrderId, usize, usize)]| {
            let holds = group.iter();
            holds
                .map(|(_, _, position, place)| (*place, *position))
                .collect()
        };
        groups.map(places).collect()
    }

    pub(super) fn claims(&self, holds: &[(usize, usize)]) -> Vec<Due> {
        let mut claims = Vec::with_capacity(holds.len());
        for (place, position) in holds {
            let Some(order) = self.orders.at(*place).map(|case| &case.order) else {
                continue;
            };
            claims.extend(Claim::of(order, &order.holds[*position]).map(|claim| Due {
                place: *place,
                position: *position,
                claim,
            }));
        }
        claims
    }

    /// The settlements that are under their minimum at their first pass and wait, said when new.
    fn under_minimum(
        &mut self,
        due: &[Due],
        judged: &[Judgement],
        now: Instant,
    ) -> anyhow::Result<BTreeMap<SettlementKey, Option<Entry>>> {
        let claims = due.iter().map(|due| &due.claim);
        let calendars = self.catalogue.calendars();
        let groups = with_minimum(claims.zip(judged), &calendars);
        let mut waits = BTreeMap::new();
        for (key, group) in groups {
            if group.due >= group.minimum {
                continue;
            }
            let (waiting, first) = self.agenda.skip(&key, now);
            if first {
                let entry = skipped(&key, &group);
                self.say(&key.0, &entry)?;
            }
            if waiting {
                waits.insert(key, None);
            }
        }
        Ok(waits)
    }

    /// Closes the parts of settlements that are complete, by merchant, currency and date.
    pub(super) fn close(&mut self) -> anyhow::Result<()> {
        let now = self.now();
        for key in passed(&mut self.agenda.closings, now) {
            let Some(part) = self.agenda.complete(key, now) else {
                continue;
            };
            let entry = closed(&part).map_err(|error| overflow(&error))?;
            self.say(&part.key.0, &entry)?;
        }
        Ok(())
    }
}
