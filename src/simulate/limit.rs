//! Holds whose limit lets blocked money go, in a run: first what was due before, then they, then
//! their blocks move to the other holds of their orders, then what else is due.

use std::collections::BTreeMap;

use super::Simulation;
use super::books::Sink;
use super::due::Due;
use crate::rules::decide;
use crate::rules::limit::{self, Overrun};
use crate::rules::release::Clock;
use crate::rules::time::Instant;

/// Places of orders, each with the limit that lets blocked money go.
pub(super) type Overruns = BTreeMap<usize, Overrun>;

impl<S: Sink> Simulation<S> {
    /// Looks at the holds whose time has come and releases what is due.
    pub(super) fn release(&mut self) -> anyhow::Result<()> {
        let now = self.now();
        let credits = self.agenda.credits(now);
        self.release_credits(&credits)?;
        let due = self.agenda.due(now);
        let clock = Clock {
            now,
            gate: Some(now),
            not_before: Instant::new(jiff::Timestamp::MIN),
        };
        let mut gone = Vec::new();
        for holds in self.by_merchant(&due) {
            let due = self.claims(&holds);
            let overruns = self.overruns(&due, clock);
            self.release_due(due, &overruns, clock)?;
            gone.extend(overruns.iter().map(|(place, it)| (*place, it.term_no)));
        }
        let due = self.by_merchant(&gone);
        let mut gone = Vec::new();
        for holds in due {
            let due = self.claims(&holds);
            gone.extend(due.iter().map(|due| (due.place, due.claim.hold.id)));
            self.release_due(due, &Overruns::new(), clock)?;
        }
        for (place, hold) in gone {
            let Some(order) = self.orders.at(place).map(|case| &case.order) else {
                continue;
            };
            let key = (order.merchant.clone(), order.id.clone());
            for hold in &order.holds {
                self.agenda.look(now, place, hold.term_no);
            }
            self.change(&key, |order, world| decide::move_blocks(order, hold, world))?;
        }
        Ok(())
    }

    /// The orders of these holds of which a limit lets blocked money go.
    fn overruns(&self, due: &[Due], clock: Clock) -> Overruns {
        let may = due
            .iter()
            .filter(|it| limit::may_overrun(&it.claim.agreement));
        let found = may.filter_map(|due| {
            let order = &self.orders.at(due.place)?.order;
            Some((due.place, limit::overrun(&limit::claims(order), clock)?))
        });
        found.collect()
    }
}
