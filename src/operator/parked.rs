//! Messages that wait for what never comes, dropped by a person.
//!
//! Guarantees that nothing is lost by it: what is dropped becomes a dead letter, byte for byte, which a
//! replay puts back; and that what may hold money back goes only by two persons where its amount, or
//! that of its order, asks for them.

use super::{Act, Operator, OperatorError, Outcome, Request, TWO_PERSONS, refuse};
use crate::ingest;
use crate::ingest::fold::may_take_money;
use crate::message::{Reason, Record};
use crate::rules::fact::{OrderEvent, OrderFact};
use crate::rules::order::Order;
use crate::store::Tx;
use crate::store::agreements::Catalogue;
use crate::store::cases::OrderKey;
use crate::store::dead_letters::DeadLetter;
use crate::store::operations::About;
use crate::store::replays::Place;
use crate::store::waiting::Waiting;

impl Operator {
    /// Drops the message that waits and lay at this place.
    pub(super) async fn drop_parked(
        &self,
        tx: &mut Tx,
        request: &Request,
        act: Act<'_>,
        place: &Place,
    ) -> Result<Outcome, OperatorError> {
        let Some(found) = tx.waiting_at(place).await? else {
            return refuse(format!("nothing waits that lay at {place}"));
        };
        let says = format!(
            "{} of merchant {} is dropped: it is a dead letter now, and the same message sent again counts as new",
            found.key(),
            found.merchant_id
        );
        let mut outcome = Outcome::of(request, says);
        outcome.about.merchant = Some(found.merchant_id.clone());
        outcome.about.order.clone_from(&found.order_id);
        let record = match &found.order_id {
            Some(order) => {
                let key = (found.merchant_id.clone(), order.clone());
                self.take_out(tx, request, act, (&key, &found), &mut outcome)
                    .await?
            }
            None => tx.take_stray(&found).await?,
        };
        if outcome.proposed {
            return Ok(outcome);
        }
        let Some(record) = record else {
            return refuse(format!("what lay at {place} waits no more"));
        };
        let letter = DeadLetter {
            record,
            reason: Reason::Dropped.as_str(),
            detail: format!("waited for its {}; operation {}", found.waits_for, act.id),
            about: found.order_id.map(|order| (found.merchant_id, order)),
        };
        tx.refuse(&[letter]).await?;
        Ok(outcome)
    }

    /// Takes it out of its order, unless a second person must agree.
    async fn take_out(
        &self,
        tx: &mut Tx,
        request: &Request,
        act: Act<'_>,
        (key, found): (&OrderKey, &Waiting),
        outcome: &mut Outcome,
    ) -> Result<Option<Record>, OperatorError> {
        let mut catalogue = Catalogue::default();
        tx.open_catalogue(&mut catalogue, std::slice::from_ref(&key.0), false)
            .await?;
        let mut cases = ingest::load(tx, &mut catalogue, &self.rules, key).await?;
        let wanted = found.key();
        let Some(case) = cases.get_mut(key) else {
            return Ok(None);
        };
        let mut parked = case.order.parked.iter();
        let Some(position) = parked.position(|fact| fact.key() == wanted) else {
            return Ok(None);
        };
        let fact = case.order.parked.remove(position);
        let record = case.messages.remove(&wanted);
        keeps(&case.order, &fact, &mut outcome.about);
        let alone = act.approved || !may_take_money(&fact);
        if !alone && self.needs_approval(tx, request, &outcome.about).await? {
            outcome.proposed = true;
            TWO_PERSONS.clone_into(&mut outcome.says);
            return Ok(None);
        }
        tx.save_orders(&cases, &catalogue).await?;
        Ok(record)
    }
}

/// What the fact would keep from the merchant, as far as that is known.
fn keeps(order: &Order, fact: &OrderFact, about: &mut About) {
    let amount = match &fact.what {
        OrderEvent::Refunded(it) => Some((it.currency, it.amount)),
        _ if may_take_money(fact) => {
            let sale = order.sale.as_ref();
            sale.map(|noted| (noted.value.currency, noted.value.amount))
        }
        _ => None,
    };
    (about.currency, about.amount) = amount.unzip();
}
