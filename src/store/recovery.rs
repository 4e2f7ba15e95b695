//! Purses: deposit and open receivables of a merchant in a currency.
//!
//! Whoever changes a deposit or a receivable that is open, or releases money that could pay one,
//! holds the merchant's row first: so each debt is recovered once, and a release that stands in the journal
//! after a debt has seen it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::types::{amount, column, currency, merchant_id, order_id};
use super::{StoreError, Tx, failed};
use crate::rules::ids::{MerchantId, ReceivableId};
use crate::rules::money::{Amount, Currency};
use crate::rules::recovery::{Debt, Purse};
use crate::rules::time::Instant;

/// Whose money, and in which currency.
pub type PurseKey = (MerchantId, Currency);

/// Purses under change, locked, with what they were.
#[derive(Debug, Default)]
pub struct Purses {
    rows: BTreeMap<PurseKey, Purse>,
    deposits: HashMap<PurseKey, Amount>,
    debts: HashMap<(MerchantId, ReceivableId), Amount>,
}

impl Purses {
    /// One of them.
    pub fn of(&mut self, key: &PurseKey) -> &mut Purse {
        let purse = self.rows.entry(key.clone());
        purse.or_insert_with(|| Purse::empty(key.1))
    }

    /// One of them, to be changed elsewhere; `None` when it was not locked.
    #[must_use]
    pub fn lend(&self, key: &PurseKey) -> Option<Purse> {
        self.rows.get(key).cloned()
    }

    /// Takes a purse back as it is now.
    pub fn take_back(&mut self, key: Option<PurseKey>, purse: Option<Purse>) {
        if let Some((key, purse)) = key.zip(purse) {
            self.rows.insert(key, purse);
        }
    }

    /// A debt that has just been written is known by what stands there.
    pub fn know(&mut self, merchant: &MerchantId, debt: ReceivableId, left: Amount) {
        self.debts.insert((merchant.clone(), debt), left);
    }

    /// What is loaded counts as written.
    fn written(&mut self) {
        for (key, purse) in &self.rows {
            self.deposits.insert(key.clone(), purse.deposit);
            for debt in &purse.debts {
                self.debts.insert((key.0.clone(), debt.id), debt.left);
            }
        }
    }

    /// The deposits that grew and may now pay debts.
    #[must_use]
    pub fn grown(&self) -> BTreeMap<PurseKey, Amount> {
        let grown = self.rows.iter().filter(|(_, it)| it.grown_by.is_some());
        grown
            .map(|(key, purse)| (key.clone(), purse.deposit))
            .collect()
    }
}

impl Tx {
    /// Makes rows for the merchants that have none, so that they can be locked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn make_merchants(&mut self, keys: &BTreeSet<PurseKey>) -> Result<(), StoreError> {
        let keys: Vec<&PurseKey> = keys.iter().collect();
        sqlx::query!(
            r#"INSERT INTO merchants
                   (merchant_id, last_sequence, last_release_sequence, last_event_sequence)
               SELECT m, 0, 0, 0
               FROM (SELECT DISTINCT unnest($1::text[]) COLLATE "C" AS m ORDER BY m) AS named
               ON CONFLICT DO NOTHING"#,
            &column(&keys, |key| key.0.as_str().to_owned())[..],
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("make merchants"))?;
        Ok(())
    }

    /// Locks the merchants of these purses, as far as they have rows, and loads the deposits that are
    /// not loaded yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lock_purses(
        &mut self,
        purses: &mut Purses,
        keys: &BTreeSet<PurseKey>,
    ) -> Result<(), StoreError> {
        let keys = keys.iter().filter(|key| !purses.rows.contains_key(*key));
        let keys: Vec<PurseKey> = keys.cloned().collect();
        if keys.is_empty() {
            return Ok(());
        }
        let merchants = column(&keys, |key| key.0.as_str().to_owned());
        self.lock_merchants(&merchants).await?;
        let rows = sqlx::query!(
            "SELECT d.merchant_id, d.currency, d.balance FROM deposits d
             JOIN unnest($1::text[], $2::text[]) AS k (merchant_id, currency)
               ON d.merchant_id = k.merchant_id AND d.currency = k.currency",
            merchants as _,
            column(&keys, |key| key.1.code().to_owned()) as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read deposits"))?;
        for key in &keys {
            purses.of(key);
        }
        for row in rows {
            let currency = currency(&row.currency)?;
            let key = (merchant_id(&row.merchant_id)?, currency);
            let balance = amount(row.balance, currency)?;
            purses.of(&key).deposit = balance;
            purses.deposits.insert(key, balance);
        }
        Ok(())
    }

    /// Loads the open receivables of these purses, oldest first, locked: as many as a sum can pay,
    /// which is given for each. Debts of a purse that has some already must have been written.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn load_debts(
        &mut self,
        purses: &mut Purses,
        sums: &BTreeMap<PurseKey, Amount>,
    ) -> Result<(), StoreError> {
        if sums.is_empty() {
            return Ok(());
        }
        let sums: Vec<(&PurseKey, &Amount)> = sums.iter().collect();
        let rows = sqlx::query!(
            r#"SELECT r.merchant_id, r.currency, r.receivable_id,
                      coalesce(r.order_id, r.names_order) AS order_id, r.left_now,
                      r.opened_at AS "opened_at: Instant"
               FROM unnest($1::text[], $2::text[], $3::numeric[])
                   AS k (merchant_id, currency, total)
               CROSS JOIN LATERAL (
                   SELECT o.receivable_id,
                          sum(o.left_now) OVER (ORDER BY o.opened_at, o.receivable_id)
                              - o.left_now AS older
                   FROM receivables o
                   WHERE o.merchant_id = k.merchant_id AND o.currency = k.currency
                     AND o.left_now > 0) open
               JOIN receivables r
                 ON r.merchant_id = k.merchant_id AND r.receivable_id = open.receivable_id
               WHERE open.older < k.total
               ORDER BY r.merchant_id COLLATE "C", r.currency, r.opened_at, r.receivable_id
               FOR UPDATE OF r"#,
            column(&sums, |(key, _)| key.0.as_str().to_owned()) as _,
            column(&sums, |(key, _)| key.1.code().to_owned()) as _,
            column(&sums, |(_, total)| total.decimal()) as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("lock open receivables"))?;
        for row in rows {
            let currency = currency(&row.currency)?;
            let merchant = merchant_id(&row.merchant_id)?;
            let debt = Debt {
                id: ReceivableId(row.receivable_id),
                order: row.order_id.as_deref().map(order_id).transpose()?,
                opened_at: row.opened_at,
                left: amount(row.left_now, currency)?,
            };
            let known = (merchant.clone(), debt.id);
            if purses.debts.insert(known, debt.left).is_none() {
                purses.of(&(merchant, currency)).owe(debt);
            }
        }
        Ok(())
    }

    /// Writes back the debts and deposits that changed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn save_purses(&mut self, purses: &mut Purses) -> Result<(), StoreError> {
        let owned = purses.rows.iter();
        let debts: Vec<(&MerchantId, &Debt)> = owned
            .flat_map(|(key, purse)| purse.debts.iter().map(|debt| (&key.0, debt)))
            .filter(|(merchant, debt)| {
                purses.debts.get(&((*merchant).clone(), debt.id)) != Some(&debt.left)
            })
            .collect();
        if !debts.is_empty() {
            sqlx::query!(
                "UPDATE receivables r SET left_now = u.left_now
                 FROM unnest($1::text[], $2::uuid[], $3::numeric[])
                     AS u (merchant_id, receivable_id, left_now)
                 WHERE r.merchant_id = u.merchant_id AND r.receivable_id = u.receivable_id",
                column(&debts, |(merchant, _)| merchant.as_str().to_owned()) as _,
                column(&debts, |(_, debt)| debt.id.0) as _,
                column(&debts, |(_, debt)| debt.left.decimal()) as _,
            )
            .execute(&mut *self.inner)
            .await
            .map_err(failed("write recovered receivables"))?;
        }
        let deposits: Vec<(&PurseKey, &Purse)> = purses
            .rows
            .iter()
            .filter(|(key, purse)| {
                let before = purses.deposits.get(*key).copied();
                purse.deposit != before.unwrap_or_else(|| Amount::zero(key.1))
            })
            .collect();
        if !deposits.is_empty() {
            sqlx::query!(
                "INSERT INTO deposits (merchant_id, currency, balance)
                 SELECT * FROM unnest($1::text[], $2::text[], $3::numeric[])
                 ON CONFLICT (merchant_id, currency) DO UPDATE SET balance = excluded.balance",
                column(&deposits, |(key, _)| key.0.as_str().to_owned()) as _,
                column(&deposits, |(key, _)| key.1.code().to_owned()) as _,
                column(&deposits, |(_, purse)| purse.deposit.decimal()) as _,
            )
            .execute(&mut *self.inner)
            .await
            .map_err(failed("write deposits"))?;
        }
        purses.written();
        Ok(())
    }
}
