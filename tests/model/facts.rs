//! The facts of one order in the order in which they are applied, and its agreement.

use std::collections::BTreeMap;

use holdback::rules::agreement::{Agreement, Excess};
use holdback::rules::fact::{
    Completed, DisputeClosed, DisputeKind, DisputeOpened, DisputeUpdated, OrderEvent, OrderFact,
    Refunded,
};
use jiff::Timestamp;
use rust_decimal::Decimal;

use super::history::Step;
use super::sums::{Units, units};

/// One order that has been applied.
pub struct Applied<'a> {
    pub agreement: &'a Agreement,
    pub sale: &'a Completed,
    /// All other facts that have been applied, with the positions in the history at which they were.
    pub facts: Vec<(usize, &'a OrderFact)>,
}

/// What facts of an order say together.
#[derive(Default)]
pub struct Facts<'a> {
    pub delivered: Option<Timestamp>,
    pub confirmed: Option<Timestamp>,
    pub cancelled: bool,
    pub refunds: Vec<&'a Refunded>,
    pub opened: BTreeMap<&'a str, &'a DisputeOpened>,
    pub updated: Vec<&'a DisputeUpdated>,
    pub closed: BTreeMap<&'a str, &'a DisputeClosed>,
}

/// The order after these steps; none while it or an agreement for it is missing.
///
/// What comes before that, or before the dispute that it belongs to, waits, and is applied when
/// that has come, by business time, then id. What comes twice counts once.
pub fn applied<'a>(steps: &'a [Step], order: &str) -> Option<Applied<'a>> {
    let mut agreements: Vec<&Agreement> = Vec::new();
    let mut sale: Option<(&OrderFact, &Completed)> = None;
    let mut found: Option<Applied<'a>> = None;
    let mut waiting: Vec<&OrderFact> = Vec::new();
    for (position, step) in steps.iter().enumerate() {
        match step {
            Step::Agreement(it) => agreements.push(it),
            Step::Order(fact) if fact.order.as_str() == order => match &fact.what {
                OrderEvent::Completed(it) => sale = sale.or(Some((fact, it))),
                _ => waiting.push(fact),
            },
            _ => {}
        }
        if let (None, Some((fact, sale))) = (&found, sale) {
            let agreement = in_force(&agreements, fact.merchant.as_str(), sale);
            found = agreement.map(|agreement| Applied {
                agreement,
                sale,
                facts: Vec::new(),
            });
        }
        let Some(found) = &mut found else { continue };
        loop {
            let ready = waiting.iter().filter(|fact| found.is_ready(fact));
            let next = ready.min_by_key(|fact| {
                let key = fact.key();
                (fact.business_at(), key.id, key.kind, key.version)
            });
            let Some(next) = next.copied() else { break };
            waiting.retain(|fact| fact.key() != next.key());
            if !found.facts.iter().any(|(_, it)| it.key() == next.key()) {
                found.facts.push((position, next));
            }
        }
    }
    found
}

/// Of several: the merchant's own, of the currency, the latest, the highest version, the greatest id.
fn in_force<'a>(
    known: &[&'a Agreement],
    merchant: &str,
    sale: &Completed,
) -> Option<&'a Agreement> {
    let covering = known.iter().filter(|it| {
        let its = [merchant, "*"].contains(&it.merchant_id.as_str());
        let currency = it.currency.is_none_or(|only| only == sale.currency);
        let begun = it.effective_from <= sale.at;
        let ended = it.effective_until.is_some_and(|until| until < sale.at);
        its && currency && begun && !ended
    });
    let best = covering.max_by_key(|it| {
        let own = it.merchant_id.as_str() != "*";
        let id = it.agreement_id.as_str();
        (
            own,
            it.currency.is_some(),
            it.effective_from,
            it.version,
            id,
        )
    });
    best.copied()
}

impl<'a> Applied<'a> {
    fn is_ready(&self, fact: &OrderFact) -> bool {
        let dispute = match &fact.what {
            OrderEvent::DisputeUpdated(it) => &it.dispute,
            OrderEvent::DisputeClosed(it) => &it.dispute,
            _ => return true,
        };
        self.facts.iter().any(|(_, fact)| {
            matches!(&fact.what, OrderEvent::DisputeOpened(it) if it.dispute == *dispute)
        })
    }

    /// What the first so many facts say; without refunds that the agreement refuses.
    pub fn first(&self, count: usize) -> Facts<'a> {
        let mut facts = Facts::default();
        let currency = self.sale.currency;
        for (_, fact) in &self.facts[..count] {
            match &fact.what {
                OrderEvent::Completed(_) => {}
                OrderEvent::Delivered { at } => facts.delivered = Some(at.timestamp()),
                OrderEvent::Confirmed { at, .. } => facts.confirmed = Some(at.timestamp()),
                OrderEvent::Cancelled { .. } => facts.cancelled = true,
                OrderEvent::Refunded(it) => {
                    let before = facts.refunds.iter();
                    let before: Units = before.map(|it| units(it.amount, currency)).sum();
                    let together = before + units(it.amount, currency);
                    let fits = together <= units(self.sale.amount, currency);
                    if fits || self.agreement.refund.excess == Excess::Receivable {
                        facts.refunds.push(it);
                    }
                }
                OrderEvent::DisputeOpened(it) => {
                    facts.opened.insert(it.dispute.as_str(), it);
                }
                OrderEvent::DisputeUpdated(it) => facts.updated.push(it),
                OrderEvent::DisputeClosed(it) => {
                    facts.closed.insert(it.dispute.as_str(), it);
                }
                OrderEvent::ReviewRequested(_)
                | OrderEvent::ReviewAnswered(_)
                | OrderEvent::ReviewDecided(_)
                | OrderEvent::RefundReversed(_) => unreachable!("histories have none of these"),
            }
        }
        facts
    }
}

impl Facts<'_> {
    /// When a fact cleared what it made free: a closing or update not before the opening, an update
    /// of a closed dispute not before its closing.
    pub fn cleared_at(&self, fact: &OrderFact) -> Timestamp {
        let at = fact.business_at().timestamp();
        let dispute = match &fact.what {
            OrderEvent::DisputeUpdated(it) => it.dispute.as_str(),
            OrderEvent::DisputeClosed(it) => it.dispute.as_str(),
            _ => return at,
        };
        let opened = self.opened[dispute].at.timestamp();
        let closed = self.closed.get(dispute).map(|it| it.at.timestamp());
        at.max(opened).max(closed.unwrap_or(at))
    }

    /// When the last dispute of the whole order was closed.
    pub fn whole_cleared_at(&self) -> Option<Timestamp> {
        let closed = self.closed.iter();
        let whole = closed.filter(|(id, _)| self.amount(id).is_none());
        whole
            .map(|(id, it)| it.at.max(self.opened[*id].at).timestamp())
            .max()
    }

    /// Whether the fact closed a dispute of the whole order: that kept all that is left.
    pub fn clears_all(&self, fact: &OrderFact) -> bool {
        match &fact.what {
            OrderEvent::DisputeClosed(it) => self.amount(it.dispute.as_str()).is_none(),
            _ => false,
        }
    }

    /// The contested part by the highest version that names one; none: the whole order.
    pub fn amount(&self, dispute: &str) -> Option<Decimal> {
        let updates = self.updated.iter();
        let updates = updates.filter(|it| it.dispute.as_str() == dispute && it.amount.is_some());
        let last = updates.max_by_key(|it| it.version);
        last.map_or(self.opened[dispute].amount, |it| it.amount)
    }

    /// The kind by the highest version that names one.
    pub fn kind(&self, dispute: &str) -> DisputeKind {
        let updates = self.updated.iter();
        let updates = updates.filter(|it| it.dispute.as_str() == dispute);
        let named = updates.filter_map(|it| Some((it.version, it.kind?)));
        let last = named.max_by_key(|(version, _)| *version);
        last.map_or(self.opened[dispute].kind, |(_, kind)| kind)
    }
}
