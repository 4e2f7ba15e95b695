//! Answers and decisions that came before their review, and which order each review is of.
//!
//! Guarantees that none of them is overlooked: whichever of an answer, a decision and the review
//! itself comes first makes the row in `review_orders`, and all lock it, the review before it looks
//! for what waits.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::numbers::{fact_number, number_fact};
use super::parked::{headers_from, headers_to};
use super::reviews::ReviewKey;
use super::types::{column, content, merchant_id, order_id, unreadable};
use super::{StoreError, Tx, failed};
use crate::message::Record;
use crate::rules::fact::{ContentHash, FactKind, ReviewFact};
use crate::rules::ids::{OrderId, ReviewId};
use crate::rules::time::Instant;

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

    /// The digests of what waits for these reviews.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn waiting_for_reviews(
        &mut self,
        reviews: &[ReviewKey],
    ) -> Result<HashMap<(ReviewKey, FactKind), ContentHash>, StoreError> {
        let rows = sqlx::query!(
            "SELECT p.merchant_id, p.review_id, p.kind, p.content
             FROM parked_reviews p
             JOIN unnest($1::text[], $2::text[]) AS k (merchant_id, review_id)
               ON p.merchant_id = k.merchant_id AND p.review_id = k.review_id",
            column(reviews, |key| key.0.as_str().to_owned()) as _,
            column(reviews, |key| key.1.as_str().to_owned()) as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read what waits for reviews"))?;
        rows.iter()
            .map(|row| {
                let key = review_key(&row.merchant_id, &row.review_id)?;
                Ok(((key, number_fact(row.kind)?), content(&row.content)?))
            })
            .collect()
    }

    /// Keeps messages until their review comes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn park_reviews(
        &mut self,
        rows: &[(&ReviewFact, FactKind, &Record)],
    ) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "INSERT INTO parked_reviews (merchant_id, review_id, kind, content, topic, partition,
                 record_offset, record_at, key, headers, value, parked_at)
             SELECT *, $12 FROM unnest($1::text[], $2::text[], $3::smallint[], $4::bytea[],
                 $5::text[], $6::integer[], $7::bigint[], $8::timestamptz[], $9::bytea[],
                 $10::jsonb[], $11::bytea[])",
            column(rows, |(fact, ..)| fact.merchant.as_str().to_owned()) as _,
            column(rows, |(fact, ..)| fact.review.as_str().to_owned()) as _,
            column(rows, |(_, kind, _)| fact_number(*kind)) as _,
            column(rows, |(fact, ..)| fact.content.0.to_vec()) as _,
            column(rows, |(.., record)| record.topic.to_string()) as _,
            column(rows, |(.., record)| record.partition) as _,
            column(rows, |(.., record)| record.offset) as _,
            column(rows, |(.., record)| record.timestamp) as _,
            column(rows, |(.., record)| record.key.clone()) as _,
            column(rows, |(.., record)| headers_to(record)) as _,
            column(rows, |(.., record)| record
                .value
                .clone()
                .unwrap_or_default()) as _,
            self.now as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("park answers"))?;
        Ok(())
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
            r#"DELETE FROM parked_reviews p
               USING unnest($1::text[], $2::text[]) AS k (merchant_id, review_id)
               WHERE p.merchant_id = k.merchant_id AND p.review_id = k.review_id
               RETURNING p.merchant_id, p.review_id, p.topic, p.partition, p.record_offset,
                         p.record_at AS "record_at: Instant", p.key, p.headers, p.value"#,
            column(reviews, |key| key.0.as_str().to_owned()) as _,
            column(reviews, |key| key.1.as_str().to_owned()) as _,
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
                Ok((review_key(&row.merchant_id, &row.review_id)?, record))
            })
            .collect()
    }
}

fn review_key(merchant: &str, review: &str) -> Result<ReviewKey, StoreError> {
    let review = ReviewId::parse(review).map_err(|error| unreadable(&error))?;
    Ok((merchant_id(merchant)?, review))
}
