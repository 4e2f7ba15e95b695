//! Releases of credits that were published while this database did not know of them, booked by a person's
//! word. See [`crate::reconcile`].

use uuid::Uuid;

use super::elsewhere::published_release;
use super::types::{column, currency, merchant_id, order_id};
use super::{StoreError, Tx, failed};
use crate::rules::entry::{Account, ReleaseIssued};
use crate::rules::ids::{CreditId, MerchantId, ReleaseId};
use crate::rules::make_up::Released;
use crate::rules::recovery::Credit;

impl Tx {
    /// Whether all input has been read that there was when something was taken over: what has not been
    /// decided again by then won't be.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_read_again(&mut self, topics: &[String]) -> Result<bool, StoreError> {
        sqlx::query_scalar!(
            r#"SELECT coalesce(max(imported_at) <= (
                   SELECT CASE WHEN bool_and(fresh_at IS NOT NULL AND halted IS NULL)
                       THEN min(fresh_at) ELSE '-infinity' END
                   FROM unnest($1::text[]) AS t (topic)
                   LEFT JOIN positions p ON p.topic = t.topic), true) AS "read!"
               FROM published_elsewhere WHERE NOT taken"#,
            topics,
        )
        .fetch_one(&mut *self.inner)
        .await
        .map_err(failed("look how far the input is read"))
    }

    /// Published releases of credits that are not booked, for lack of a credit of their amount. Their
    /// merchants are locked. At most `limit`.
    ///
    /// # Errors
    /// When the database fails, or holds what this version can't read.
    pub async fn unbooked_credits(
        &mut self,
        limit: i64,
    ) -> Result<Vec<(Uuid, Released)>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT e.merchant_id, e.event_id, e.order_id, e.currency AS "currency!", e.data
               FROM published_elsewhere e
               WHERE NOT e.taken AND e.contradiction IS NULL AND e.event = 12
                 AND e.hold_id IS NULL AND e.data::json->>'attempt' = '1'
               ORDER BY e.merchant_id COLLATE "C", e.sequence LIMIT $1"#,
            limit,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("look for releases of credits"))?;
        let merchants = column(&rows, |row| row.merchant_id.clone());
        self.lock_merchants(&merchants).await?;
        rows.into_iter()
            .map(|row| {
                let released = Released {
                    merchant: merchant_id(&row.merchant_id)?,
                    order: row.order_id.as_deref().map(order_id).transpose()?,
                    currency: currency(&row.currency)?,
                    release: published_release(&row.data, &row.currency)?,
                };
                Ok((row.event_id, released))
            })
            .collect()
    }

    /// The credit of which this is the release, whatever it has; taken out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn credit_of(
        &mut self,
        merchant: &MerchantId,
        release: &ReleaseIssued,
    ) -> Result<Option<Credit>, StoreError> {
        let ids = sqlx::query_scalar!(
            "SELECT credit_id FROM credits WHERE merchant_id = $1 FOR UPDATE",
            merchant.as_str(),
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("look for a credit"))?;
        let mut ids = ids.into_iter().map(CreditId);
        let found = ids.find(|id| ReleaseId::of_credit(*id) == release.release_id);
        let Some(id) = found else { return Ok(None) };
        let credit = self.credit(merchant, id).await?;
        self.drop_credit(merchant.as_str(), id.0).await?;
        Ok(credit)
    }

    /// Books the release of a credit as it was published. It stays known, so that nothing publishes it
    /// again.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn book_credit(
        &mut self,
        event: Uuid,
        released: &Released,
        operation: Uuid,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "WITH e AS (UPDATE published_elsewhere SET taken = true
                        WHERE merchant_id = $1 AND event_id = $2 RETURNING *)
             INSERT INTO journal (merchant_id, sequence, previous, event, event_id, occurred_at,
                 order_id, hold_id, currency, debit, credit, amount, subject, data, traceparent,
                 operation_id)
             SELECT merchant_id, sequence, previous, event, event_id, occurred_at, order_id,
                 hold_id, currency, $3, $4, $5, subject, data, traceparent, $6 FROM e",
            released.merchant.as_str(),
            event,
            Account::Held.number(),
            Account::Payable.number(),
            released.release.gross.decimal(),
            operation,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("book the release of a credit"))?;
        Ok(())
    }
}
