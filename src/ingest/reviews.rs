//! Which order a review is of, when one begins, and what has waited for it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Rules;
use super::fold::reparse;
use crate::message::Record;
use crate::rules::agreement::{Agreement, in_force};
use crate::rules::fact::{Completed, OrderEvent, OrderFact};
use crate::rules::ids::{MerchantId, OrderId, ReviewId};
use crate::rules::review::is_asked_by_amount;
use crate::store::agreements::Catalogue;
use crate::store::cases::Cases;
use crate::store::reviews::ReviewKey;
use crate::store::{StoreError, Tx};

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
