//! Answers and decisions name their review only: here they meet the order that it is of, or wait
//! for the review.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::Rules;
use super::fold::reparse;
use super::work::Work;
use crate::message::{Reason, Record, Rejection};
use crate::rules::agreement::{Agreement, in_force};
use crate::rules::fact::{Completed, FactKind, OrderEvent, OrderFact, ReviewFact};
use crate::rules::ids::{MerchantId, OrderId, ReviewId};
use crate::rules::review::is_asked_by_amount;
use crate::store::agreements::Catalogue;
use crate::store::cases::Cases;
use crate::store::reviews::ReviewKey;
use crate::store::{StoreError, Tx};
use crate::telemetry::Outcome as Counted;

/// The facts of a batch in the order in which they came, answers and decisions among them.
pub(super) struct Placed<'a> {
    pub(super) facts: Cow<'a, [(usize, OrderFact)]>,
    /// Which order each review that they name is of.
    pub(super) orders: HashMap<ReviewKey, OrderId>,
    /// Messages that have waited for reviews that begin now.
    pub(super) waited: Vec<(ReviewKey, Record)>,
}

impl Work<'_> {
    /// Finds the order of each answer and decision; those of unknown reviews wait.
    pub(super) async fn place_reviews<'a>(
        &mut self,
        tx: &mut Tx,
        catalogue: &Catalogue,
        facts: &'a [(usize, OrderFact)],
        reviews: &[(usize, ReviewFact)],
    ) -> Result<Placed<'a>, StoreError> {
        let mut begun: BTreeMap<ReviewKey, Option<OrderId>> = BTreeMap::new();
        for (_, fact) in facts {
            if let Some(review) = begins(fact, &catalogue.of(&fact.merchant)) {
                let key = (fact.merchant.clone(), review);
                begun.entry(key).or_insert_with(|| Some(fact.order.clone()));
            }
        }
        let beginning: Vec<ReviewKey> = begun.keys().cloned().collect();
        for (_, fact) in reviews {
            begun.entry(key_of(fact)).or_insert(None);
        }
        let orders = tx.orders_of_reviews(&begun).await?;
        let own = |key: &&ReviewKey| begun[*key].as_ref() == orders.get(*key);
        let beginning: Vec<ReviewKey> = beginning.iter().filter(own).cloned().collect();
        let waited = tx.unpark_reviews(&beginning).await?;
        let mut placed = Cow::Borrowed(facts);
        let mut strays = Vec::new();
        for (place, fact) in reviews {
            match orders.get(&key_of(fact)) {
                Some(order) => {
                    let fact = fact.clone().about(order.clone());
                    placed.to_mut().push((*place, fact));
                }
                None => strays.push((*place, fact)),
            }
        }
        if let Cow::Owned(facts) = &mut placed {
            facts.sort_by_key(|(place, _)| *place);
        }
        self.park_strays(tx, &strays).await?;
        Ok(Placed {
            facts: placed,
            orders,
            waited,
        })
    }

    async fn park_strays(
        &mut self,
        tx: &mut Tx,
        strays: &[(usize, &ReviewFact)],
    ) -> Result<(), StoreError> {
        if strays.is_empty() {
            return Ok(());
        }
        let keys: BTreeSet<ReviewKey> = strays.iter().map(|(_, fact)| key_of(fact)).collect();
        let keys: Vec<ReviewKey> = keys.into_iter().collect();
        let mut known = tx.waiting_for_reviews(&keys).await?;
        let mut fresh = Vec::new();
        let records = self.records;
        for (place, fact) in strays {
            let kind = kind_of(fact);
            let key = (key_of(fact), kind);
            match known.get(&key) {
                Some(first) if *first == fact.content => {
                    self.applied.note(kind.name(), Counted::Duplicate);
                }
                Some(_) => {
                    let rejection = Rejection {
                        reason: Reason::Conflict,
                        detail: format!(
                            "conflict: {}:{} is known with other content",
                            kind.name(),
                            fact.review
                        ),
                        moves_money: false,
                        about: None,
                    };
                    self.reject(*place, &rejection);
                }
                None => {
                    self.applied.note(kind.name(), Counted::Kept);
                    known.insert(key, fact.content);
                    fresh.push((*fact, kind, &records[*place]));
                }
            }
        }
        tx.park_reviews(&fresh).await
    }
}

/// Lets orders have the messages that have waited for their reviews: they wait there from now on.
pub(super) fn give_waited(
    waited: Vec<(ReviewKey, Record)>,
    orders: &HashMap<ReviewKey, OrderId>,
    cases: &mut Cases,
    rules: &Rules,
) -> Result<(), StoreError> {
    for (key, record) in waited {
        let lost = || StoreError::Unreadable(format!("what waited for review {}", key.1));
        let order = orders.get(&key).ok_or_else(lost)?;
        let fact = reparse(&record, order, rules).ok_or_else(lost)?;
        let case = cases
            .get_mut(&(key.0.clone(), order.clone()))
            .ok_or_else(lost)?;
        case.messages.insert(fact.key(), record);
        case.order.parked.push(fact);
    }
    Ok(())
}

/// Before sales that waited for an agreement are applied: what has waited for the reviews that
/// their amounts ask for.
pub(super) async fn before_resuming(
    tx: &mut Tx,
    catalogue: &Catalogue,
    cases: &mut Cases,
    rules: &Rules,
) -> Result<(), StoreError> {
    let mut begun: BTreeMap<ReviewKey, Option<OrderId>> = BTreeMap::new();
    for ((merchant, order), case) in cases.iter() {
        let waits = case.order.agreement.is_none();
        if let Some(sale) = case.order.sale.as_ref().filter(|_| waits) {
            let agreements = catalogue.of(merchant);
            if let Some(review) = by_amount(merchant, order, &sale.value, &agreements) {
                begun.insert((merchant.clone(), review), Some(order.clone()));
            }
        }
    }
    let orders = tx.orders_of_reviews(&begun).await?;
    let keys: Vec<ReviewKey> = begun.into_keys().collect();
    let waited = tx.unpark_reviews(&keys).await?;
    give_waited(waited, &orders, cases, rules)
}

/// The review that begins with this fact, if one does.
pub(crate) fn begins(fact: &OrderFact, agreements: &[Arc<Agreement>]) -> Option<ReviewId> {
    match &fact.what {
        OrderEvent::ReviewRequested(request) => Some(request.review.clone()),
        OrderEvent::Completed(sale) => by_amount(&fact.merchant, &fact.order, sale, agreements),
        _ => None,
    }
}

/// The review that a sale's amount asks for, by the agreement in force for it.
pub(crate) fn by_amount(
    merchant: &MerchantId,
    order: &OrderId,
    sale: &Completed,
    agreements: &[Arc<Agreement>],
) -> Option<ReviewId> {
    let found = in_force(agreements, merchant, sale.currency, sale.at)?;
    is_asked_by_amount(found, sale).then(|| ReviewId::by_amount(merchant, order))
}

fn key_of(fact: &ReviewFact) -> ReviewKey {
    (fact.merchant.clone(), fact.review.clone())
}

pub(crate) fn kind_of(fact: &ReviewFact) -> FactKind {
    match fact.what {
        OrderEvent::ReviewAnswered(_) => FactKind::ReviewAnswered,
        _ => FactKind::ReviewDecided,
    }
}
