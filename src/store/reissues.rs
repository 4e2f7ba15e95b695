//! Releases by what became of their payouts: those that have failed and can be issued again.

use std::collections::HashMap;

use super::elsewhere::published_release;
use super::payouts::{PayoutRow, attempt};
use super::types::column;
use super::{Store, StoreError, Tx, failed};
use crate::rules::entry::ReleaseIssued;
use crate::rules::ids::{MerchantId, ReleaseId};
use crate::rules::payout::Payout;
use crate::rules::time::Instant;

/// A release whose payout has failed, with its first issue.
#[derive(Debug)]
pub struct FailedPayout {
    pub payout: Payout,
    pub first: ReleaseIssued,
}

impl Store {
    /// The payouts that have failed and wait, the longest waiting first, at most `limit`; one merchant's
    /// or all.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn failed_payouts(
        &self,
        merchant: Option<&MerchantId>,
        limit: i64,
    ) -> Result<Vec<Payout>, StoreError> {
        let rows = sqlx::query_as!(
            PayoutRow,
            r#"SELECT merchant_id, release_id, order_id, hold_id, currency, amount, attempt, state,
                      answered_at AS "answered_at: Instant"
               FROM payouts WHERE state = 3 AND ($1::text IS NULL OR merchant_id = $1)
               ORDER BY answered_at, merchant_id, release_id LIMIT $2"#,
            merchant.map(MerchantId::as_str),
            limit,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("read failed payouts"))?;
        rows.into_iter().map(PayoutRow::read).collect()
    }

    /// What has been answered of these releases, the oldest answer first; an attempt that is not
    /// answered yet last.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn answers(
        &self,
        merchant: &MerchantId,
        releases: &[ReleaseId],
    ) -> Result<Vec<Payout>, StoreError> {
        let rows = sqlx::query_as!(
            PayoutRow,
            r#"SELECT merchant_id, release_id, order_id, hold_id, currency, amount, attempt, state,
                      answered_at AS "answered_at: Instant"
               FROM payouts WHERE merchant_id = $1 AND release_id = ANY ($2)
                 AND (state > 1 OR attempt > 1)
               ORDER BY answered_at, release_id"#,
            merchant.as_str(),
            &column(releases, |it| it.0)[..],
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("read payouts"))?;
        rows.into_iter().map(PayoutRow::read).collect()
    }
}

impl Tx {
    /// A release that has been answered for, with its first issue, locked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lock_payout(
        &mut self,
        merchant: &MerchantId,
        release: ReleaseId,
    ) -> Result<Option<FailedPayout>, StoreError> {
        let row = sqlx::query_as!(
            PayoutRow,
            r#"SELECT merchant_id, release_id, order_id, hold_id, currency, amount, attempt, state,
                      answered_at AS "answered_at: Instant"
               FROM payouts WHERE merchant_id = $1 AND release_id = $2 FOR UPDATE"#,
            merchant.as_str(),
            release.0,
        )
        .fetch_optional(&mut *self.inner)
        .await
        .map_err(failed("lock a payout"))?;
        let payouts = row.map(PayoutRow::read).transpose()?;
        Ok(self.first_issues(Vec::from_iter(payouts)).await?.pop())
    }

    /// Payouts that failed by `horizon` before their last of `attempts_max` attempts and whose releases
    /// nobody has paused, at most `limit`, locked; those that another process has are left to it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_failed(
        &mut self,
        horizon: Instant,
        attempts_max: u32,
        limit: i64,
    ) -> Result<Vec<FailedPayout>, StoreError> {
        let rows = sqlx::query_as!(
            PayoutRow,
            r#"SELECT merchant_id, release_id, order_id, hold_id, currency, amount, attempt, state,
                      answered_at AS "answered_at: Instant"
               FROM payouts d
               WHERE state = 3 AND answered_at <= $1 AND attempt < $2
                 AND NOT EXISTS (SELECT FROM pauses p WHERE p.resumed_by IS NULL
                     AND (p.merchant_id IS NULL OR p.merchant_id = d.merchant_id)
                     AND (p.currency IS NULL OR p.currency = d.currency))
               ORDER BY answered_at LIMIT $3 FOR UPDATE OF d SKIP LOCKED"#,
            horizon as _,
            attempt(attempts_max),
            limit,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("claim failed payouts"))?;
        let payouts: Result<Vec<Payout>, StoreError> =
            rows.into_iter().map(PayoutRow::read).collect();
        self.first_issues(payouts?).await
    }

    /// The releases of these payouts as they were issued first.
    async fn first_issues(
        &mut self,
        payouts: Vec<Payout>,
    ) -> Result<Vec<FailedPayout>, StoreError> {
        if payouts.is_empty() {
            return Ok(Vec::new());
        }
        // Event 12 is release.issued.
        let rows = sqlx::query!(
            r#"SELECT j.merchant_id, j.subject AS "release_id!", j.data
               FROM unnest($1::text[], $2::text[]) AS k (merchant_id, release_id)
               JOIN journal j ON j.merchant_id = k.merchant_id AND j.subject = k.release_id
                AND j.event = 12
               WHERE j.data::json->>'attempt' = '1'"#,
            column(&payouts, |it| it.merchant.as_str().to_owned()) as _,
            column(&payouts, |it| it.release.to_string()) as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read first issues"))?;
        let mut issued: HashMap<(String, String), String> = rows
            .into_iter()
            .map(|row| ((row.merchant_id, row.release_id), row.data))
            .collect();
        payouts
            .into_iter()
            .map(|payout| {
                let key = (payout.merchant.to_string(), payout.release.to_string());
                let data = issued.remove(&key).ok_or_else(|| {
                    StoreError::Unreadable(format!("release {} was never issued", key.1))
                })?;
                let first = published_release(&data, payout.currency.code())?;
                Ok(FailedPayout { payout, first })
            })
            .collect()
    }
}
