//! Deposits of a batch: what is paid in and out, and the debts that a deposit pays once it grows.

use std::collections::{BTreeMap, BTreeSet};

use super::work::Work;
use crate::message::{Reason, Rejection};
use crate::rules::deposit::{self, DepositFact};
use crate::rules::money::Amount;
use crate::store::deposits::transaction_key;
use crate::store::recovery::{PurseKey, Purses};
use crate::store::{StoreError, Tx};
use crate::telemetry::Outcome as Counted;

impl Work<'_> {
    pub(super) async fn settle_deposits(
        &mut self,
        tx: &mut Tx,
        facts: &[(usize, DepositFact)],
    ) -> Result<(), StoreError> {
        if facts.is_empty() {
            return Ok(());
        }
        let all: Vec<DepositFact> = facts.iter().map(|(_, fact)| fact.clone()).collect();
        let keys = all
            .iter()
            .map(|fact| (fact.merchant.clone(), fact.currency));
        let keys: BTreeSet<PurseKey> = keys.collect();
        tx.make_merchants(&keys).await?;
        let mut purses = tx.lock_purses(&keys).await?;
        let mut known = tx.known_transactions(&all).await?;
        let (mut fresh, mut debts) = (Vec::new(), Vec::new());
        for (place, fact) in facts {
            let key = transaction_key(fact);
            if let Some(first) = known.get(&key) {
                if *first == fact.content {
                    self.applied.note(fact.kind(), Counted::Duplicate);
                } else {
                    let detail = "this transaction is known with other content";
                    self.reject(*place, &rejection(Reason::Conflict, detail.to_owned()));
                }
                continue;
            }
            let purse = purses.of(&(fact.merchant.clone(), fact.currency));
            match deposit::apply(purse, fact) {
                Ok(effect) => {
                    self.lines
                        .add(&fact.merchant, effect.entries, self.source(*place));
                    if let Some(debt) = effect.debt {
                        tracing::warn!(alarm = "withdrawal_exceeds_deposit", merchant = %fact.merchant, transaction = %fact.transaction, "a merchant withdrew more than the deposit, and owes the rest");
                        debts.push((fact.merchant.clone(), debt));
                    }
                }
                Err(error) => {
                    self.reject(*place, &rejection(Reason::Money, error.to_string()));
                    continue;
                }
            }
            self.applied.note(fact.kind(), Counted::Applied);
            known.insert(key, fact.content);
            fresh.push(fact.clone());
        }
        tx.save_transactions(&fresh).await?;
        tx.open_withdrawals(&debts).await?;
        self.pay_debts(tx, &mut purses).await?;
        tx.save_purses(&purses).await
    }

    /// What has grown pays what is open.
    async fn pay_debts(&mut self, tx: &mut Tx, purses: &mut Purses) -> Result<(), StoreError> {
        let grown: BTreeMap<PurseKey, Amount> = purses.grown();
        tx.load_debts(purses, &grown).await?;
        for key in grown.keys() {
            let entries = deposit::pay_debts(purses.of(key));
            self.lines.add(&key.0, entries, None);
        }
        Ok(())
    }
}

fn rejection(reason: Reason, detail: String) -> Rejection {
    Rejection {
        reason,
        detail,
        moves_money: false,
        about: None,
    }
}
