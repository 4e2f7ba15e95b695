//! Which orders an agreement or a calendar concerns after the fact.

use super::cases::OrderKey;
use super::types::order_key;
use super::{Store, StoreError, failed};

impl Store {
    /// The catalogue's revision now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revision(&self) -> Result<i64, StoreError> {
        sqlx::query_scalar!("SELECT revision FROM catalogue")
            .fetch_one(&self.pool)
            .await
            .map_err(failed("read the catalogue's revision"))
    }

    /// Sales that wait for an agreement, by key, after the given one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn waiting_sales(
        &self,
        after: Option<&OrderKey>,
        limit: i64,
    ) -> Result<Vec<OrderKey>, StoreError> {
        let (merchant, order) = after.map_or(("", ""), |(m, o)| (m.as_str(), o.as_str()));
        let rows = sqlx::query!(
            "SELECT merchant_id, order_id FROM orders
             WHERE agreement_no IS NULL AND amount IS NOT NULL AND (merchant_id, order_id) > ($1, $2)
             ORDER BY merchant_id, order_id LIMIT $3",
            merchant,
            order,
            limit,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("read waiting sales"))?;
        rows.iter()
            .map(|row| order_key(&row.merchant_id, &row.order_id))
            .collect()
    }

    /// Orders with unreleased holds whose dates come from an older version of their calendar.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outdated_holds(&self, limit: i64) -> Result<Vec<OrderKey>, StoreError> {
        let rows = sqlx::query!(
            "SELECT DISTINCT h.merchant_id, h.order_id
             FROM (SELECT calendar, max(version) AS version FROM calendars GROUP BY calendar) c
             JOIN agreements a ON a.body->>'calendar' = c.calendar
             CROSS JOIN LATERAL (
                 SELECT merchant_id, order_id FROM holds
                 WHERE agreement_no = a.agreement_no AND live_calendar < c.version
                   AND live_calendar IS NOT NULL OFFSET 0) h
             ORDER BY h.merchant_id, h.order_id LIMIT $1",
            limit,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("read holds with outdated dates"))?;
        rows.iter()
            .map(|row| order_key(&row.merchant_id, &row.order_id))
            .collect()
    }
}
