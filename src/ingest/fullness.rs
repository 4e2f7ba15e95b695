//! How much one order may have: its facts are loaded and summed up together, so without a limit a single
//! order could take all memory and time.
//!
//! Guarantees that what goes beyond it is refused and the order's money stays: one review block per order
//! says so, and what arrives later adds no further ones.

use super::Rules;
use super::fold::may_take_money;
use crate::message::{About, Reason, Record, Rejection};
use crate::rules::fact::OrderFact;
use crate::rules::order::Order;
use crate::store::cases::Case;

/// Bytes of the messages that wait for one order.
const KEPT_MAX_BYTES: usize = 4 << 20;
/// The reference of the block that an order has for everything that it has no room for.
pub(super) const REFERENCE: &str = "facts";

/// Whether the order has as many facts and blocks as it may.
pub(super) fn is_full(order: &Order, rules: &Rules) -> bool {
    order.facts() >= rules.facts_per_order
}

/// Why there is no room for this fact; `None` when there is, or when it is known already.
pub(super) fn no_room(
    case: &Case,
    fact: &OrderFact,
    record: &Record,
    rules: &Rules,
) -> Option<Rejection> {
    let order = &case.order;
    if !order.grows_by(fact) {
        return None;
    }
    let kept = if order.keeps_waiting(fact) {
        case.messages.values().map(Record::size).sum::<usize>()
    } else {
        0
    };
    let detail = if is_full(order, rules) {
        format!("the order has {} facts", order.facts())
    } else if kept > 0 && kept + record.size() > KEPT_MAX_BYTES {
        format!("{kept} bytes wait for the order")
    } else {
        return None;
    };
    if order.known(fact).is_some() {
        return None;
    }
    let moves_money = may_take_money(fact);
    tracing::error!(alarm = "order_too_large", merchant = %fact.merchant, order = %fact.order, detail, "this order takes no more facts");
    Some(Rejection {
        reason: Reason::TooMany,
        detail,
        moves_money,
        about: moves_money.then(|| About {
            merchant: fact.merchant.clone(),
            order: fact.order.clone(),
        }),
    })
}
