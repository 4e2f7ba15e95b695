//! Payments into deposits and out of them, by their key.

use std::collections::HashMap;

use super::types::{column, content, merchant_id};
use super::{StoreError, Tx, failed};
use crate::rules::deposit::DepositFact;
use crate::rules::fact::ContentHash;
use crate::rules::ids::{MerchantId, OrderId};
use crate::rules::order::Receivable;

/// A payment's key: merchant, whether it was a withdrawal, transaction.
pub type TransactionKey = (MerchantId, bool, String);

/// The key of a payment.
#[must_use]
pub fn transaction_key(fact: &DepositFact) -> TransactionKey {
    let transaction = fact.transaction.to_string();
    (fact.merchant.clone(), fact.withdrawn, transaction)
}

impl Tx {
    /// Digests of the payments that are known under these keys. Their merchants must be locked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn known_transactions(
        &mut self,
        facts: &[DepositFact],
    ) -> Result<HashMap<TransactionKey, ContentHash>, StoreError> {
        let rows = sqlx::query!(
            "SELECT t.merchant_id, t.withdrawn, t.transaction_id, t.content
             FROM deposit_transactions t
             JOIN unnest($1::text[], $2::boolean[], $3::text[])
                 AS k (merchant_id, withdrawn, transaction_id)
               ON t.merchant_id = k.merchant_id AND t.withdrawn = k.withdrawn
              AND t.transaction_id = k.transaction_id",
            column(facts, |f| f.merchant.as_str().to_owned()) as _,
            column(facts, |f| f.withdrawn) as _,
            column(facts, |f| f.transaction.as_str().to_owned()) as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read deposit transactions"))?;
        rows.into_iter()
            .map(|row| {
                let merchant = merchant_id(&row.merchant_id)?;
                let key = (merchant, row.withdrawn, row.transaction_id);
                Ok((key, content(&row.content)?))
            })
            .collect()
    }

    /// Notes payments that were applied.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn save_transactions(&mut self, facts: &[DepositFact]) -> Result<(), StoreError> {
        if facts.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "INSERT INTO deposit_transactions (merchant_id, withdrawn, transaction_id, amount,
                 currency, happened_at, content)
             SELECT * FROM unnest($1::text[], $2::boolean[], $3::text[], $4::numeric[],
                 $5::text[], $6::timestamptz[], $7::bytea[])",
            column(facts, |f| f.merchant.as_str().to_owned()) as _,
            column(facts, |f| f.withdrawn) as _,
            column(facts, |f| f.transaction.as_str().to_owned()) as _,
            column(facts, |f| f.amount.decimal()) as _,
            column(facts, |f| f.currency.code().to_owned()) as _,
            column(facts, |f| f.at) as _,
            column(facts, |f| f.content.0.to_vec()) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("write deposit transactions"))?;
        Ok(())
    }

    /// Opens the receivables of withdrawals and adjustments that took more than there was, with the
    /// order that an adjustment names.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_receivables(
        &mut self,
        debts: &[(MerchantId, Option<OrderId>, Receivable)],
    ) -> Result<(), StoreError> {
        if debts.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "INSERT INTO receivables (merchant_id, receivable_id, currency, original, left_now,
                 opened_at, cause_kind, cause_id, names_order)
             SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::numeric[],
                 $5::numeric[], $6::timestamptz[], $7::text[], $8::text[], $9::text[])",
            column(debts, |(merchant, ..)| merchant.as_str().to_owned()) as _,
            column(debts, |(.., it)| it.id.0) as _,
            column(debts, |(.., it)| it.currency.code().to_owned()) as _,
            column(debts, |(.., it)| it.original.decimal()) as _,
            column(debts, |(.., it)| it.left.decimal()) as _,
            column(debts, |(.., it)| it.opened_at) as _,
            column(debts, |(.., it)| it.cause.0.to_owned()) as _,
            column(debts, |(.., it)| it.cause.1.clone()) as _,
            column(debts, |(_, order, _)| order
                .as_ref()
                .map(|id| id.as_str().to_owned())) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("open receivables"))?;
        Ok(())
    }
}
