//! Review blocks that messages put on orders: put up when one is refused or names a stranger's order,
//! lifted when that was mended.

use super::fullness::{REFERENCE, is_full};
use super::work::Work;
use crate::rules::decide::{self, World};
use crate::rules::order::Order;
use crate::rules::time::Instant;
use crate::store::agreements::Catalogue;
use crate::store::cases::Cases;

impl Work<'_> {
    /// Lifts the blocks that have lost their reason and puts up the new ones.
    pub(super) fn block(&mut self, catalogue: &Catalogue, cases: &mut Cases, now: Instant) {
        let rules = self.rules;
        let calendars = catalogue.calendars();
        let lifted = std::mem::take(&mut self.trusted).into_iter();
        let put_up = std::mem::take(&mut self.distrusted).into_iter();
        let changes = lifted
            .map(|(key, reference)| (key, Err(reference)))
            .chain(put_up.map(|(key, block)| (key, Ok(block))));
        for (key, change) in changes {
            let Some(case) = cases.get_mut(&key) else {
                continue;
            };
            let agreements = catalogue.of(&key.0);
            let world = World {
                agreements: &agreements,
                calendars: &calendars,
                now,
                approval: &rules.approval,
            };
            match change {
                Ok(mut block) => {
                    block.opened_at = now;
                    let full = is_full(&case.order, rules);
                    if full || self.is_letter(&block.reference) {
                        if full {
                            REFERENCE.clone_into(&mut block.reference);
                        }
                        block.reference = uncleared(&case.order, &block.reference);
                    }
                    let entries = decide::block(&mut case.order, block, world);
                    self.lines.add(&key.0, entries, None);
                }
                Err(reference) => {
                    let reference = match self.operation {
                        Some(_) => uncleared(&case.order, &reference),
                        None => reference,
                    };
                    let entries = decide::unblock(&mut case.order, &reference, now, world);
                    match self.operation {
                        Some(operation) => self.lines.add_by(&key.0, entries, operation),
                        None => self.lines.add(&key.0, entries, None),
                    }
                }
            }
        }
    }

    fn is_letter(&self, place: &str) -> bool {
        self.letters.iter().any(|it| it.record.place() == place)
    }
}

/// The reference for a message's block on this order, open or still to be put up: a message that was
/// refused, let in by a replay and refused again needs another than the one that was cleared.
fn uncleared(order: &Order, place: &str) -> String {
    let is_cleared = |reference: &String| {
        let mut blocks = order.blocks.iter();
        blocks.any(|it| it.reference == *reference && it.cleared_at.is_some())
    };
    let again = (2_u32..).map(|n| format!("{place}/{n}"));
    let mut references = std::iter::once(place.to_owned()).chain(again);
    references
        .find(|it| !is_cleared(it))
        .unwrap_or_else(|| place.to_owned())
}
