//! Adjustments of a batch, after its deposits have paid what they could.

use std::collections::{BTreeMap, BTreeSet};

use super::deposits::{conflict, refused, settle};
use super::work::Work;
use crate::rules::adjustment::{self, Adjustment};
use crate::rules::entry::Direction;
use crate::rules::ids::MerchantId;
use crate::rules::money::Amount;
use crate::rules::recovery::Credit;
use crate::store::adjustments::adjustment_key;
use crate::store::recovery::PurseKey;
use crate::store::{StoreError, Tx};
use crate::telemetry::Outcome as Counted;

impl Work<'_> {
    /// Applies adjustments, once the deposits have paid what they can and that is written: the debts
    /// that credits may pay are read from the table.
    pub(super) async fn settle_adjustments(
        &mut self,
        tx: &mut Tx,
        facts: &[(usize, Adjustment)],
    ) -> Result<(), StoreError> {
        if facts.is_empty() {
            return Ok(());
        }
        settle(tx, &mut self.purses, &mut self.lines).await?;
        let all: Vec<&Adjustment> = facts.iter().map(|(_, fact)| fact).collect();
        let keys = all.iter();
        let keys = keys.map(|fact| (fact.merchant.clone(), fact.currency));
        let keys: BTreeSet<PurseKey> = keys.collect();
        tx.make_merchants(&keys).await?;
        tx.lock_purses(&mut self.purses, &keys).await?;
        let mut known = tx.known_adjustments(&all).await?;
        let mut fresh = Vec::new();
        let mut sums: BTreeMap<PurseKey, Amount> = BTreeMap::new();
        for (place, fact) in facts {
            let key = adjustment_key(fact);
            if let Some(first) = known.get(&key) {
                if *first == fact.content {
                    self.applied.note(Adjustment::KIND, Counted::Duplicate);
                } else {
                    self.reject(*place, &conflict("adjustment"));
                }
                continue;
            }
            if fact.direction == Direction::Credit {
                let zero = Amount::zero(fact.currency);
                let sum = sums.entry((fact.merchant.clone(), fact.currency));
                let sum = sum.or_insert(zero);
                match sum.plus(fact.amount) {
                    Ok(more) => *sum = more,
                    Err(error) => {
                        self.reject(*place, &refused(&error));
                        continue;
                    }
                }
            }
            known.insert(key, fact.content);
            fresh.push((*place, fact));
        }
        tx.load_debts(&mut self.purses, &sums).await?;
        self.adjust(tx, &fresh).await
    }

    async fn adjust(
        &mut self,
        tx: &mut Tx,
        facts: &[(usize, &Adjustment)],
    ) -> Result<(), StoreError> {
        let mut debts = Vec::new();
        let mut credits: Vec<(&MerchantId, Credit)> = Vec::new();
        for (place, fact) in facts {
            let purse = self.purses.of(&(fact.merchant.clone(), fact.currency));
            let effect = adjustment::apply(purse, fact);
            self.lines
                .add(&fact.merchant, effect.entries, self.source(*place));
            if let Some(debt) = effect.debt {
                self.purses.know(&fact.merchant, debt.id, debt.left);
                debts.push((fact.merchant.clone(), fact.order.clone(), debt));
            }
            credits.extend(effect.credit.map(|credit| (&fact.merchant, credit)));
            self.applied.note(Adjustment::KIND, Counted::Applied);
        }
        let applied: Vec<&Adjustment> = facts.iter().map(|(_, fact)| *fact).collect();
        tx.save_adjustments(&applied).await?;
        tx.open_receivables(&debts).await?;
        let credits: Vec<_> = credits
            .iter()
            .map(|(merchant, it)| (*merchant, it))
            .collect();
        tx.open_credits(&credits).await
    }
}
