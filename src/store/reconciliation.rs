//! Taking over what the output topics hold and the journal had lost. See [`crate::reconcile`].

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use uuid::Uuid;

use super::cases::OrderKey;
use super::elsewhere::Published;
use super::types::{column, order_key};
use super::{Store, StoreError, Tx, failed};
use crate::rules::time::Instant;

/// A released settlement part, as the topic tells it.
#[derive(Debug, Clone)]
pub struct PublishedPart {
    pub merchant_id: String,
    pub currency: String,
    pub settlement_on: jiff::civil::Date,
    pub settlement_id: Uuid,
    pub part: i32,
    pub closed: bool,
    pub settled_at: Instant,
    pub releases: i64,
    pub gross: Decimal,
    pub recovered: Decimal,
    pub to_deposit: Decimal,
    pub first_sequence: i64,
    pub last_sequence: i64,
}

impl Store {
    /// The last sequence of each merchant, and how far it was published.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sequences(&self) -> Result<BTreeMap<String, (i64, i64)>, StoreError> {
        let rows =
            sqlx::query!("SELECT merchant_id, last_sequence, published_sequence FROM merchants")
                .fetch_all(&self.pool)
                .await
                .map_err(failed("read the merchants' sequences"))?;
        Ok(rows
            .into_iter()
            .map(|row| (row.merchant_id, (row.last_sequence, row.published_sequence)))
            .collect())
    }

    /// Published events that are still to be decided again, or were decided otherwise, in the order of
    /// the topics.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn still_published(&self, limit: i64) -> Result<Vec<Published>, StoreError> {
        sqlx::query_as!(
            Published,
            r#"SELECT merchant_id, event_id, sequence, previous, event,
                      occurred_at AS "occurred_at: Instant", order_id, hold_id, currency, subject,
                      data, traceparent, contradiction, taken
               FROM published_elsewhere WHERE NOT taken
               ORDER BY merchant_id COLLATE "C", sequence LIMIT $1"#,
            limit,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("read what was published elsewhere"))
    }

    /// How many those are.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_still_published(&self) -> Result<i64, StoreError> {
        sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM published_elsewhere WHERE NOT taken"#
        )
        .fetch_one(&self.pool)
        .await
        .map_err(failed("count what was published elsewhere"))
    }

    /// Orders whose holds are there and have a published release to give.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn foretold_orders(&self, limit: i64) -> Result<Vec<OrderKey>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT DISTINCT e.merchant_id, e.order_id AS "order_id!"
               FROM published_elsewhere e
               JOIN holds h ON h.merchant_id = e.merchant_id AND h.order_id = e.order_id
                AND h.hold_id = e.hold_id
               WHERE e.event = 12 AND NOT e.taken AND e.contradiction IS NULL
               ORDER BY 1, 2 LIMIT $1"#,
            limit,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("look for published releases"))?;
        rows.into_iter()
            .map(|row| order_key(&row.merchant_id, &row.order_id))
            .collect()
    }
}

impl Tx {
    /// Takes over what the topics hold: the events wait to be decided again, under numbers that nobody
    /// else gets; settlements stand where the topics say.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_over(
        &mut self,
        events: &[Published],
        last: &[(String, i64, i64, i64)],
        operation: Uuid,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO published_elsewhere (merchant_id, event_id, sequence, previous, event,
                 occurred_at, order_id, hold_id, currency, subject, data, traceparent, imported_at,
                 operation_id)
             SELECT *, $14, $13 FROM unnest($1::text[], $2::uuid[], $3::bigint[],
                 $4::bigint[], $5::smallint[], $6::timestamptz[], $7::text[], $8::uuid[],
                 $9::text[], $10::text[], $11::text[], $12::text[])",
            column(events, |e| e.merchant_id.clone()) as _,
            column(events, |e| e.event_id) as _,
            column(events, |e| e.sequence) as _,
            column(events, |e| e.previous) as _,
            column(events, |e| e.event) as _,
            column(events, |e| e.occurred_at) as _,
            column(events, |e| e.order_id.clone()) as _,
            column(events, |e| e.hold_id) as _,
            column(events, |e| e.currency.clone()) as _,
            column(events, |e| e.subject.clone()) as _,
            column(events, |e| e.data.clone()) as _,
            column(events, |e| e.traceparent.clone()) as _,
            operation,
            self.now as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("take over what was published"))?;
        sqlx::query!(
            "INSERT INTO merchants AS m (merchant_id, last_sequence, published_sequence,
                 last_release_sequence, last_event_sequence)
             SELECT merchant_id, last, last, release, event
             FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[])
               AS u (merchant_id, last, release, event)
             ON CONFLICT (merchant_id) DO UPDATE SET
                 last_sequence = excluded.last_sequence,
                 published_sequence = excluded.published_sequence,
                 last_release_sequence =
                     greatest(m.last_release_sequence, excluded.last_release_sequence),
                 last_event_sequence =
                     greatest(m.last_event_sequence, excluded.last_event_sequence)",
            column(last, |it| it.0.clone()) as _,
            column(last, |it| it.1) as _,
            column(last, |it| it.2) as _,
            column(last, |it| it.3) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("continue the merchants' sequences"))?;
        Ok(())
    }

    /// Lets settlements stand where the topics say: behind each closed part, in each open one with its
    /// releases. In the order of the topics.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_over_settlements(
        &mut self,
        parts: &[PublishedPart],
    ) -> Result<(), StoreError> {
        for it in parts {
            let next = if it.closed {
                it.part.saturating_add(1)
            } else {
                it.part
            };
            sqlx::query!(
                "INSERT INTO settlements AS s (merchant_id, currency, settlement_on, settlement_id,
                     settled_at, part, releases, gross, recovered, to_deposit, first_sequence,
                     last_sequence)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
                 ON CONFLICT (merchant_id, currency, settlement_on) DO UPDATE SET
                     part = excluded.part, settled_at = greatest(s.settled_at, excluded.settled_at),
                     releases = CASE WHEN $13 THEN 0 WHEN s.part < excluded.part THEN excluded.releases
                         ELSE s.releases + excluded.releases END,
                     gross = CASE WHEN $13 THEN 0 WHEN s.part < excluded.part THEN excluded.gross
                         ELSE s.gross + excluded.gross END,
                     recovered = CASE WHEN $13 THEN 0 WHEN s.part < excluded.part
                         THEN excluded.recovered ELSE s.recovered + excluded.recovered END,
                     to_deposit = CASE WHEN $13 THEN 0 WHEN s.part < excluded.part
                         THEN excluded.to_deposit ELSE s.to_deposit + excluded.to_deposit END,
                     first_sequence = coalesce(s.first_sequence, excluded.first_sequence),
                     last_sequence = greatest(s.last_sequence, excluded.last_sequence)",
                it.merchant_id,
                it.currency,
                jiff_sqlx::ToSqlx::to_sqlx(it.settlement_on) as _,
                it.settlement_id,
                it.settled_at as _,
                next,
                if it.closed { 0 } else { it.releases },
                if it.closed { Decimal::ZERO } else { it.gross },
                if it.closed { Decimal::ZERO } else { it.recovered },
                if it.closed { Decimal::ZERO } else { it.to_deposit },
                it.first_sequence,
                it.last_sequence,
                it.closed,
            )
            .execute(&mut *self.inner)
            .await
            .map_err(failed("take over settlements"))?;
        }
        Ok(())
    }

    /// Goes on from here: dead letters that the topic holds are not published again, the topics are
    /// read on from these positions, and nothing contradicts them any more.
    ///
    /// # Errors
    /// [`StoreError::LostPartition`] when another process publishes now.
    pub async fn end_fault(
        &mut self,
        (epoch, identity): (i64, &str),
        buried: &[(String, i32, i64)],
        positions: &[((String, i32), i64)],
    ) -> Result<(), StoreError> {
        self.note_published((epoch, identity), &[], positions)
            .await?;
        self.dead_letters_published(buried).await?;
        sqlx::query!(
            "INSERT INTO buried_elsewhere SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[])
             ON CONFLICT DO NOTHING",
            column(buried, |it| it.0.clone()) as _,
            column(buried, |it| it.1) as _,
            column(buried, |it| it.2) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("take over dead letters"))?;
        sqlx::query!("UPDATE publisher SET fault = NULL")
            .execute(&mut *self.inner)
            .await
            .map_err(failed("end the fault"))?;
        Ok(())
    }
}
