//! What the payout side has answered: results by their key, and the releases they are about.

use std::collections::HashMap;

use rust_decimal::Decimal;

use super::types::{amount, column, content, currency, merchant_id, order_id};
use super::{StoreError, Tx, failed};
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

impl Tx {
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
pub(super) struct PayoutRow {
    pub(super) merchant_id: String,
    pub(super) release_id: uuid::Uuid,
    pub(super) order_id: Option<String>,
    pub(super) hold_id: Option<uuid::Uuid>,
    pub(super) currency: String,
    pub(super) amount: Decimal,
    pub(super) attempt: i32,
    pub(super) state: i16,
    pub(super) answered_at: Option<Instant>,
}

impl PayoutRow {
    pub(super) fn read(self) -> Result<Payout, StoreError> {
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

pub(super) fn attempt(attempt: u32) -> i32 {
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
