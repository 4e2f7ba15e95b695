//! What waits for what it belongs to, as people find it and take it out: facts about orders, and those
//! that name a review or a refund only.

use std::sync::Arc;

use serde::Serialize;

use super::numbers::{fact_number, number_fact};
use super::parked::headers_from;
use super::replays::Place;
use super::types::{merchant_id, order_id};
use super::{Store, StoreError, Tx, failed};
use crate::message::Record;
use crate::rules::fact::{FactKey, FactKind};
use crate::rules::ids::{MerchantId, OrderId};
use crate::rules::time::Instant;

/// Which waiting messages are wanted; what is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    pub place: Option<Place>,
    pub merchant: Option<String>,
    pub order: Option<String>,
    pub kind: Option<FactKind>,
    /// Kept from then on.
    pub since: Option<Instant>,
    /// Kept before then.
    pub until: Option<Instant>,
}

/// A waiting message without its bytes.
#[derive(Debug, Clone, Serialize)]
pub struct Waiting {
    pub merchant_id: MerchantId,
    /// The order that it is about; `None`: it names a review or a refund that is not known.
    pub order_id: Option<OrderId>,
    #[serde(serialize_with = "name")]
    pub kind: FactKind,
    /// The refund, dispute, review or order that its kind is known by.
    pub id: String,
    pub version: u64,
    /// `order`, `agreement`, `dispute`, `review` or `refund`.
    pub waits_for: &'static str,
    #[serde(flatten)]
    pub place: Place,
    /// Bytes of its value.
    pub size: i32,
    pub parked_at: Instant,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands out references"
)]
fn name<S: serde::Serializer>(kind: &FactKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.name())
}

impl Waiting {
    /// The key of its fact.
    #[must_use]
    pub fn key(&self) -> FactKey {
        FactKey {
            kind: self.kind,
            id: self.id.clone(),
            version: self.version,
        }
    }
}

impl Store {
    /// At most `limit` waiting messages, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn waiting(&self, wanted: &Wanted, limit: u32) -> Result<Vec<Waiting>, StoreError> {
        waiting(&self.pool, wanted, limit).await
    }
}

impl Tx {
    /// What waits and lay at this place; not locked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn waiting_at(&mut self, place: &Place) -> Result<Option<Waiting>, StoreError> {
        let wanted = Wanted {
            place: Some(place.clone()),
            ..Wanted::default()
        };
        let found = waiting(&mut *self.inner, &wanted, 1).await?;
        Ok(found.into_iter().next())
    }

    /// Takes out a message that waits for a review or a refund; `None` when it has gone meanwhile.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_stray(&mut self, stray: &Waiting) -> Result<Option<Record>, StoreError> {
        let place = &stray.place;
        let row = sqlx::query!(
            r#"DELETE FROM strays
               WHERE merchant_id = $1 AND subject_id = $2 AND kind = $3
                 AND topic = $4 AND partition = $5 AND record_offset = $6
               RETURNING record_at AS "record_at: Instant", key, headers, value"#,
            stray.merchant_id.as_str(),
            stray.id,
            fact_number(stray.kind),
            place.topic,
            place.partition,
            place.offset,
        )
        .fetch_optional(&mut *self.inner)
        .await
        .map_err(failed("take out a waiting message"))?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Record {
            topic: Arc::from(place.topic.as_str()),
            partition: place.partition,
            offset: place.offset,
            timestamp: row.record_at,
            key: row.key,
            headers: headers_from(row.headers)?,
            value: Some(row.value),
        }))
    }
}

async fn waiting(
    executor: impl sqlx::PgExecutor<'_>,
    wanted: &Wanted,
    limit: u32,
) -> Result<Vec<Waiting>, StoreError> {
    let place = wanted.place.as_ref();
    let rows = sqlx::query!(
        r#"SELECT merchant_id AS "merchant_id!", order_id, kind AS "kind!", fact_id AS "fact_id!",
                  version AS "version!", topic AS "topic!", partition AS "partition!",
                  record_offset AS "record_offset!", octet_length(value) AS "size!",
                  parked_at AS "parked_at!: Instant", sold AS "sold!", settled AS "settled!"
           FROM (SELECT p.merchant_id, p.order_id, p.kind, p.fact_id, p.version, p.topic,
                        p.partition, p.record_offset, p.value, p.parked_at,
                        o.amount IS NOT NULL AS sold, o.agreement_no IS NOT NULL AS settled
                 FROM parked p
                 LEFT JOIN orders o ON o.merchant_id = p.merchant_id AND o.order_id = p.order_id
                 UNION ALL
                 SELECT merchant_id, NULL, kind, subject_id, 0, topic, partition, record_offset,
                        value, parked_at, true, true
                 FROM strays) w
           WHERE ($1::text IS NULL OR topic = $1)
             AND ($2::integer IS NULL OR partition = $2)
             AND ($3::bigint IS NULL OR record_offset = $3)
             AND ($4::text IS NULL OR merchant_id = $4)
             AND ($5::text IS NULL OR order_id = $5)
             AND ($6::smallint IS NULL OR kind = $6)
             AND ($7::timestamptz IS NULL OR parked_at >= $7)
             AND ($8::timestamptz IS NULL OR parked_at < $8)
           ORDER BY parked_at, topic, partition, record_offset LIMIT $9"#,
        place.map(|it| &it.topic),
        place.map(|it| it.partition),
        place.map(|it| it.offset),
        wanted.merchant.as_ref(),
        wanted.order.as_ref(),
        wanted.kind.map(fact_number),
        wanted.since as _,
        wanted.until as _,
        i64::from(limit),
    )
    .fetch_all(executor)
    .await
    .map_err(failed("list what waits"))?;
    rows.into_iter()
        .map(|row| {
            let kind = number_fact(row.kind)?;
            Ok(Waiting {
                merchant_id: merchant_id(&row.merchant_id)?,
                order_id: row.order_id.as_deref().map(order_id).transpose()?,
                kind,
                id: row.fact_id,
                version: u64::try_from(row.version).unwrap_or_default(),
                waits_for: match (row.sold, row.settled) {
                    (false, _) => "order",
                    (true, false) => "agreement",
                    (true, true) => subject(kind),
                },
                place: Place {
                    topic: row.topic,
                    partition: row.partition,
                    offset: row.record_offset,
                },
                size: row.size,
                parked_at: row.parked_at,
            })
        })
        .collect()
}

/// What a fact waits for when its order is there.
fn subject(kind: FactKind) -> &'static str {
    match kind {
        FactKind::DisputeUpdated | FactKind::DisputeClosed => "dispute",
        FactKind::ReviewAnswered | FactKind::ReviewDecided => "review",
        FactKind::RefundReversed => "refund",
        _ => "order",
    }
}
