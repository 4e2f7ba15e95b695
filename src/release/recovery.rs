//! Purses under release: the debts and deposits that releases of one batch pay, and the credits that are released
//! for their own sake.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Release;
use super::booking::book;
use crate::rules::ids::MerchantId;
use crate::rules::money::Amount;
use crate::rules::recovery;
use crate::rules::time::Instant;
use crate::store::journal::Lines;
use crate::store::recovery::{PurseKey, Purses};
use crate::store::{StoreError, Tx};

/// Locks the purses that these sums go to, and loads the debts that they can pay.
pub(crate) async fn lock(tx: &mut Tx, sums: Vec<(PurseKey, Amount)>) -> Result<Purses, StoreError> {
    let mut gross: BTreeMap<PurseKey, Amount> = BTreeMap::new();
    for (purse, amount) in sums {
        let zero = Amount::zero(purse.1);
        let sum = gross.entry(purse).or_insert(zero);
        *sum = sum
            .plus(amount)
            .map_err(|error| StoreError::Unreadable(error.to_string()))?;
    }
    let keys: BTreeSet<PurseKey> = gross.keys().cloned().collect();
    let mut purses = Purses::default();
    tx.lock_purses(&mut purses, &keys).await?;
    tx.load_debts(&mut purses, &gross).await?;
    Ok(purses)
}

impl Release {
    /// Releases a batch of credits; answers how many.
    pub(super) async fn release_credits(
        &self,
        tx: &mut Tx,
        horizon: Instant,
        limit: i64,
    ) -> Result<usize, StoreError> {
        let credits = tx.claim_credits(horizon, self.not_before, limit).await?;
        if credits.is_empty() {
            return Ok(0);
        }
        let purse = |merchant: &MerchantId, currency| (merchant.clone(), currency);
        let sums = credits
            .iter()
            .map(|(merchant, credit)| (purse(merchant, credit.currency), credit.amount))
            .collect();
        let mut purses = lock(tx, sums).await?;
        let mut lines = Lines::default();
        for (merchant, credit) in &credits {
            let purse = purses.of(&purse(merchant, credit.currency));
            let mut entries = recovery::issue_credit(credit, purse, tx.now);
            self.mode.cast_credit(&mut entries, tx.now);
            lines.add(merchant, entries, None);
        }
        tx.save_purses(&mut purses).await?;
        book(tx, &mut lines, &HashMap::new()).await?;
        Ok(credits.len())
    }
}
