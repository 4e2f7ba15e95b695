//! Facts that name a review or a refund find their orders in a run, or wait; and the clock meets the
//! deadlines of reviews.

use super::Simulation;
use super::books::Sink;
use crate::ingest::fold::OwnId;
use crate::ingest::indirect::conflict;
use crate::ingest::reviews::{begins, by_amount};
use crate::rules::decide;
use crate::rules::fact::{FactKind, IndirectFact, Named, OrderEvent, OrderFact};
use crate::rules::ids::{MerchantId, RefundId, ReviewId};

impl<S: Sink> Simulation<S> {
    /// A fact meets the order of the review or refund that it names, or waits for that.
    pub(super) fn indirect(&mut self, line: u64, fact: IndirectFact) -> anyhow::Result<()> {
        let key = match &fact.names {
            Named::Review(review) => own(&fact.merchant, review),
            Named::Refund(refund) => refunded(&fact.merchant, refund),
        };
        if let Some(order) = self.orders.homes.get(&key) {
            let fact = fact.about(order.clone());
            return self.fold(line, &fact);
        }
        let waiting = self.strays.entry(key).or_default();
        let mut known = waiting.iter();
        let Some((_, first)) = known.find(|(_, other)| other.kind() == fact.kind()) else {
            waiting.push((line, fact));
            return Ok(());
        };
        if first.content == fact.content {
            return Ok(());
        }
        self.reject(line, &conflict(&fact))
    }

    /// After a refund: what has waited for it.
    pub(super) fn take_up_reversals(&mut self, fact: &OrderFact) -> anyhow::Result<()> {
        let OrderEvent::Refunded(it) = &fact.what else {
            return Ok(());
        };
        let key = refunded(&fact.merchant, &it.refund);
        if self.orders.homes.get(&key) != Some(&fact.order) {
            return Ok(());
        }
        for (line, waited) in self.strays.remove(&key).unwrap_or_default() {
            self.fold(line, &waited.about(fact.order.clone()))?;
        }
        Ok(())
    }

    /// Before a fact with which a review begins: lets its order have what has waited for that.
    pub(super) fn give_strays(&mut self, place: usize, fact: &OrderFact) {
        let agreements = self.catalogue.of(&fact.merchant);
        if let Some(review) = begins(fact, &agreements) {
            self.begin_review(place, &review);
        }
    }

    /// The same before a sale that has waited for its agreement.
    pub(super) fn give_strays_at_last(&mut self, place: usize) {
        let Some(case) = self.orders.at(place) else {
            return;
        };
        let (merchant, id) = (case.order.merchant.clone(), case.order.id.clone());
        let agreements = self.catalogue.of(&merchant);
        let sale = case.order.sale.as_ref();
        let review = sale.and_then(|sale| by_amount(&merchant, &id, &sale.value, &agreements));
        if let Some(review) = review {
            self.begin_review(place, &review);
        }
    }

    /// Notes whose the review is and hands over what has waited for it, unless it is another
    /// order's.
    fn begin_review(&mut self, place: usize, review: &ReviewId) {
        let Some(case) = self.orders.at(place) else {
            return;
        };
        let (merchant, order) = (case.order.merchant.clone(), case.order.id.clone());
        let key = own(&merchant, review);
        let home = self.orders.homes.entry(key.clone());
        if *home.or_insert_with(|| order.clone()) != order {
            return;
        }
        let waited = self.strays.remove(&key).unwrap_or_default();
        let case = self.orders.at_mut(place);
        for (line, fact) in waited {
            let fact = fact.about(order.clone());
            case.lines.push((fact.key(), line));
            case.order.parked.push(fact);
        }
    }

    /// The clock meets the reviews.
    pub(super) fn watch(&mut self) -> anyhow::Result<()> {
        let now = self.now();
        for place in self.agenda.watched(now) {
            let Some(case) = self.orders.at(place) else {
                continue;
            };
            let key = (case.order.merchant.clone(), case.order.id.clone());
            self.change(&key, |order, world| {
                decide::watch(order, now, world).entries
            })?;
        }
        Ok(())
    }
}

/// The key under which a review has its home.
fn own(merchant: &MerchantId, review: &ReviewId) -> OwnId {
    (
        merchant.clone(),
        FactKind::ReviewRequested,
        review.as_str().to_owned(),
    )
}

/// The key under which a refund has its home.
fn refunded(merchant: &MerchantId, refund: &RefundId) -> OwnId {
    let id = refund.as_str().to_owned();
    (merchant.clone(), FactKind::Refunded, id)
}
