//! Settlements: the releases of one merchant and currency on one local date, closed in parts.

use std::collections::{BTreeMap, HashMap};

use jiff::civil::Date;
use jiff_sqlx::ToSqlx;

use super::types::{amount, column, currency, merchant_id};
use super::{StoreError, Tx, failed};
use crate::rules::ids::{MerchantId, SettlementId};
use crate::rules::money::{Amount, Currency};
use crate::rules::time::Instant;

/// A settlement's identity.
pub type SettlementKey = (MerchantId, Currency, Date);

/// What one transaction adds to a settlement's open part.
#[derive(Debug, Clone)]
pub struct Addition {
    pub settled_at: Instant,
    pub releases: i64,
    pub gross: Amount,
    pub recovered: Amount,
    pub to_deposit: Amount,
    /// Where in the merchant's journal the first and the last of the releases stand.
    pub first_sequence: i64,
    pub last_sequence: i64,
}

/// A part that is complete.
#[derive(Debug, Clone)]
pub struct ClosedPart {
    pub key: SettlementKey,
    pub id: SettlementId,
    pub part: u32,
    pub releases: u64,
    pub gross: Amount,
    pub recovered: Amount,
    pub to_deposit: Amount,
}

/// What became of a settlement that is under its minimum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// Some of it has been released: the rest goes too.
    Begun,
    /// It was skipped before.
    Again,
    /// It is skipped from now on.
    First,
}

impl Tx {
    /// Skips settlements of which nothing has been released yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn skip_settlements(
        &mut self,
        keys: &[(SettlementKey, Instant)],
    ) -> Result<HashMap<SettlementKey, Skip>, StoreError> {
        let rows = sqlx::query!(
            r#"INSERT INTO settlements AS s (merchant_id, currency, settlement_on, settlement_id,
                   settled_at, part, releases, gross, recovered, to_deposit, skipped)
               SELECT *, 1, 0, 0, 0, 0, true
               FROM unnest($1::text[], $2::text[], $3::date[], $4::uuid[], $5::timestamptz[])
               ON CONFLICT (merchant_id, currency, settlement_on) DO UPDATE SET
                   settled_at = s.settled_at
               RETURNING merchant_id, currency, settlement_on AS "settlement_on: jiff_sqlx::Date",
                   skipped, xmax = 0 AS "made!""#,
            column(keys, |(key, _)| key.0.as_str().to_owned()) as _,
            column(keys, |(key, _)| key.1.code().to_owned()) as _,
            column(keys, |(key, _)| key.2.to_sqlx()) as _,
            column(keys, |(key, _)| SettlementId::of(&key.0, key.1, key.2).0) as _,
            column(keys, |(_, at)| *at) as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("skip settlements"))?;
        rows.into_iter()
            .map(|row| {
                let key = (
                    merchant_id(&row.merchant_id)?,
                    currency(&row.currency)?,
                    row.settlement_on.to_jiff(),
                );
                let skip = match (row.made, row.skipped) {
                    (true, _) => Skip::First,
                    (false, true) => Skip::Again,
                    (false, false) => Skip::Begun,
                };
                Ok((key, skip))
            })
            .collect()
    }

    /// Adds releases to the open parts and answers which parts those are.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_to_settlements(
        &mut self,
        additions: &BTreeMap<SettlementKey, Addition>,
    ) -> Result<HashMap<SettlementKey, u32>, StoreError> {
        if additions.is_empty() {
            return Ok(HashMap::new());
        }
        let rows: Vec<(&SettlementKey, &Addition)> = additions.iter().collect();
        let parts = sqlx::query!(
            r#"INSERT INTO settlements AS s (merchant_id, currency, settlement_on, settlement_id,
                   settled_at, releases, gross, first_sequence, last_sequence, recovered,
                   to_deposit, part)
               SELECT *, 1 FROM unnest($1::text[], $2::text[], $3::date[], $4::uuid[],
                   $5::timestamptz[], $6::bigint[], $7::numeric[], $8::bigint[], $9::bigint[],
                   $10::numeric[], $11::numeric[])
               ON CONFLICT (merchant_id, currency, settlement_on) DO UPDATE SET
                   settled_at = greatest(s.settled_at, excluded.settled_at),
                   releases = s.releases + excluded.releases, gross = s.gross + excluded.gross,
                   recovered = s.recovered + excluded.recovered,
                   to_deposit = s.to_deposit + excluded.to_deposit,
                   first_sequence = coalesce(s.first_sequence, excluded.first_sequence),
                   last_sequence = excluded.last_sequence
               RETURNING merchant_id, currency, settlement_on AS "settlement_on: jiff_sqlx::Date",
                   part"#,
            column(&rows, |(key, _)| key.0.as_str().to_owned()) as _,
            column(&rows, |(key, _)| key.1.code().to_owned()) as _,
            column(&rows, |(key, _)| key.2.to_sqlx()) as _,
            column(&rows, |(key, _)| SettlementId::of(&key.0, key.1, key.2).0) as _,
            column(&rows, |(_, a)| a.settled_at) as _,
            column(&rows, |(_, a)| a.releases) as _,
            column(&rows, |(_, a)| a.gross.decimal()) as _,
            column(&rows, |(_, a)| a.first_sequence) as _,
            column(&rows, |(_, a)| a.last_sequence) as _,
            column(&rows, |(_, a)| a.recovered.decimal()) as _,
            column(&rows, |(_, a)| a.to_deposit.decimal()) as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("add to settlements"))?;
        parts
            .into_iter()
            .map(|row| {
                let key = (
                    merchant_id(&row.merchant_id)?,
                    currency(&row.currency)?,
                    row.settlement_on.to_jiff(),
                );
                Ok((key, u32::try_from(row.part).unwrap_or(u32::MAX)))
            })
            .collect()
    }

    /// Closes up to `limit` open parts whose cut-off has passed and that nothing due waits for.
    /// A hint that another transaction has claimed still counts as waiting until that commits.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn close_parts(
        &mut self,
        horizon: Instant,
        limit: i64,
    ) -> Result<Vec<ClosedPart>, StoreError> {
        // Each settled_at is at most the horizon; said twice, so that no later hint is read.
        let rows = sqlx::query!(
            r#"WITH complete AS MATERIALIZED (
                   SELECT s.merchant_id, s.currency, s.settlement_on, s.part, s.releases, s.gross,
                          s.recovered, s.to_deposit
                   FROM settlements s
                   WHERE s.releases > 0 AND s.settled_at <= $1
                     AND NOT EXISTS (SELECT FROM due d
                         WHERE d.due_at <= $1 AND d.due_at <= s.settled_at
                         AND d.merchant_id = s.merchant_id AND d.currency = s.currency)
                     AND NOT EXISTS (SELECT FROM paused_due d
                         WHERE d.due_at <= $1 AND d.due_at <= s.settled_at
                         AND d.merchant_id = s.merchant_id AND d.currency = s.currency)
                   ORDER BY s.merchant_id COLLATE "C", s.currency, s.settlement_on
                   LIMIT $2 FOR UPDATE SKIP LOCKED)
               UPDATE settlements s SET part = s.part + 1, releases = 0, gross = 0, recovered = 0,
                   to_deposit = 0
               FROM complete c
               WHERE s.merchant_id = c.merchant_id AND s.currency = c.currency
                 AND s.settlement_on = c.settlement_on
               RETURNING c.merchant_id, c.currency, s.settlement_id,
                   c.settlement_on AS "settlement_on: jiff_sqlx::Date", c.part, c.releases,
                   c.gross, c.recovered, c.to_deposit"#,
            horizon as _,
            limit,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("close settlements"))?;
        let mut parts = rows
            .into_iter()
            .map(|row| {
                let currency = currency(&row.currency)?;
                Ok(ClosedPart {
                    key: (
                        merchant_id(&row.merchant_id)?,
                        currency,
                        row.settlement_on.to_jiff(),
                    ),
                    id: SettlementId(row.settlement_id),
                    part: u32::try_from(row.part).unwrap_or(u32::MAX),
                    releases: u64::try_from(row.releases).unwrap_or_default(),
                    gross: amount(row.gross, currency)?,
                    recovered: amount(row.recovered, currency)?,
                    to_deposit: amount(row.to_deposit, currency)?,
                })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        parts.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(parts)
    }
}
