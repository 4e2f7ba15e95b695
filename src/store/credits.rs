//! Credits: a merchant's money that belongs to no hold and waits for its release.

use uuid::Uuid;

use super::cases::Case;
use super::types::{amount, column, currency, merchant_id, order_id};
use super::{Store, StoreError, Tx, failed};
use crate::rules::ids::{CreditId, MerchantId};
use crate::rules::recovery::Credit;
use crate::rules::time::Instant;

/// A credit's row.
struct CreditRow {
    merchant_id: String,
    credit_id: Uuid,
    order_id: Option<String>,
    currency: String,
    amount: rust_decimal::Decimal,
    opened_at: Instant,
    traceparent: Option<String>,
}

impl CreditRow {
    fn read(self) -> Result<(MerchantId, Credit), StoreError> {
        let currency = currency(&self.currency)?;
        let credit = Credit {
            id: CreditId(self.credit_id),
            order: self.order_id.as_deref().map(order_id).transpose()?,
            currency,
            amount: amount(self.amount, currency)?,
            opened_at: self.opened_at,
            traceparent: self.traceparent,
        };
        Ok((merchant_id(&self.merchant_id)?, credit))
    }
}

impl Store {
    /// A merchant's credits that wait, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn credits(&self, merchant: &MerchantId) -> Result<Vec<Credit>, StoreError> {
        let rows = sqlx::query_as!(
            CreditRow,
            r#"SELECT merchant_id, credit_id, order_id, currency, amount,
                      opened_at AS "opened_at: Instant", traceparent
               FROM credits WHERE merchant_id = $1 ORDER BY opened_at, credit_id"#,
            merchant.as_str(),
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("list credits"))?;
        let credits = rows.into_iter().map(CreditRow::read);
        credits.map(|row| row.map(|(_, credit)| credit)).collect()
    }
}

impl Tx {
    /// Writes the credits that the changed orders opened.
    pub(super) async fn save_credits(&mut self, changed: &[&Case]) -> Result<(), StoreError> {
        let orders = changed.iter().map(|case| &case.order);
        let rows: Vec<(&MerchantId, &Credit)> = orders
            .flat_map(|order| order.credits.iter().map(|it| (&order.merchant, it)))
            .collect();
        self.open_credits(&rows).await
    }

    /// Writes new credits. One that is the merchant's only later goes no earlier than that.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_credits(
        &mut self,
        rows: &[(&MerchantId, &Credit)],
    ) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "INSERT INTO credits (merchant_id, credit_id, order_id, currency, amount, traceparent,
                 opened_at, due_at)
             SELECT *, greatest(opened_at, $8) FROM unnest($1::text[], $2::uuid[], $3::text[],
                 $4::text[], $5::numeric[], $6::text[], $7::timestamptz[])
                 AS c (merchant_id, credit_id, order_id, currency, amount, traceparent, opened_at)",
            column(rows, |(merchant, _)| merchant.as_str().to_owned()) as _,
            column(rows, |(_, it)| it.id.0) as _,
            column(rows, |(_, it)| it
                .order
                .as_ref()
                .map(|id| id.as_str().to_owned())) as _,
            column(rows, |(_, it)| it.currency.code().to_owned()) as _,
            column(rows, |(_, it)| it.amount.decimal()) as _,
            column(rows, |(_, it)| it.traceparent.clone()) as _,
            column(rows, |(_, it)| it.opened_at) as _,
            self.now as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("write credits"))?;
        Ok(())
    }

    /// Takes up to `limit` credits that are due by `horizon` and were not opened before `start`, which
    /// no pause keeps back, and whose orders no person, review or bad message. For whoever holds the pauses.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_credits(
        &mut self,
        horizon: Instant,
        start: Instant,
        limit: i64,
    ) -> Result<Vec<(MerchantId, Credit)>, StoreError> {
        let found = sqlx::query!(
            "SELECT c.merchant_id, c.credit_id, c.order_id FROM credits c
             WHERE c.due_at <= $1 AND c.opened_at >= $2
               AND NOT EXISTS (SELECT FROM pauses p WHERE p.resumed_by IS NULL
                   AND (p.merchant_id IS NULL OR p.merchant_id = c.merchant_id)
                   AND (p.currency IS NULL OR p.currency = c.currency))
               AND NOT EXISTS (SELECT FROM blocks b WHERE b.merchant_id = c.merchant_id
                   AND b.order_id = c.order_id AND b.cleared_at IS NULL)
             ORDER BY c.due_at LIMIT $3 FOR UPDATE OF c SKIP LOCKED",
            horizon as _,
            start as _,
            limit,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("claim credits"))?;
        let merchants = column(&found, |row| row.merchant_id.clone());
        let orders = column(&found, |row| row.order_id.clone());
        let credits = column(&found, |row| row.credit_id);
        self.take_credits(merchants, orders, credits).await
    }

    /// A credit that waits, locked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn credit(
        &mut self,
        merchant: &MerchantId,
        credit: CreditId,
    ) -> Result<Option<Credit>, StoreError> {
        let row = sqlx::query_as!(
            CreditRow,
            r#"SELECT merchant_id, credit_id, order_id, currency, amount,
                      opened_at AS "opened_at: Instant", traceparent
               FROM credits WHERE merchant_id = $1 AND credit_id = $2 FOR UPDATE"#,
            merchant.as_str(),
            credit.0,
        )
        .fetch_optional(&mut *self.inner)
        .await
        .map_err(failed("find a credit"))?;
        row.map(|row| Ok(row.read()?.1)).transpose()
    }

    /// Takes one credit that was found; false when its order is blocked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_credit(
        &mut self,
        merchant: &MerchantId,
        credit: &Credit,
    ) -> Result<bool, StoreError> {
        let order = credit.order.as_ref().map(|id| id.as_str().to_owned());
        let merchants = vec![merchant.as_str().to_owned()];
        let taken = self.take_credits(merchants, vec![order], vec![credit.id.0]);
        Ok(!taken.await?.is_empty())
    }

    /// Takes those of these credits whose orders nothing keeps back.
    async fn take_credits(
        &mut self,
        merchants: Vec<String>,
        orders: Vec<Option<String>>,
        credits: Vec<Uuid>,
    ) -> Result<Vec<(MerchantId, Credit)>, StoreError> {
        if credits.is_empty() {
            return Ok(Vec::new());
        }
        // A block that another transaction puts there now is seen once the order is ours.
        sqlx::query!(
            r#"SELECT o.order_id
               FROM (SELECT * FROM unnest($1::text[], $2::text[]) AS k (merchant_id, order_id)
                     ORDER BY merchant_id COLLATE "C", order_id COLLATE "C") k
               CROSS JOIN LATERAL (
                   SELECT order_id FROM orders
                   WHERE merchant_id = k.merchant_id AND order_id = k.order_id FOR SHARE) o"#,
            &merchants[..] as _,
            orders as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("lock the orders of credits"))?;
        let rows = sqlx::query_as!(
            CreditRow,
            r#"DELETE FROM credits c
               USING unnest($1::text[], $2::uuid[]) AS k (merchant_id, credit_id)
               WHERE c.merchant_id = k.merchant_id AND c.credit_id = k.credit_id
                 AND NOT EXISTS (SELECT FROM blocks b WHERE b.merchant_id = c.merchant_id
                     AND b.order_id = c.order_id AND b.cleared_at IS NULL)
               RETURNING c.merchant_id, c.credit_id, c.order_id, c.currency, c.amount,
                   c.opened_at AS "opened_at: Instant", c.traceparent"#,
            &merchants[..] as _,
            credits as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("take credits"))?;
        rows.into_iter().map(CreditRow::read).collect()
    }
}
