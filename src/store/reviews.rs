//! Reviews of orders, and when to look at them next.
//!
//! A hint in the table `review_due` only says "look"; the order, locked, says what is true. Hints
//! are consumed by the transaction that looks, so two processes never look for the same one.

use super::cases::{Case, Cases, OrderKey};
use super::effect_writes::Part;
use super::numbers::{closed_by_number, decision_number, number_closed_by, number_decision};
use super::orders::{Found, find};
use super::types::{column, content, order_key, unreadable};
use super::{StoreError, Tx, failed};
use crate::rules::ids::{MerchantId, OrderId, ReviewId};
use crate::rules::order::Noted;
use crate::rules::review::{Answer, Closed, Review};
use crate::rules::time::Instant;

/// A review's identity.
pub type ReviewKey = (MerchantId, ReviewId);

impl Tx {
    pub(super) async fn load_reviews(
        &mut self,
        cases: &mut Cases,
        found: &Found,
    ) -> Result<(), StoreError> {
        let rows = sqlx::query!(
            r#"SELECT r.merchant_id, r.order_id, r.review_id, r.requested_content, r.reason,
                      r.opened_at AS "opened_at: Instant", r.asked_at AS "asked_at: Instant",
                      r.respond_by AS "respond_by: Instant", r.reminded, r.overdue,
                      r.answered_at AS "answered_at: Instant", r.answered_content, r.answer,
                      r.evidence, r.decided_content, r.decide_by AS "decide_by: Instant",
                      r.alerts, r.closed_at AS "closed_at: Instant", r.decision, r.closed_by,
                      r.closed_name, r.closed_reason
               FROM unnest($1::text[], $2::text[]) AS k (merchant_id, order_id)
               CROSS JOIN LATERAL (
                   SELECT * FROM reviews
                   WHERE merchant_id = k.merchant_id AND order_id = k.order_id
                   ORDER BY opened_at, review_id) r"#,
            &found.merchants[..] as _,
            &found.orders[..] as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read reviews"))?;
        for row in rows {
            let digest = |bytes: Option<Vec<u8>>| bytes.map(|bytes| content(&bytes)).transpose();
            let answered = match (row.answered_at, row.answer, row.answered_content) {
                (Some(at), Some(text), Some(bytes)) => Some(Noted {
                    value: Answer {
                        at,
                        text,
                        evidence: row.evidence.unwrap_or_default(),
                    },
                    content: content(&bytes)?,
                }),
                _ => None,
            };
            let closed = match (row.closed_at, row.decision, row.closed_by) {
                (Some(at), Some(decision), Some(by)) => Some(Closed {
                    decision: number_decision(decision)?,
                    at,
                    by: number_closed_by(by)?,
                    name: row.closed_name,
                    reason: row.closed_reason,
                }),
                _ => None,
            };
            let order = &mut find(cases, &row.merchant_id, &row.order_id)?.order;
            order.reviews.push(Review {
                id: ReviewId::parse(&row.review_id).map_err(|error| unreadable(&error))?,
                requested: digest(row.requested_content)?,
                reason: row.reason,
                opened_at: row.opened_at,
                asked_at: row.asked_at,
                respond_by: row.respond_by,
                reminded: row.reminded,
                overdue: row.overdue,
                answered,
                decided: digest(row.decided_content)?,
                decide_by: row.decide_by,
                alerts: u32::try_from(row.alerts).map_err(|error| unreadable(&error))?,
                closed,
            });
        }
        Ok(())
    }

    pub(super) async fn save_reviews(
        &mut self,
        rows: &[Part<'_, Review>],
    ) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let answer = |r: &Part<'_, Review>| r.value.answered.as_ref().map(|it| it.value.clone());
        let closed = |r: &Part<'_, Review>| r.value.closed.clone();
        sqlx::query!(
            "INSERT INTO reviews (merchant_id, order_id, review_id, requested_content, reason,
                 opened_at, asked_at, respond_by, reminded, overdue, answered_at,
                 answered_content, answer, evidence, decided_content, decide_by, alerts,
                 closed_at, decision, closed_by, closed_name, closed_reason)
             SELECT merchant_id, order_id, review_id, requested_content, reason, opened_at,
                 asked_at, respond_by, reminded, overdue, answered_at, answered_content, answer,
                 CASE WHEN answered_at IS NOT NULL
                      THEN ARRAY(SELECT jsonb_array_elements_text(evidence)) END,
                 decided_content, decide_by, alerts, closed_at, decision, closed_by, closed_name,
                 closed_reason
             FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[],
                 $6::timestamptz[], $7::timestamptz[], $8::timestamptz[], $9::boolean[],
                 $10::boolean[], $11::timestamptz[], $12::bytea[], $13::text[], $14::jsonb[],
                 $15::bytea[], $16::timestamptz[], $17::integer[], $18::timestamptz[],
                 $19::smallint[], $20::smallint[], $21::text[], $22::text[])
               AS u (merchant_id, order_id, review_id, requested_content, reason, opened_at,
                 asked_at, respond_by, reminded, overdue, answered_at, answered_content, answer,
                 evidence, decided_content, decide_by, alerts, closed_at, decision, closed_by,
                 closed_name, closed_reason)
             ON CONFLICT (merchant_id, review_id) DO UPDATE SET reminded = excluded.reminded,
                 overdue = excluded.overdue, answered_at = excluded.answered_at,
                 answered_content = excluded.answered_content, answer = excluded.answer,
                 evidence = excluded.evidence, decided_content = excluded.decided_content,
                 decide_by = excluded.decide_by, alerts = excluded.alerts,
                 closed_at = excluded.closed_at, decision = excluded.decision,
                 closed_by = excluded.closed_by, closed_name = excluded.closed_name,
                 closed_reason = excluded.closed_reason",
            column(rows, Part::merchant) as _,
            column(rows, Part::order_id) as _,
            column(rows, |r| r.value.id.as_str().to_owned()) as _,
            column(rows, |r| r.value.requested.map(|it| it.0.to_vec())) as _,
            column(rows, |r| r.value.reason.clone()) as _,
            column(rows, |r| r.value.opened_at) as _,
            column(rows, |r| r.value.asked_at) as _,
            column(rows, |r| r.value.respond_by) as _,
            column(rows, |r| r.value.reminded) as _,
            column(rows, |r| r.value.overdue) as _,
            column(rows, |r| answer(r).map(|it| it.at)) as _,
            column(rows, |r| r
                .value
                .answered
                .as_ref()
                .map(|it| it.content.0.to_vec())) as _,
            column(rows, |r| answer(r).map(|it| it.text)) as _,
            column(rows, |r| answer(r).map(|it| serde_json::json!(it.evidence))) as _,
            column(rows, |r| r.value.decided.map(|it| it.0.to_vec())) as _,
            column(rows, |r| r.value.decide_by) as _,
            column(rows, |r| i32::try_from(r.value.alerts).unwrap_or(i32::MAX)) as _,
            column(rows, |r| closed(r).map(|it| it.at)) as _,
            column(rows, |r| closed(r).map(|it| decision_number(it.decision))) as _,
            column(rows, |r| closed(r).map(|it| closed_by_number(it.by))) as _,
            column(rows, |r| closed(r).and_then(|it| it.name)) as _,
            column(rows, |r| closed(r).and_then(|it| it.reason)) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("write reviews"))?;
        Ok(())
    }

    /// Writes when to look next at orders whose next moment has changed.
    pub(super) async fn hint_reviews(&mut self, changed: &[&Case]) -> Result<(), StoreError> {
        let mut hints = Vec::new();
        for case in changed {
            for review in &case.order.reviews {
                let before = case.before.as_ref().and_then(|it| it.review(&review.id));
                let next_at = review.next_at();
                if next_at != before.and_then(Review::next_at)
                    && let Some(at) = next_at
                {
                    hints.push((at, &case.order));
                }
            }
        }
        if hints.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "INSERT INTO review_due (due_at, merchant_id, order_id)
             SELECT * FROM unnest($1::timestamptz[], $2::text[], $3::text[])",
            column(&hints, |(at, _)| *at) as _,
            column(&hints, |(_, order)| order.merchant.as_str().to_owned()) as _,
            column(&hints, |(_, order)| order.id.as_str().to_owned()) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("write when to look at reviews"))?;
        Ok(())
    }

    /// Takes up to `limit` hints that are due by `horizon`: how many, and the orders to look at.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_reviews(
        &mut self,
        horizon: Instant,
        limit: i64,
    ) -> Result<(usize, Vec<OrderKey>), StoreError> {
        // LIMIT with FOR UPDATE SKIP LOCKED counts only when it is evaluated once: MATERIALIZED.
        let hints = sqlx::query!(
            "WITH claimed AS MATERIALIZED (
                 SELECT ctid AS place FROM review_due WHERE due_at <= $1
                 ORDER BY due_at, merchant_id LIMIT $2 FOR UPDATE SKIP LOCKED)
             DELETE FROM review_due USING claimed WHERE review_due.ctid = claimed.place
             RETURNING merchant_id, order_id",
            horizon as _,
            limit,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("claim due reviews"))?;
        let mut keys = hints
            .iter()
            .map(|hint| order_key(&hint.merchant_id, &hint.order_id))
            .collect::<Result<Vec<OrderKey>, _>>()?;
        keys.sort_unstable();
        keys.dedup();
        Ok((hints.len(), keys))
    }

    /// The order of a review that a person names; `None` for an unknown one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn order_of_review(
        &mut self,
        (merchant, review): &ReviewKey,
    ) -> Result<Option<OrderId>, StoreError> {
        let found = sqlx::query_scalar!(
            "SELECT order_id FROM reviews WHERE merchant_id = $1 AND review_id = $2",
            merchant.as_str(),
            review.as_str(),
        )
        .fetch_optional(&mut *self.inner)
        .await
        .map_err(failed("look for a review"))?;
        found
            .map(|order| super::types::order_id(&order))
            .transpose()
    }
}
