//! Messages that wait for what they belong to, kept byte for byte and read again when it comes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::cases::{Case, Cases, OrderKey};
use super::numbers::{fact_number, number_fact};
use super::orders::{Found, Reparse, find};
use super::types::{column, order_key, unreadable};
use super::{StoreError, Tx, failed};
use crate::message::Record;
use crate::rules::fact::{FactKey, FactKind, OrderFact};
use crate::rules::ids::{MerchantId, OrderId};
use crate::rules::time::Instant;

impl Tx {
    pub(super) async fn load_parked(
        &mut self,
        cases: &mut Cases,
        found: &Found,
        reparse: Reparse<'_>,
    ) -> Result<(), StoreError> {
        let rows = sqlx::query!(
            r#"SELECT p.merchant_id, p.order_id, p.topic, p.partition, p.record_offset,
                      p.record_at AS "record_at: Instant", p.key, p.headers, p.value
               FROM unnest($1::text[], $2::text[]) AS k (merchant_id, order_id)
               CROSS JOIN LATERAL (
                   SELECT * FROM parked
                   WHERE merchant_id = k.merchant_id AND order_id = k.order_id
                   ORDER BY kind, fact_id, version) p"#,
            &found.merchants[..] as _,
            &found.orders[..] as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read parked messages"))?;
        for row in rows {
            let record = Record {
                topic: Arc::from(row.topic),
                partition: row.partition,
                offset: row.record_offset,
                timestamp: row.record_at,
                key: row.key,
                headers: headers_from(row.headers)?,
                value: Some(row.value),
            };
            let order = super::types::order_id(&row.order_id)?;
            let fact = reparse(&record, &order).ok_or_else(|| {
                StoreError::Unreadable(format!(
                    "the parked message {}/{}/{}",
                    record.topic, record.partition, record.offset
                ))
            })?;
            let case = find(cases, &row.merchant_id, &row.order_id)?;
            case.messages.insert(fact.key(), record);
            case.order.parked.push(fact);
        }
        Ok(())
    }

    /// Writes newly parked messages and removes those whose turn has come.
    pub(super) async fn save_parked(&mut self, changed: &[&Case]) -> Result<(), StoreError> {
        let mut fresh = Vec::new();
        let mut gone = Vec::new();
        for case in changed {
            // Of one key there is one content only, see `Order::known`.
            let before = case.before.as_ref().map_or(&[][..], |order| &order.parked);
            let known: HashSet<_> = before.iter().map(OrderFact::key_parts).collect();
            let kept: HashSet<_> = case.order.parked.iter().map(OrderFact::key_parts).collect();
            for fact in &case.order.parked {
                if !known.contains(&fact.key_parts()) {
                    let key = fact.key();
                    let record = case.messages.get(&key).ok_or_else(|| {
                        StoreError::Unreadable(format!("no message behind a parked {key:?}"))
                    })?;
                    fresh.push(Waiting { case, key, record });
                }
            }
            for fact in before {
                if !kept.contains(&fact.key_parts()) {
                    gone.push((case, fact.key()));
                }
            }
        }
        self.delete_parked(&gone).await?;
        self.insert_parked(&fresh).await
    }

    async fn insert_parked(&mut self, rows: &[Waiting<'_>]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "INSERT INTO parked (merchant_id, order_id, kind, fact_id, version, topic, partition,
                 record_offset, record_at, key, headers, value, parked_at)
             SELECT *, $13 FROM unnest($1::text[], $2::text[], $3::smallint[], $4::text[],
                 $5::bigint[], $6::text[], $7::integer[], $8::bigint[], $9::timestamptz[],
                 $10::bytea[], $11::jsonb[], $12::bytea[])",
            column(rows, |r| r.case.order.merchant.as_str().to_owned()) as _,
            column(rows, |r| r.case.order.id.as_str().to_owned()) as _,
            column(rows, |r| fact_number(r.key.kind)) as _,
            column(rows, |r| r.key.id.clone()) as _,
            column(rows, |r| i64::try_from(r.key.version).unwrap_or(i64::MAX)) as _,
            column(rows, |r| r.record.topic.to_string()) as _,
            column(rows, |r| r.record.partition) as _,
            column(rows, |r| r.record.offset) as _,
            column(rows, |r| r.record.timestamp) as _,
            column(rows, |r| r.record.key.clone()) as _,
            column(rows, |r| headers_to(r.record)) as _,
            column(rows, |r| r.record.value.clone().unwrap_or_default()) as _,
            self.now as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("park messages"))?;
        Ok(())
    }

    async fn delete_parked(&mut self, rows: &[(&&Case, FactKey)]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "DELETE FROM parked p
             USING unnest($1::text[], $2::text[], $3::smallint[], $4::text[], $5::bigint[])
               AS k (merchant_id, order_id, kind, fact_id, version)
             WHERE p.merchant_id = k.merchant_id AND p.order_id = k.order_id
               AND p.kind = k.kind AND p.fact_id = k.fact_id AND p.version = k.version",
            column(rows, |(case, _)| case.order.merchant.as_str().to_owned()) as _,
            column(rows, |(case, _)| case.order.id.as_str().to_owned()) as _,
            column(rows, |(_, key)| fact_number(key.kind)) as _,
            column(rows, |(_, key)| key.id.clone()) as _,
            column(rows, |(_, key)| i64::try_from(key.version)
                .unwrap_or(i64::MAX)) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("take up parked messages"))?;
        Ok(())
    }

    /// The order that each of these refunds and disputes is known under, applied or parked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn orders_of(
        &mut self,
        facts: &[(MerchantId, FactKind, String)],
    ) -> Result<HashMap<(MerchantId, FactKind, String), OrderId>, StoreError> {
        if facts.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = sqlx::query!(
            r#"WITH k AS MATERIALIZED (
                   SELECT * FROM unnest($1::text[], $2::smallint[], $3::text[])
                       AS k (merchant_id, kind, fact_id))
               SELECT k.merchant_id AS "merchant_id!", k.kind AS "kind!", k.fact_id AS "fact_id!",
                      r.order_id AS "order_id!"
               FROM k JOIN refunds r ON k.kind = 5
                AND r.merchant_id = k.merchant_id AND r.refund_id = k.fact_id
               UNION ALL
               SELECT k.merchant_id, k.kind, k.fact_id, d.order_id
               FROM k JOIN disputes d ON k.kind = 6
                AND d.merchant_id = k.merchant_id AND d.dispute_id = k.fact_id
               UNION ALL
               SELECT k.merchant_id, k.kind, k.fact_id, p.order_id
               FROM k JOIN parked p ON p.merchant_id = k.merchant_id AND p.kind = k.kind
                AND p.fact_id = k.fact_id"#,
            column(facts, |(merchant, _, _)| merchant.as_str().to_owned()) as _,
            column(facts, |(_, kind, _)| fact_number(*kind)) as _,
            column(facts, |(_, _, id)| id.clone()) as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("look for refunds and disputes"))?;
        rows.into_iter()
            .map(|row| {
                let (merchant, order) = order_key(&row.merchant_id, &row.order_id)?;
                Ok(((merchant, number_fact(row.kind)?, row.fact_id), order))
            })
            .collect()
    }

    /// Which of these orders are known under another merchant, or waited for there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn under_other_merchants(
        &mut self,
        keys: &[OrderKey],
    ) -> Result<Vec<(OrderKey, MerchantId)>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query_as!(
            Namesake,
            r#"SELECT k.merchant_id AS "merchant_id!", k.order_id AS "order_id!",
                      o.merchant_id AS "other!"
               FROM unnest($1::text[], $2::text[]) AS k (merchant_id, order_id)
               CROSS JOIN LATERAL (
                   SELECT merchant_id FROM orders
                   WHERE order_id = k.order_id AND merchant_id <> k.merchant_id
                     AND amount IS NOT NULL OFFSET 0) o"#,
            column(keys, |(merchant, _)| merchant.as_str().to_owned()) as _,
            column(keys, |(_, order)| order.as_str().to_owned()) as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("look for orders under other merchants"))?;
        rows.into_iter().map(Namesake::read).collect()
    }

    /// Which of these orders are waited for under another merchant.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn waited_for_elsewhere(
        &mut self,
        keys: &[OrderKey],
    ) -> Result<Vec<(OrderKey, MerchantId)>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query_as!(
            Namesake,
            r#"SELECT DISTINCT k.merchant_id AS "merchant_id!", k.order_id AS "order_id!",
                      p.merchant_id AS "other!"
               FROM unnest($1::text[], $2::text[]) AS k (merchant_id, order_id)
               CROSS JOIN LATERAL (
                   SELECT o.merchant_id FROM parked p
                   JOIN orders o ON o.merchant_id = p.merchant_id AND o.order_id = p.order_id
                   WHERE p.order_id = k.order_id AND p.merchant_id <> k.merchant_id
                     AND o.amount IS NULL OFFSET 0) p"#,
            column(keys, |(merchant, _)| merchant.as_str().to_owned()) as _,
            column(keys, |(_, order)| order.as_str().to_owned()) as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("look for facts under other merchants"))?;
        rows.into_iter().map(Namesake::read).collect()
    }

    /// Orders under review because one of these, of another merchant, was not known yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn suspected_for(
        &mut self,
        keys: &[OrderKey],
    ) -> Result<Vec<(OrderKey, MerchantId)>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query_as!(
            Namesake,
            r#"SELECT b.merchant_id AS "merchant_id!", b.order_id AS "order_id!",
                      k.merchant_id AS "other!"
               FROM unnest($1::text[], $2::text[]) AS k (merchant_id, order_id)
               CROSS JOIN LATERAL (
                   SELECT b.merchant_id, b.order_id FROM orders o
                   JOIN blocks b ON b.merchant_id = o.merchant_id AND b.order_id = o.order_id
                    AND b.reference = 'merchant/' || k.merchant_id AND b.cleared_at IS NULL
                   WHERE o.order_id = k.order_id AND o.merchant_id <> k.merchant_id OFFSET 0) b"#,
            column(keys, |(merchant, _)| merchant.as_str().to_owned()) as _,
            column(keys, |(_, order)| order.as_str().to_owned()) as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("look for orders under review for a stranger"))?;
        rows.into_iter().map(Namesake::read).collect()
    }
}

/// An order, and another merchant who has one of the same id.
struct Namesake {
    merchant_id: String,
    order_id: String,
    other: String,
}

impl Namesake {
    fn read(self) -> Result<(OrderKey, MerchantId), StoreError> {
        let other = super::types::merchant_id(&self.other)?;
        Ok((order_key(&self.merchant_id, &self.order_id)?, other))
    }
}

/// One message on its way into the table.
struct Waiting<'a> {
    case: &'a Case,
    key: FactKey,
    record: &'a Record,
}

/// A header's name and value.
type Header = (String, Option<Vec<u8>>);

/// Headers as `[[name, base64 or null], …]`: their bytes need not be text.
pub(super) fn headers_to(record: &Record) -> serde_json::Value {
    let headers = record.headers.iter();
    headers
        .map(|(name, value)| {
            let value = value.as_ref().map(|bytes| BASE64_STANDARD.encode(bytes));
            serde_json::json!([name, value])
        })
        .collect()
}

/// The reverse of [`headers_to`].
pub(super) fn headers_from(value: serde_json::Value) -> Result<Vec<Header>, StoreError> {
    let pairs: Vec<(String, Option<String>)> =
        serde_json::from_value(value).map_err(|error| unreadable(&error))?;
    pairs
        .into_iter()
        .map(|(name, value)| {
            let value = value.map(|text| BASE64_STANDARD.decode(text)).transpose();
            Ok((name, value.map_err(|error| unreadable(&error))?))
        })
        .collect()
}
