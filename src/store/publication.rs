//! What is still to be published, and what has been read back from the output topics.
//!
//! Publishing is one process's task at a time. The lease has an epoch: every write of a publisher
//! names its own and fails once another has taken over.

use std::collections::HashMap;

use super::types::column;
use super::{Store, StoreError, Tx, failed};
use crate::planted::{Bug, is_planted};
use crate::rules::time::Instant;

/// A line of the journal on its way out.
#[derive(Debug, Clone)]
pub struct Pending {
    pub merchant_id: String,
    pub sequence: i64,
    pub previous: i64,
    pub event: i16,
    pub event_id: uuid::Uuid,
    pub occurred_at: Instant,
    pub order_id: Option<String>,
    pub hold_id: Option<uuid::Uuid>,
    pub currency: Option<String>,
    pub subject: Option<String>,
    pub data: String,
    pub traceparent: Option<String>,
}

impl Store {
    /// Takes or keeps the publisher's lease for `seconds`; answers the epoch if it is ours, and which
    /// database gave it. A lease that lasts for longer than anybody may have asked for was given by a
    /// wrong clock, and binds nobody.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lease_publisher(
        &self,
        owner: uuid::Uuid,
        seconds: i32,
    ) -> Result<Option<(i64, String)>, StoreError> {
        let lease = sqlx::query!(
            r#"UPDATE publisher SET
                 epoch = CASE WHEN owner = $1 THEN epoch ELSE epoch + 1 END,
                 owner = $1, expires_at = clock_timestamp() + $2::integer * interval '1 second'
             WHERE owner = $1 OR owner IS NULL OR expires_at < clock_timestamp()
                OR expires_at > clock_timestamp() + interval '1 h'
             RETURNING epoch, server_identity() AS "identity!""#,
            owner,
            seconds,
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(failed("take the publisher's lease"))?;
        Ok(lease.map(|row| (row.epoch, row.identity)))
    }

    /// Gives the lease back, so that another process need not wait for it to expire.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn leave_publisher(&self, owner: uuid::Uuid) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE publisher SET owner = NULL, expires_at = NULL WHERE owner = $1",
            owner,
        )
        .execute(&self.pool)
        .await
        .map_err(failed("give the publisher's lease back"))?;
        Ok(())
    }

    /// Up to `limit` journal lines that were not read back yet, in each merchant's order, of the
    /// merchants after `after`; no merchant takes more than `per_merchant` of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pending(
        &self,
        after: &str,
        limit: i64,
        per_merchant: i64,
    ) -> Result<Vec<Pending>, StoreError> {
        sqlx::query_as!(
            Pending,
            r#"SELECT j.merchant_id, j.sequence, j.previous, j.event, j.event_id,
                      j.occurred_at AS "occurred_at: Instant", j.order_id, j.hold_id, j.currency,
                      j.subject, j.data, j.traceparent
               FROM (SELECT merchant_id, published_sequence FROM merchants
                     WHERE published_sequence < last_sequence AND merchant_id > $1
                     ORDER BY merchant_id LIMIT $2) m
               CROSS JOIN LATERAL (
                   SELECT * FROM journal j
                   WHERE j.merchant_id = m.merchant_id AND j.sequence > m.published_sequence
                   ORDER BY j.sequence LIMIT $3) j
               LIMIT $2"#,
            after,
            limit,
            per_merchant,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("read what is to be published"))
    }

    /// How far each of these merchants was published.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn published(&self, merchants: &[String]) -> Result<Vec<(String, i64)>, StoreError> {
        let rows = sqlx::query!(
            "SELECT merchant_id, published_sequence FROM merchants WHERE merchant_id = ANY($1)",
            merchants as _,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("read how far merchants were published"))?;
        Ok(rows
            .into_iter()
            .map(|row| (row.merchant_id, row.published_sequence))
            .collect())
    }

    /// What the journal holds under these merchants and sequences: the event's id and when it was
    /// decided.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn decided(
        &self,
        numbers: &[(String, i64)],
    ) -> Result<Vec<((String, i64), (uuid::Uuid, Instant))>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT j.merchant_id, j.sequence, j.event_id, j.occurred_at AS "occurred_at: Instant"
               FROM unnest($1::text[], $2::bigint[]) AS k (merchant_id, sequence)
               CROSS JOIN LATERAL (
                   SELECT * FROM journal
                   WHERE merchant_id = k.merchant_id AND sequence = k.sequence OFFSET 0) j"#,
            column(numbers, |(merchant, _)| merchant.clone()) as _,
            column(numbers, |(_, sequence)| *sequence) as _,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("read what was decided"))?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let number = (row.merchant_id, row.sequence);
                (number, (row.event_id, row.occurred_at))
            })
            .collect())
    }

    /// Why nothing may be published or released until a person has looked, if so.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn fault(&self) -> Result<Option<String>, StoreError> {
        sqlx::query_scalar!("SELECT fault FROM publisher")
            .fetch_one(&self.pool)
            .await
            .map_err(failed("look for a fault"))
    }

    /// Notes that the output topics hold what the journal of this database says; false when another
    /// process publishes now, or this is another database by now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_compared(&self, epoch: i64, identity: &str) -> Result<bool, StoreError> {
        let noted = sqlx::query!(
            "UPDATE publisher SET compared_on = $2
             WHERE epoch = $1 AND fault IS NULL AND server_identity() = $2",
            epoch,
            identity,
        )
        .execute(&self.pool)
        .await
        .map_err(failed("note that it was compared"))?;
        Ok(noted.rows_affected() > 0)
    }

    /// Notes by how much the broker's clock and the publisher's disagree, or that they agree again.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_clocks(&self, epoch: i64, says: Option<&str>) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE publisher SET clocks = $2 WHERE epoch = $1 AND clocks IS DISTINCT FROM $2",
            epoch,
            says,
        )
        .execute(&self.pool)
        .await
        .map_err(failed("note the clocks"))?;
        Ok(())
    }

    /// Closes the gate until a person has looked: what was published and what the database knows
    /// contradict each other.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_fault(&self, fault: &str) -> Result<(), StoreError> {
        sqlx::query!("UPDATE publisher SET fault = coalesce(fault, $1)", fault)
            .execute(&self.pool)
            .await
            .map_err(failed("note a fault"))?;
        Ok(())
    }

    /// How far the output topics have been read back.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read_back_positions(&self) -> Result<HashMap<(String, i32), i64>, StoreError> {
        let rows = sqlx::query!("SELECT topic, partition, next_offset FROM read_back")
            .fetch_all(&self.pool)
            .await
            .map_err(failed("read the read-back positions"))?;
        Ok(rows
            .into_iter()
            .map(|row| ((row.topic, row.partition), row.next_offset))
            .collect())
    }

    /// How much is still to be published: merchants behind and dead letters waiting.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn backlog(&self) -> Result<i64, StoreError> {
        sqlx::query_scalar!(
            r#"SELECT coalesce((SELECT sum(last_sequence - published_sequence) FROM merchants
                                WHERE published_sequence < last_sequence), 0)::bigint
                    + (SELECT count(*) FROM dead_letters WHERE NOT published) AS "backlog!""#
        )
        .fetch_one(&self.pool)
        .await
        .map_err(failed("count what is to be published"))
    }
}

impl Tx {
    /// Notes how far merchants' events were read back, under the lease.
    ///
    /// # Errors
    /// [`StoreError::LostPartition`] when another process publishes now, [`StoreError::Uncompared`] when
    /// this is another database than the one that gave the lease.
    pub async fn note_published(
        &mut self,
        (epoch, identity): (i64, &str),
        seen: &[(String, i64)],
        positions: &[((String, i32), i64)],
    ) -> Result<(), StoreError> {
        let found = sqlx::query!(
            r#"SELECT epoch = $1 AS "ours!", server_identity() = $2 AS "same!"
               FROM publisher FOR SHARE"#,
            epoch,
            identity,
        )
        .fetch_one(&mut *self.inner)
        .await
        .map_err(failed("read the publisher's lease"))?;
        if !found.same {
            return Err(StoreError::Uncompared);
        }
        if !found.ours && !is_planted(Bug::IgnoreLease) {
            return Err(StoreError::LostPartition);
        }
        sqlx::query!(
            "INSERT INTO read_back AS r (topic, partition, next_offset)
             SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[])
             ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset",
            column(positions, |((topic, _), _)| topic.clone()) as _,
            column(positions, |((_, partition), _)| *partition) as _,
            column(positions, |(_, next)| *next) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("note read-back positions"))?;
        sqlx::query!(
            "WITH seen AS MATERIALIZED (
                 SELECT k.merchant_id, k.sequence
                 FROM unnest($1::text[], $2::bigint[]) AS k (merchant_id, sequence)
                 JOIN merchants m ON m.merchant_id = k.merchant_id
                 ORDER BY m.merchant_id COLLATE \"C\" FOR UPDATE OF m)
             UPDATE merchants m SET published_sequence = s.sequence
             FROM seen s
             WHERE m.merchant_id = s.merchant_id AND m.published_sequence < s.sequence
               AND s.sequence <= m.last_sequence",
            column(seen, |(merchant, _)| merchant.clone()) as _,
            column(seen, |(_, sequence)| *sequence) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("note what was published"))?;
        Ok(())
    }
}
