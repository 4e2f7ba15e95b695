//! Refunds and lost chargebacks that wait for an order that never comes, charged to the merchant by a
//! person: by the rules of `rules::decide`, out of the deposit, and what that lacks is owed.
//!
//! Guarantees that each is charged once, whoever asks how often: what is charged waits no more and is on
//! the order's record. More than `approval.above` takes two persons.

use std::collections::BTreeSet;

use super::{Act, Operator, OperatorError, Outcome, Request, TWO_PERSONS, refuse};
use crate::ingest;
use crate::message::Record;
use crate::rules::decide::{self, Ahead, Said, World};
use crate::rules::fact::FactKey;
use crate::store::Tx;
use crate::store::agreements::Catalogue;
use crate::store::cases::{Cases, OrderKey, Source};
use crate::store::journal::Lines;
use crate::store::recovery::Purses;
use crate::store::replays::Place;

impl Operator {
    /// Charges what the message that waits and lay at this place claims.
    pub(super) async fn charge_parked(
        &self,
        tx: &mut Tx,
        request: &Request,
        act: Act<'_>,
        (place, said): (&Place, Said),
    ) -> Result<Outcome, OperatorError> {
        let Some(found) = tx.waiting_at(place).await? else {
            return refuse(format!("nothing waits that lay at {place}"));
        };
        let wanted = found.key();
        let Some(order) = found.order_id else {
            return refuse(format!("{wanted} names no order: it charges nothing"));
        };
        let key = (found.merchant_id, order);
        let mut catalogue = Catalogue::default();
        tx.open_catalogue(&mut catalogue, std::slice::from_ref(&key.0), false)
            .await?;
        let mut cases = ingest::load(tx, &mut catalogue, &self.rules, &key).await?;
        let Some(case) = cases.get(&key) else {
            return refuse(format!("order {} can't be loaded", key.1));
        };
        let ahead = decide::chargeable(&case.order, &wanted, &said).or_else(refuse)?;
        belongs(tx, &key).await?;
        let mut outcome = Outcome::of(request, String::new());
        outcome.about.merchant = Some(key.0.clone());
        outcome.about.order = Some(key.1.clone());
        outcome.about.currency = Some(ahead.currency);
        outcome.about.amount = Some(ahead.amount);
        if !act.approved && self.needs_approval(tx, request, &outcome.about).await? {
            outcome.proposed = true;
            TWO_PERSONS.clone_into(&mut outcome.says);
            return Ok(outcome);
        }
        let charge = (&key, &wanted, &ahead);
        outcome.says = self.book(tx, (&mut cases, &catalogue), charge, act).await?;
        Ok(outcome)
    }

    /// Charges it and writes what follows; says so.
    async fn book(
        &self,
        tx: &mut Tx,
        (cases, catalogue): (&mut Cases, &Catalogue),
        (key, wanted, ahead): (&OrderKey, &FactKey, &Ahead),
        act: Act<'_>,
    ) -> Result<String, OperatorError> {
        let Some(case) = cases.get_mut(key) else {
            return refuse(format!("order {} can't be loaded", key.1));
        };
        let says = format!(
            "{wanted} is charged: merchant {} bears {} {} of order {}",
            key.0, ahead.amount, ahead.currency, key.1
        );
        let purse = (key.0.clone(), ahead.currency);
        let keys = BTreeSet::from([purse.clone()]);
        let mut purses = Purses::default();
        tx.make_merchants(&keys).await?;
        tx.lock_purses(&mut purses, &keys).await?;
        case.order.purse = purses.lend(&purse);
        let calendars = catalogue.calendars();
        let world = World {
            agreements: &catalogue.of(&key.0),
            calendars: &calendars,
            now: tx.now,
            approval: &self.rules.approval,
        };
        let charged = decide::charge(&mut case.order, ahead, world);
        let entries = charged.or_else(|refusal| refuse(refusal.to_string()))?;
        purses.take_back(Some(purse), case.order.purse.take());
        let source = case.messages.get(wanted).and_then(|it| self.source(it));
        tx.save_orders(cases, catalogue).await?;
        tx.save_purses(&mut purses).await?;
        let mut lines = Lines::default();
        lines.add(&key.0, entries, source);
        lines.are_by(act.id);
        tx.write(&lines).await?;
        Ok(says)
    }

    fn source(&self, record: &Record) -> Option<Source> {
        Some(Source {
            topic: self.rules.topic(&record.topic)?,
            partition: record.partition,
            offset: record.offset,
        })
    }
}

/// The message may name the wrong merchant where another one has that order.
async fn belongs(tx: &mut Tx, key: &OrderKey) -> Result<(), OperatorError> {
    let others = tx.under_other_merchants(std::slice::from_ref(key)).await?;
    match others.first() {
        Some((_, other)) => refuse(format!(
            "order {} is known under merchant {other}: the message may name the wrong one",
            key.1
        )),
        None => Ok(()),
    }
}
