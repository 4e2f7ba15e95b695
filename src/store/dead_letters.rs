//! Messages that could not be accepted, kept byte for byte until they are published and after: to be
//! looked at, and to be replayed once what was wrong is mended.

use std::sync::Arc;

use super::parked::{headers_from, headers_to};
use super::types::column;
use super::{Store, StoreError, Tx, failed};
use crate::message::Record;
use crate::rules::ids::{MerchantId, OrderId};
use crate::rules::time::Instant;

/// How many bytes of values are read at once, but for the last one.
const LETTERS_MAX_BYTES: i64 = 4 << 20;

/// A refused message with the reason.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    pub record: Record,
    pub reason: &'static str,
    pub detail: String,
    pub about: Option<(MerchantId, OrderId)>,
}

/// A dead letter that is still to be published.
#[derive(Debug, Clone)]
pub struct Unpublished {
    pub record: Record,
    pub reason: String,
    pub detail: String,
    pub refused_at: Instant,
}

impl Tx {
    /// Keeps refused messages; the same record twice is the same dead letter. One that a replay
    /// brought in, to wait for its order, is refused anew when that comes and does not fit.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn refuse(&mut self, letters: &[DeadLetter]) -> Result<(), StoreError> {
        if letters.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "INSERT INTO dead_letters (topic, partition, record_offset, reason, detail, key,
                 headers, value, record_at, merchant_id, order_id, refused_at, published)
             SELECT u.*, $12, EXISTS (SELECT FROM buried_elsewhere b WHERE b.topic = u.topic
                 AND b.partition = u.partition AND b.record_offset = u.record_offset)
             FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::text[],
                 $5::text[], $6::bytea[], $7::jsonb[], $8::bytea[], $9::timestamptz[],
                 $10::text[], $11::text[])
               AS u (topic, partition, record_offset, reason, detail, key, headers, value,
                 record_at, merchant_id, order_id)
             ON CONFLICT (topic, partition, record_offset, digest) DO UPDATE
             SET reason = excluded.reason, detail = excluded.detail,
                 refused_at = excluded.refused_at, merchant_id = excluded.merchant_id,
                 order_id = excluded.order_id, accepted_at = NULL, published = false
             WHERE dead_letters.accepted_at IS NOT NULL",
            column(letters, |l| l.record.topic.to_string()) as _,
            column(letters, |l| l.record.partition) as _,
            column(letters, |l| l.record.offset) as _,
            column(letters, |l| l.reason.to_owned()) as _,
            column(letters, |l| l.detail.replace('\0', "\u{fffd}")) as _,
            column(letters, |l| l.record.key.clone()) as _,
            column(letters, |l| headers_to(&l.record)) as _,
            column(letters, |l| l.record.value.clone()) as _,
            column(letters, |l| l.record.timestamp) as _,
            column(letters, |l| l
                .about
                .as_ref()
                .map(|(m, _)| m.as_str().to_owned())) as _,
            column(letters, |l| l
                .about
                .as_ref()
                .map(|(_, o)| o.as_str().to_owned())) as _,
            self.now as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("keep dead letters"))?;
        Ok(())
    }

    /// Notes that these dead letters were read back from their topic.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn dead_letters_published(
        &mut self,
        places: &[(String, i32, i64)],
    ) -> Result<(), StoreError> {
        if places.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "UPDATE dead_letters d SET published = true
             FROM unnest($1::text[], $2::integer[], $3::bigint[])
               AS k (topic, partition, record_offset)
             WHERE d.topic = k.topic AND d.partition = k.partition
               AND d.record_offset = k.record_offset AND NOT d.published",
            column(places, |(topic, _, _)| topic.clone()) as _,
            column(places, |(_, partition, _)| *partition) as _,
            column(places, |(_, _, offset)| *offset) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("note published dead letters"))?;
        Ok(())
    }
}

impl Store {
    /// Dead letters still to be published, oldest first, up to about 4 MiB of values at once.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unpublished_dead_letters(
        &self,
        limit: i64,
    ) -> Result<Vec<Unpublished>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT topic, partition, record_offset, reason, detail, key, headers, value,
                      record_at AS "record_at: Instant", refused_at AS "refused_at: Instant"
               FROM (SELECT *, sum(coalesce(octet_length(value), 0)) OVER (
                         ORDER BY refused_at, topic, partition, record_offset) AS so_far
                     FROM dead_letters WHERE NOT published
                     ORDER BY refused_at, topic, partition, record_offset LIMIT $1) d
               WHERE so_far - coalesce(octet_length(value), 0) < $2
               ORDER BY refused_at, topic, partition, record_offset"#,
            limit,
            LETTERS_MAX_BYTES,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("read dead letters"))?;
        rows.into_iter()
            .map(|row| {
                Ok(Unpublished {
                    record: Record {
                        topic: Arc::from(row.topic),
                        partition: row.partition,
                        offset: row.record_offset,
                        timestamp: row.record_at,
                        key: row.key,
                        headers: headers_from(row.headers)?,
                        value: row.value,
                    },
                    reason: row.reason,
                    detail: row.detail,
                    refused_at: row.refused_at,
                })
            })
            .collect()
    }
}
