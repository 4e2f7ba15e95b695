//! Debts under release: what releases of one batch pay of them, and the credits that are released
//! for their own sake.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Release;
use super::booking::book;
use crate::rules::ids::{MerchantId, ReceivableId};
use crate::rules::money::Amount;
use crate::rules::recovery::{self, Debt};
use crate::rules::time::Instant;
use crate::store::journal::Lines;
use crate::store::recovery::Purse;
use crate::store::{StoreError, Tx};

/// What the merchants of a batch owe, as far as the batch can pay it.
pub(super) struct Owed {
    debts: HashMap<Purse, Vec<Debt>>,
    before: HashMap<(MerchantId, ReceivableId), Amount>,
}

impl Owed {
    /// Locks the merchants of these sums and loads what they owe.
    pub(super) async fn lock(tx: &mut Tx, sums: Vec<(Purse, Amount)>) -> Result<Self, StoreError> {
        let mut gross: BTreeMap<Purse, Amount> = BTreeMap::new();
        for (purse, amount) in sums {
            let zero = Amount::zero(purse.1);
            let sum = gross.entry(purse).or_insert(zero);
            *sum = sum
                .plus(amount)
                .map_err(|error| StoreError::Unreadable(error.to_string()))?;
        }
        if gross.is_empty() {
            return Ok(Self {
                debts: HashMap::new(),
                before: HashMap::new(),
            });
        }
        let merchants: BTreeSet<MerchantId> = gross.keys().map(|purse| purse.0.clone()).collect();
        tx.lock_merchants(&merchants).await?;
        let debts = tx.open_debts(&gross).await?;
        let all = debts
            .iter()
            .flat_map(|(purse, debts)| debts.iter().map(|debt| (purse.0.clone(), debt)));
        let before = all.map(|(merchant, debt)| ((merchant, debt.id), debt.left));
        Ok(Self {
            before: before.collect(),
            debts,
        })
    }

    /// The debts of a purse, oldest first.
    pub(super) fn of(&mut self, purse: &Purse) -> &mut [Debt] {
        self.debts.get_mut(purse).map_or(&mut [], Vec::as_mut_slice)
    }

    /// Writes what has been paid.
    pub(super) async fn save(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let all = self
            .debts
            .iter()
            .flat_map(|(purse, debts)| debts.iter().map(|debt| (&purse.0, debt)));
        let paid: Vec<(&MerchantId, &Debt)> = all
            .filter(|(merchant, debt)| {
                self.before.get(&((*merchant).clone(), debt.id)) != Some(&debt.left)
            })
            .collect();
        tx.save_debts(&paid).await
    }
}

impl Release {
    /// Releases a batch of credits; answers how many.
    pub(super) async fn release_credits(
        &self,
        tx: &mut Tx,
        horizon: Instant,
        limit: i64,
    ) -> Result<usize, StoreError> {
        let credits = tx.claim_credits(horizon, limit).await?;
        if credits.is_empty() {
            return Ok(0);
        }
        let purse = |merchant: &MerchantId, currency| (merchant.clone(), currency);
        let sums = credits
            .iter()
            .map(|(merchant, credit)| (purse(merchant, credit.currency), credit.amount))
            .collect();
        let mut owed = Owed::lock(tx, sums).await?;
        let mut lines = Lines::default();
        for (merchant, credit) in &credits {
            let debts = owed.of(&purse(merchant, credit.currency));
            lines.add(
                merchant,
                recovery::issue_credit(credit, debts, tx.now),
                None,
            );
        }
        owed.save(tx).await?;
        book(tx, &mut lines, &HashMap::new()).await?;
        Ok(credits.len())
    }
}
