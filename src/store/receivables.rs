//! Receivables as people see them: what is owed, and what of it is written off.

use rust_decimal::Decimal;
use uuid::Uuid;

use super::types::{amount, currency, order_id};
use super::{Store, StoreError, Tx, failed};
use crate::rules::ids::{MerchantId, OrderId, ReceivableId};
use crate::rules::order::Receivable;
use crate::rules::time::Instant;

/// A receivable that is not paid off.
#[derive(Debug, Clone, serde::Serialize)]
pub struct OpenReceivable {
    pub merchant_id: String,
    pub receivable_id: Uuid,
    /// The order that it stems from, or that its adjustment names.
    pub order_id: Option<String>,
    pub currency: String,
    pub original: Decimal,
    pub left: Decimal,
    pub written_off: Decimal,
    pub opened_at: Instant,
    /// `refund`, `chargeback`, `withdrawal` or `adjustment`, and its id.
    pub cause_kind: String,
    pub cause_id: String,
}

impl Store {
    /// What is owed, of one merchant or of all, the oldest first; at most 1,000.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_receivables(
        &self,
        merchant: Option<&MerchantId>,
    ) -> Result<Vec<OpenReceivable>, StoreError> {
        sqlx::query_as!(
            OpenReceivable,
            r#"SELECT merchant_id, receivable_id, coalesce(order_id, names_order) AS order_id,
                      currency, original, left_now AS "left", written_off,
                      opened_at AS "opened_at: Instant", cause_kind, cause_id
               FROM receivables
               WHERE left_now > 0 AND ($1::text IS NULL OR merchant_id = $1)
               ORDER BY opened_at, merchant_id, receivable_id LIMIT 1000"#,
            merchant.map(MerchantId::as_str),
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("list receivables"))
    }
}

impl Tx {
    /// A receivable with the order that its events name, locked after its merchant.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn receivable(
        &mut self,
        merchant: &MerchantId,
        receivable: ReceivableId,
    ) -> Result<Option<(Receivable, Option<OrderId>)>, StoreError> {
        sqlx::query!(
            "SELECT merchant_id FROM merchants WHERE merchant_id = $1 FOR UPDATE",
            merchant.as_str(),
        )
        .fetch_optional(&mut *self.inner)
        .await
        .map_err(failed("lock a merchant"))?;
        let row = sqlx::query!(
            r#"SELECT coalesce(order_id, names_order) AS order_id, currency, original, left_now,
                      written_off, opened_at AS "opened_at: Instant", cause_kind, cause_id
               FROM receivables WHERE merchant_id = $1 AND receivable_id = $2 FOR UPDATE"#,
            merchant.as_str(),
            receivable.0,
        )
        .fetch_optional(&mut *self.inner)
        .await
        .map_err(failed("find a receivable"))?;
        let Some(row) = row else { return Ok(None) };
        let currency = currency(&row.currency)?;
        let order = row.order_id.as_deref().map(order_id).transpose()?;
        let receivable = Receivable {
            id: receivable,
            currency,
            original: amount(row.original, currency)?,
            left: amount(row.left_now, currency)?,
            written_off: amount(row.written_off, currency)?,
            opened_at: row.opened_at,
            cause: (super::numbers::cause_kind(&row.cause_kind)?, row.cause_id),
        };
        Ok(Some((receivable, order)))
    }

    /// Writes what is left and what is written off of it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn save_receivable(
        &mut self,
        merchant: &MerchantId,
        receivable: &Receivable,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE receivables SET left_now = $3, written_off = $4
             WHERE merchant_id = $1 AND receivable_id = $2",
            merchant.as_str(),
            receivable.id.0,
            receivable.left.decimal(),
            receivable.written_off.decimal(),
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("write off a receivable"))?;
        Ok(())
    }
}
