//! Answers, decisions and reversals name a review or a refund only: here they meet the order that it
//! is of, or wait for what they name.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::fold::OwnId;
use super::reviews::begins;
use super::work::Work;
use crate::message::{Reason, Record, Rejection};
use crate::rules::fact::{FactKind, IndirectFact, Named, OrderEvent, OrderFact};
use crate::rules::ids::OrderId;
use crate::store::agreements::Catalogue;
use crate::store::reviews::ReviewKey;
use crate::store::{StoreError, Tx};
use crate::telemetry::Outcome as Counted;

/// The facts of a batch in the order in which they came, indirect ones among them.
pub(super) struct Placed<'a> {
    pub(super) facts: Cow<'a, [(usize, OrderFact)]>,
    /// Which order each review that they name is of.
    pub(super) orders: HashMap<ReviewKey, OrderId>,
    /// Messages that have waited for reviews that begin now.
    pub(super) waited: Vec<(ReviewKey, Record)>,
}

impl Work<'_> {
    /// Finds the order of each indirect fact; those of unknown reviews and refunds wait.
    pub(super) async fn place<'a>(
        &mut self,
        tx: &mut Tx,
        catalogue: &Catalogue,
        facts: &'a [(usize, OrderFact)],
        indirect: &[(usize, IndirectFact)],
    ) -> Result<Placed<'a>, StoreError> {
        let mut begun: BTreeMap<ReviewKey, Option<OrderId>> = BTreeMap::new();
        for (_, fact) in facts {
            if let Some(review) = begins(fact, &catalogue.of(&fact.merchant)) {
                let key = (fact.merchant.clone(), review);
                begun.entry(key).or_insert_with(|| Some(fact.order.clone()));
            }
        }
        let beginning: Vec<ReviewKey> = begun.keys().cloned().collect();
        for (_, fact) in indirect {
            if let Named::Review(review) = &fact.names {
                let key = (fact.merchant.clone(), review.clone());
                begun.entry(key).or_insert(None);
            }
        }
        let orders = tx.orders_of_reviews(&begun).await?;
        let own = |key: &&ReviewKey| begun[*key].as_ref() == orders.get(*key);
        let beginning: Vec<ReviewKey> = beginning.iter().filter(own).cloned().collect();
        let waited = tx.unpark_reviews(&beginning).await?;
        let refunds = orders_of_refunds(tx, facts, indirect).await?;
        let mut placed = Cow::Borrowed(facts);
        let mut strays = Vec::new();
        for (place, fact) in indirect {
            let order = match &fact.names {
                Named::Review(review) => orders.get(&(fact.merchant.clone(), review.clone())),
                Named::Refund(_) => refunds.get(&refund_of(fact)),
            };
            match order {
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
        strays: &[(usize, &IndirectFact)],
    ) -> Result<(), StoreError> {
        if strays.is_empty() {
            return Ok(());
        }
        let all: Vec<&IndirectFact> = strays.iter().map(|(_, fact)| *fact).collect();
        let mut known = tx.waiting_strays(&all).await?;
        let mut fresh = Vec::new();
        let records = self.records;
        for (place, fact) in strays {
            let kind = fact.kind();
            let key = (fact.merchant.clone(), kind, fact.names.as_str().to_owned());
            match known.get(&key) {
                Some(first) if *first == fact.content => {
                    self.applied.note(kind.name(), Counted::Duplicate);
                }
                Some(_) => self.reject(*place, &conflict(fact)),
                None => {
                    self.applied.note(kind.name(), Counted::Kept);
                    known.insert(key, fact.content);
                    fresh.push((*fact, &records[*place]));
                }
            }
        }
        tx.park_strays(&fresh).await
    }
}

/// A fact that waits already, with other content.
pub(crate) fn conflict(fact: &IndirectFact) -> Rejection {
    let (kind, id) = (fact.kind().name(), fact.names.as_str());
    Rejection {
        reason: Reason::Conflict,
        detail: format!("conflict: {kind}:{id} is known with other content"),
        moves_money: false,
        about: None,
    }
}

/// The orders of the refunds that reversals among these facts name: by what is known, else by what
/// has come with them.
async fn orders_of_refunds(
    tx: &mut Tx,
    facts: &[(usize, OrderFact)],
    indirect: &[(usize, IndirectFact)],
) -> Result<HashMap<OwnId, OrderId>, StoreError> {
    let reversals = indirect.iter().map(|(_, fact)| fact);
    let reversals = reversals.filter(|fact| matches!(fact.names, Named::Refund(_)));
    let mut named: Vec<OwnId> = reversals.map(refund_of).collect();
    named.sort_unstable();
    named.dedup();
    let mut orders = tx.orders_of(&named).await?;
    for (_, fact) in facts {
        if let OrderEvent::Refunded(it) = &fact.what {
            let key = (
                fact.merchant.clone(),
                FactKind::Refunded,
                it.refund.to_string(),
            );
            if named.binary_search(&key).is_ok() {
                orders.entry(key).or_insert_with(|| fact.order.clone());
            }
        }
    }
    Ok(orders)
}

fn refund_of(fact: &IndirectFact) -> OwnId {
    (
        fact.merchant.clone(),
        FactKind::Refunded,
        fact.names.as_str().to_owned(),
    )
}
