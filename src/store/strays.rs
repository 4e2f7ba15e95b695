//! Facts that came before what they name: answers and decisions before their review, reversals
//! before their refund; and which order each review is of.
//!
//! Guarantees that none of them is overlooked: whichever of an answer, a decision and the review
//! itself comes first makes the row in `review_orders`, and all lock it, the review before it looks
//! for what waits. A reversal is looked at again and again until its refund is there, so that
//! refunds need not look for reversals.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::cases::OrderKey;
use super::numbers::{fact_number, number_fact};
use super::parked::{headers_from, headers_to};
use super::reviews::ReviewKey;
use super::types::{column, content, merchant_id, order_id, unreadable};
use super::{StoreError, Tx, failed};
use crate::message::Record;
use crate::rules::fact::{ContentHash, FactKind, IndirectFact};
use crate::rules::ids::{MerchantId, OrderId, ReviewId};
use crate::rules::time::Instant;

/// The key of a fact that waits: merchant, kind, and the id that it names.
pub type StrayKey = (MerchantId, FactKind, String);

impl Tx {
    /// Notes the orders of reviews, where they are known, and locks them all: the order that each
    /// is of, by who said so first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn orders_of_reviews(
        &mut self,
        reviews: &BTreeMap<ReviewKey, Option<OrderId>>,
    ) -> Result<HashMap<ReviewKey, OrderId>, StoreError> {
        if reviews.is_empty() {
            return Ok(HashMap::new());
        }
        let wanted: Vec<(&ReviewKey, &Option<OrderId>)> = reviews.iter().collect();
        let rows = sqlx::query!(
            "INSERT INTO review_orders AS r (merchant_id, review_id, order_id)
             SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
             ON CONFLICT (merchant_id, review_id) DO UPDATE SET
                 order_id = coalesce(r.order_id, excluded.order_id)
             RETURNING merchant_id, review_id, order_id",
            column(&wanted, |(key, _)| key.0.as_str().to_owned()) as _,
            column(&wanted, |(key, _)| key.1.as_str().to_owned()) as _,
            column(&wanted, |(_, order)| order
                .as_ref()
                .map(|order| order.as_str().to_owned())) as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("note the orders of reviews"))?;
        let mut orders = HashMap::new();
        for row in rows {
            if let Some(order) = row.order_id {
                let key = review_key(&row.merchant_id, &row.review_id)?;
                orders.insert(key, order_id(&order)?);
            }
        }
        Ok(orders)
    }

    /// The digests of what waits for these subjects.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn waiting_strays(
        &mut self,
        facts: &[&IndirectFact],
    ) -> Result<HashMap<StrayKey, ContentHash>, StoreError> {
        let rows = sqlx::query!(
            "SELECT s.merchant_id, s.subject_id, s.kind, s.content
             FROM strays s
             JOIN unnest($1::text[], $2::text[], $3::smallint[]) AS k (merchant_id, subject_id, kind)
               ON s.merchant_id = k.merchant_id AND s.subject_id = k.subject_id
              AND s.kind = k.kind",
            column(facts, |fact| fact.merchant.as_str().to_owned()) as _,
            column(facts, |fact| fact.names.as_str().to_owned()) as _,
            column(facts, |fact| fact_number(fact.kind())) as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read strays"))?;
        rows.into_iter()
            .map(|row| {
                let merchant = merchant_id(&row.merchant_id)?;
                let key = (merchant, number_fact(row.kind)?, row.subject_id);
                Ok((key, content(&row.content)?))
            })
            .collect()
    }

    /// Keeps messages until what they name comes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn park_strays(
        &mut self,
        rows: &[(&IndirectFact, &Record)],
    ) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "INSERT INTO strays (merchant_id, subject_id, kind, content, topic, partition,
                 record_offset, record_at, key, headers, value, parked_at)
             SELECT *, $12 FROM unnest($1::text[], $2::text[], $3::smallint[], $4::bytea[],
                 $5::text[], $6::integer[], $7::bigint[], $8::timestamptz[], $9::bytea[],
                 $10::jsonb[], $11::bytea[])",
            column(rows, |(fact, _)| fact.merchant.as_str().to_owned()) as _,
            column(rows, |(fact, _)| fact.names.as_str().to_owned()) as _,
            column(rows, |(fact, _)| fact_number(fact.kind())) as _,
            column(rows, |(fact, _)| fact.content.0.to_vec()) as _,
            column(rows, |(_, record)| record.topic.to_string()) as _,
            column(rows, |(_, record)| record.partition) as _,
            column(rows, |(_, record)| record.offset) as _,
            column(rows, |(_, record)| record.timestamp) as _,
            column(rows, |(_, record)| record.key.clone()) as _,
            column(rows, |(_, record)| headers_to(record)) as _,
            column(rows, |(_, record)| record.value.clone().unwrap_or_default()) as _,
            self.now as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("park strays"))?;
        Ok(())
    }

    /// Takes up to `limit` reversals whose refunds are there, with the orders of those.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unpark_reversals(
        &mut self,
        limit: i64,
    ) -> Result<Vec<(OrderKey, Record)>, StoreError> {
        let rows = sqlx::query!(
            r#"WITH found AS MATERIALIZED (
                   SELECT s.merchant_id, s.subject_id, s.kind,
                          coalesce(r.order_id, p.order_id) AS order_id
                   FROM strays s
                   LEFT JOIN refunds r
                     ON r.merchant_id = s.merchant_id AND r.refund_id = s.subject_id
                   LEFT JOIN parked p ON p.merchant_id = s.merchant_id AND p.kind = $2
                    AND p.fact_id = s.subject_id
                   WHERE s.kind = $3 AND coalesce(r.order_id, p.order_id) IS NOT NULL
                   LIMIT $1 FOR UPDATE OF s SKIP LOCKED)
               DELETE FROM strays s USING found f
               WHERE s.merchant_id = f.merchant_id AND s.subject_id = f.subject_id
                 AND s.kind = f.kind
               RETURNING s.merchant_id, f.order_id AS "order_id!", s.topic, s.partition,
                         s.record_offset, s.record_at AS "record_at: Instant", s.key, s.headers,
                         s.value"#,
            limit,
            fact_number(FactKind::Refunded),
            fact_number(FactKind::RefundReversed),
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("take up reversals"))?;
        rows.into_iter()
            .map(|row| {
                let record = Record {
                    topic: Arc::from(row.topic),
                    partition: row.partition,
                    offset: row.record_offset,
                    timestamp: row.record_at,
                    key: row.key,
                    headers: headers_from(row.headers)?,
                    value: Some(row.value),
                };
                let key = (merchant_id(&row.merchant_id)?, order_id(&row.order_id)?);
                Ok((key, record))
            })
            .collect()
    }

    /// Takes what waits for these reviews, which are locked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unpark_reviews(
        &mut self,
        reviews: &[ReviewKey],
    ) -> Result<Vec<(ReviewKey, Record)>, StoreError> {
        if reviews.is_empty() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query!(
            r#"DELETE FROM strays s
               USING unnest($1::text[], $2::text[]) AS k (merchant_id, review_id)
               WHERE s.merchant_id = k.merchant_id AND s.subject_id = k.review_id
                 AND s.kind <> $3
               RETURNING s.merchant_id, s.subject_id, s.topic, s.partition, s.record_offset,
                         s.record_at AS "record_at: Instant", s.key, s.headers, s.value"#,
            column(reviews, |key| key.0.as_str().to_owned()) as _,
            column(reviews, |key| key.1.as_str().to_owned()) as _,
            fact_number(FactKind::RefundReversed),
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("take up what waits for reviews"))?;
        rows.into_iter()
            .map(|row| {
                let record = Record {
                    topic: Arc::from(row.topic),
                    partition: row.partition,
                    offset: row.record_offset,
                    timestamp: row.record_at,
                    key: row.key,
                    headers: headers_from(row.headers)?,
                    value: Some(row.value),
                };
                Ok((review_key(&row.merchant_id, &row.subject_id)?, record))
            })
            .collect()
    }
}

fn review_key(merchant: &str, review: &str) -> Result<ReviewKey, StoreError> {
    let review = ReviewId::parse(review).map_err(|error| unreadable(&error))?;
    Ok((merchant_id(merchant)?, review))
}
