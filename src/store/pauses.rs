//! Pauses of releases, and the hints that fell due under them.
//!
//! Whoever releases holds the table in SHARE mode to its commit, whoever pauses or resumes writes to
//! it: so a pause waits for the releases under way, and every later release sees it.

use uuid::Uuid;

use super::due::Hint;
use super::types::{column, currency, merchant_id};
use super::{Store, StoreError, Tx, failed};
use crate::rules::ids::MerchantId;
use crate::rules::money::Currency;
use crate::rules::pause::{Pause, Pauses, Scope};
use crate::rules::time::Instant;

/// A scope as its two columns.
fn columns(scope: &Scope) -> (Option<&str>, Option<&'static str>) {
    match scope {
        Scope::All => (None, None),
        Scope::Currency(currency) => (None, Some(currency.code())),
        Scope::Merchant(merchant) => (Some(merchant.as_str()), None),
    }
}

/// A pause's row.
struct PauseRow {
    merchant_id: Option<String>,
    currency: Option<String>,
    actor: String,
    reason: String,
    paused_at: Instant,
}

impl PauseRow {
    fn pause(self) -> Result<Pause, StoreError> {
        let scope = match (self.merchant_id, self.currency) {
            (Some(merchant), _) => Scope::Merchant(merchant_id(&merchant)?),
            (None, Some(code)) => Scope::Currency(currency(&code)?),
            (None, None) => Scope::All,
        };
        Ok(Pause {
            scope,
            actor: self.actor,
            reason: self.reason,
            since: self.paused_at,
        })
    }
}

impl Store {
    /// The pauses in force.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pauses(&self) -> Result<Pauses, StoreError> {
        sqlx::query_as!(
            PauseRow,
            r#"SELECT merchant_id, currency, actor, reason, paused_at AS "paused_at: Instant"
               FROM pauses WHERE resumed_by IS NULL"#
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("read pauses"))?
        .into_iter()
        .map(PauseRow::pause)
        .collect()
    }
}

impl Tx {
    /// The pauses in force, which stay so until this transaction ends. Before any other lock.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn hold_pauses(&mut self) -> Result<Pauses, StoreError> {
        sqlx::query!("LOCK TABLE pauses IN SHARE MODE")
            .execute(&mut *self.inner)
            .await
            .map_err(failed("hold the pauses"))?;
        sqlx::query_as!(
            PauseRow,
            r#"SELECT merchant_id, currency, actor, reason, paused_at AS "paused_at: Instant"
               FROM pauses WHERE resumed_by IS NULL"#
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read pauses"))?
        .into_iter()
        .map(PauseRow::pause)
        .collect()
    }

    /// Begins a pause; false when one of this scope is in force.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin_pause(&mut self, pause: &Pause, by: Uuid) -> Result<bool, StoreError> {
        let (merchant, currency) = columns(&pause.scope);
        let made = sqlx::query!(
            "INSERT INTO pauses (operation_id, merchant_id, currency, actor, reason, paused_at)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            by,
            merchant,
            currency,
            pause.actor,
            pause.reason,
            pause.since as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("begin a pause"))?;
        Ok(made.rows_affected() > 0)
    }

    /// Ends the pause of exactly this scope and puts back the hints that no other pause keeps; false
    /// when there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_pause(&mut self, scope: &Scope, by: Uuid) -> Result<bool, StoreError> {
        let (merchant, currency) = columns(scope);
        let ended = sqlx::query!(
            "UPDATE pauses SET resumed_by = $3 WHERE resumed_by IS NULL
             AND merchant_id IS NOT DISTINCT FROM $1 AND currency IS NOT DISTINCT FROM $2",
            merchant,
            currency,
            by,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("end a pause"))?;
        if ended.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query!(
            "WITH free AS (
                 DELETE FROM paused_due d WHERE NOT EXISTS (
                     SELECT FROM pauses p WHERE p.resumed_by IS NULL
                     AND (p.merchant_id IS NULL OR p.merchant_id = d.merchant_id)
                     AND (p.currency IS NULL OR p.currency = d.currency))
                 RETURNING due_at, merchant_id, order_id, term_no, currency)
             INSERT INTO due (due_at, merchant_id, order_id, term_no, currency)
             SELECT due_at, merchant_id, order_id, term_no, currency FROM free"
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("put paused hints back"))?;
        Ok(true)
    }

    /// Keeps hints until their pause ends; for whoever holds the pauses.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn hint_paused(&mut self, hints: &[Hint]) -> Result<(), StoreError> {
        if hints.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "INSERT INTO paused_due (due_at, merchant_id, order_id, term_no, currency)
             SELECT * FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::smallint[],
                 $5::text[])",
            column(hints, |h| h.due_at) as _,
            column(hints, |h| MerchantId::as_str(&h.merchant).to_owned()) as _,
            column(hints, |h| h.order.as_str().to_owned()) as _,
            column(hints, |h| i16::try_from(h.term_no).unwrap_or(i16::MAX)) as _,
            column(hints, |h| Currency::code(h.currency).to_owned()) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("keep paused hints"))?;
        Ok(())
    }
}
