//! What the payout side has answered: results by their key, the releases they are about, and those whose
//! payout has failed.

use std::collections::HashMap;

use rust_decimal::Decimal;

use super::elsewhere::published_release;
use super::types::{amount, column, content, currency, merchant_id, order_id};
use super::{Store, StoreError, Tx, failed};
use crate::rules::entry::ReleaseIssued;
use crate::rules::fact::{ContentHash, PayoutResult, PayoutSubject};
use crate::rules::ids::{HoldId, MerchantId, ReleaseId};
use crate::rules::payout::{Payout, PayoutState};
use crate::rules::time::Instant;

/// A payout result's key: merchant, subject, attempt, paid or failed.
pub type ResultKey = (MerchantId, uuid::Uuid, u32, bool);

/// The key of a result.
#[must_use]
pub fn result_key(result: &PayoutResult) -> ResultKey {
    let subject = match result.subject {
        PayoutSubject::Release(id) => id.0,
        PayoutSubject::Settlement(id) => id.0,
    };
    (
        result.merchant.clone(),
        subject,
        result.attempt,
        result.paid,
    )
}

/// Releases under the answers of the payout system, each once, whoever asks for it.
#[derive(Debug, Default)]
pub struct Payouts {
    rows: HashMap<(MerchantId, ReleaseId), Payout>,
    /// By a result's subject: that release, or those of that settlement.
    behind: HashMap<(MerchantId, uuid::Uuid), Vec<ReleaseId>>,
}

impl Payouts {
    /// The releases behind a result's subject, in the order of the journal.
    #[must_use]
    pub fn behind(&self, merchant: &MerchantId, subject: uuid::Uuid) -> Vec<ReleaseId> {
        let key = (merchant.clone(), subject);
        self.behind.get(&key).cloned().unwrap_or_default()
    }

    /// All of them.
    #[must_use]
    pub fn keys(&self) -> Vec<(MerchantId, ReleaseId)> {
        self.rows.keys().cloned().collect()
    }

    /// One of them.
    pub fn get_mut(&mut self, merchant: &MerchantId, release: ReleaseId) -> Option<&mut Payout> {
        self.rows.get_mut(&(merchant.clone(), release))
    }
}

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

    /// Digests of the results that are known under these keys.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn known_results(
        &mut self,
        results: &[PayoutResult],
    ) -> Result<HashMap<ResultKey, ContentHash>, StoreError> {
        let keys: Vec<ResultKey> = results.iter().map(result_key).collect();
        let rows = sqlx::query!(
            "SELECT r.merchant_id, r.subject, r.attempt, r.paid, r.content
             FROM payout_results r
             JOIN unnest($1::text[], $2::uuid[], $3::integer[], $4::boolean[])
                 AS k (merchant_id, subject, attempt, paid)
               ON r.merchant_id = k.merchant_id AND r.subject = k.subject
              AND r.attempt = k.attempt AND r.paid = k.paid",
            column(&keys, |key| key.0.as_str().to_owned()) as _,
            column(&keys, |key| key.1) as _,
            column(&keys, |key| attempt(key.2)) as _,
            column(&keys, |key| key.3) as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read payout results"))?;
        rows.into_iter()
            .map(|row| {
                let merchant = merchant_id(&row.merchant_id)?;
                let attempt = u32::try_from(row.attempt).unwrap_or_default();
                let key = (merchant, row.subject, attempt, row.paid);
                Ok((key, content(&row.content)?))
            })
            .collect()
    }

    /// The releases that these results are about, locked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lock_payouts(&mut self, results: &[PayoutResult]) -> Result<Payouts, StoreError> {
        let keys: Vec<ResultKey> = results.iter().map(result_key).collect();
        let merchants = column(&keys, |key| key.0.as_str().to_owned());
        let subjects = column(&keys, |key| key.1);
        let about = sqlx::query_file!(
            "src/store/releases_of.sql",
            &merchants[..] as _,
            &subjects[..] as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("look for releases"))?;
        let rows = sqlx::query_as!(
            PayoutRow,
            r#"SELECT p.merchant_id, p.release_id, p.order_id, p.hold_id, p.currency, p.amount,
                      p.attempt, p.state, p.answered_at AS "answered_at: Instant"
               FROM (SELECT merchant_id, release_id
                     FROM unnest($1::text[], $2::uuid[]) AS k (merchant_id, release_id)
                     GROUP BY merchant_id, release_id
                     ORDER BY merchant_id COLLATE "C", release_id) k
               CROSS JOIN LATERAL (
                   SELECT * FROM payouts
                   WHERE merchant_id = k.merchant_id AND release_id = k.release_id FOR UPDATE) p"#,
            column(&about, |row| row.merchant_id.clone()) as _,
            column(&about, |row| row.release_id) as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("lock payouts"))?;
        let mut payouts = Payouts::default();
        for row in rows {
            let payout = row.read()?;
            payouts
                .rows
                .insert((payout.merchant.clone(), payout.release), payout);
        }
        for row in about {
            let key = (merchant_id(&row.merchant_id)?, row.asked);
            let releases = payouts.behind.entry(key).or_default();
            if releases.last() != Some(&ReleaseId(row.release_id)) {
                releases.push(ReleaseId(row.release_id));
            }
        }
        Ok(payouts)
    }

    /// Writes the payouts as they are now, and the results that led there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn save_payouts(
        &mut self,
        payouts: &Payouts,
        results: &[(PayoutResult, bool)],
    ) -> Result<(), StoreError> {
        let payouts: Vec<&Payout> = payouts.rows.values().collect();
        self.change_payouts(&payouts).await?;
        self.write_results(results).await
    }

    /// Writes payouts that were locked before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn change_payouts(&mut self, payouts: &[&Payout]) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE payouts p SET attempt = u.attempt, state = u.state, answered_at = u.answered_at
             FROM unnest($1::text[], $2::uuid[], $3::integer[], $4::smallint[], $5::timestamptz[])
               AS u (merchant_id, release_id, attempt, state, answered_at)
             WHERE p.merchant_id = u.merchant_id AND p.release_id = u.release_id",
            column(payouts, |p| p.merchant.as_str().to_owned()) as _,
            column(payouts, |p| p.release.0) as _,
            column(payouts, |p| attempt(p.attempt)) as _,
            column(payouts, |p| state_number(p.state)) as _,
            column(payouts, |p| p.at) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("change payouts"))?;
        Ok(())
    }

    async fn write_results(&mut self, results: &[(PayoutResult, bool)]) -> Result<(), StoreError> {
        let keys: Vec<ResultKey> = results
            .iter()
            .map(|(result, _)| result_key(result))
            .collect();
        sqlx::query!(
            "INSERT INTO payout_results (merchant_id, subject, attempt, paid, content,
                 answered_at, known)
             SELECT * FROM unnest($1::text[], $2::uuid[], $3::integer[], $4::boolean[],
                 $5::bytea[], $6::timestamptz[], $7::boolean[])",
            column(&keys, |key| key.0.as_str().to_owned()) as _,
            column(&keys, |key| key.1) as _,
            column(&keys, |key| attempt(key.2)) as _,
            column(&keys, |key| key.3) as _,
            column(results, |(result, _)| result.content.0.to_vec()) as _,
            column(results, |(result, _)| result.at) as _,
            column(results, |(_, known)| *known) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("write payout results"))?;
        Ok(())
    }
}

/// A payout's row.
struct PayoutRow {
    merchant_id: String,
    release_id: uuid::Uuid,
    order_id: Option<String>,
    hold_id: Option<uuid::Uuid>,
    currency: String,
    amount: Decimal,
    attempt: i32,
    state: i16,
    answered_at: Option<Instant>,
}

impl PayoutRow {
    fn read(self) -> Result<Payout, StoreError> {
        let currency = currency(&self.currency)?;
        Ok(Payout {
            merchant: merchant_id(&self.merchant_id)?,
            release: ReleaseId(self.release_id),
            order: self.order_id.as_deref().map(order_id).transpose()?,
            hold: self.hold_id.map(HoldId),
            currency,
            amount: amount(self.amount, currency)?,
            attempt: u32::try_from(self.attempt).unwrap_or_default(),
            state: number_state(self.state)?,
            at: self.answered_at,
        })
    }
}

fn attempt(attempt: u32) -> i32 {
    i32::try_from(attempt).unwrap_or(i32::MAX)
}

fn state_number(state: PayoutState) -> i16 {
    match state {
        PayoutState::Issued => 1,
        PayoutState::Paid => 2,
        PayoutState::Failed => 3,
    }
}

fn number_state(number: i16) -> Result<PayoutState, StoreError> {
    match number {
        1 => Ok(PayoutState::Issued),
        2 => Ok(PayoutState::Paid),
        3 => Ok(PayoutState::Failed),
        _ => Err(StoreError::Unreadable(format!("payout state {number}"))),
    }
}
