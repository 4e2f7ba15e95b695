//! Reviews in a run: answers and decisions find their orders or wait, and the clock meets deadlines.

use super::Simulation;
use super::books::Sink;
use crate::ingest::fold::OwnId;
use crate::ingest::reviews::{begins, by_amount, kind_of};
use crate::message::{Reason, Rejection};
use crate::rules::decide;
use crate::rules::fact::{FactKind, OrderFact, ReviewFact};
use crate::rules::ids::{MerchantId, ReviewId};

impl<S: Sink> Simulation<S> {
    /// An answer or a decision meets the order of its review, or waits for the review.
    pub(super) fn review(&mut self, line: u64, fact: ReviewFact) -> anyhow::Result<()> {
        let key = own(&fact.merchant, &fact.review);
        if let Some(order) = self.orders.homes.get(&key) {
            let fact = fact.about(order.clone());
            return self.fold(line, &fact);
        }
        let kind = kind_of(&fact);
        let waiting = self.strays.entry(key).or_default();
        let mut known = waiting.iter().filter(|(_, other)| kind_of(other) == kind);
        let Some((_, first)) = known.next() else {
            waiting.push((line, fact));
            return Ok(());
        };
        if first.content == fact.content {
            return Ok(());
        }
        let (name, review) = (kind.name(), &fact.review);
        let rejection = Rejection {
            reason: Reason::Conflict,
            detail: format!("conflict: {name}:{review} is known with other content"),
            moves_money: false,
            about: None,
        };
        self.reject(line, &rejection)
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
