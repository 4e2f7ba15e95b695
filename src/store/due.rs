//! When to look at which hold, and the claiming of holds that may be due.
//!
//! A hint in the table `due` only says "look"; the hold's own row, locked, says what is true.
//! Hints are consumed by the transaction that looks, so two processes never look at the same one.

use std::collections::BTreeMap;

use super::agreements::Catalogue;
use super::cases::OrderKey;
use super::hold_rows::{HoldRow, hold_rows};
use super::hold_writes::{HoldChange, tails};
use super::types::{column, currency, order_key};
use super::{StoreError, Tx, failed};
use crate::rules::ids::{MerchantId, OrderId};
use crate::rules::money::Currency;
use crate::rules::release::Claim;
use crate::rules::time::Instant;

/// "Look at this hold then."
#[derive(Debug, Clone)]
pub struct Hint {
    pub due_at: Instant,
    pub merchant: MerchantId,
    pub order: OrderId,
    pub term_no: u16,
    pub currency: Currency,
}

/// A hold under release, with what its row needs besides.
#[derive(Debug)]
pub struct DueHold {
    pub claim: Claim,
    pub before: crate::rules::hold::Hold,
    agreement_no: i64,
}

impl Tx {
    /// Writes hints.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn hint(&mut self, hints: &[Hint]) -> Result<(), StoreError> {
        if hints.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "INSERT INTO due (due_at, merchant_id, order_id, term_no, currency)
             SELECT * FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::smallint[],
                 $5::text[])",
            column(hints, |h| h.due_at) as _,
            column(hints, |h| h.merchant.as_str().to_owned()) as _,
            column(hints, |h| h.order.as_str().to_owned()) as _,
            column(hints, |h| i16::try_from(h.term_no).unwrap_or(i16::MAX)) as _,
            column(hints, |h| h.currency.code().to_owned()) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("write due hints"))?;
        Ok(())
    }

    /// Takes up to `limit` hints that are due by `horizon`, and locks and loads their holds.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_due(
        &mut self,
        horizon: Instant,
        limit: i64,
        catalogue: &mut Catalogue,
    ) -> Result<(usize, Vec<DueHold>), StoreError> {
        // As an array the places are evaluated once, as LIMIT with SKIP LOCKED needs, and looked up
        // one by one, however long the table is.
        let hints = sqlx::query!(
            r#"DELETE FROM due WHERE ctid = ANY (ARRAY(
                   SELECT ctid FROM due WHERE due_at <= $1
                   ORDER BY due_at, merchant_id LIMIT $2 FOR UPDATE SKIP LOCKED))
               RETURNING merchant_id, order_id, term_no"#,
            horizon as _,
            limit,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("claim due hints"))?;
        let taken = hints.len();
        let mut keys: Vec<(String, String, i16)> = hints
            .into_iter()
            .map(|hint| (hint.merchant_id, hint.order_id, hint.term_no))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        Ok((taken, self.lock_due(&keys, catalogue).await?))
    }

    /// Locks and loads holds by merchant, order and number of their term.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lock_due(
        &mut self,
        keys: &[(String, String, i16)],
        catalogue: &mut Catalogue,
    ) -> Result<Vec<DueHold>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let rows = hold_rows!(
            r#"FROM unnest($1::text[], $2::text[], $3::smallint[])
                   AS k (merchant_id, order_id, term_no)
               CROSS JOIN LATERAL (
                   SELECT * FROM holds
                   WHERE merchant_id = k.merchant_id AND order_id = k.order_id
                     AND term_no = k.term_no FOR UPDATE) h"#,
            column(keys, |(merchant, _, _)| merchant.clone()) as _,
            column(keys, |(_, order, _)| order.clone()) as _,
            column(keys, |(_, _, term)| *term) as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("lock due holds"))?;
        let claims = self.claims(&rows, catalogue).await?;
        let due = claims.into_iter().zip(&rows).map(|(claim, row)| DueHold {
            before: claim.hold.clone(),
            claim,
            agreement_no: row.agreement_no,
        });
        Ok(due.collect())
    }

    /// The holds of these orders that are past their limit and blocked, as they are, not locked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn blocked_past_limit(
        &mut self,
        orders: &[OrderKey],
        now: Instant,
        catalogue: &mut Catalogue,
    ) -> Result<Vec<Claim>, StoreError> {
        let rows = hold_rows!(
            r#"FROM unnest($1::text[], $2::text[]) AS k (merchant_id, order_id)
               CROSS JOIN LATERAL (
                   SELECT * FROM holds
                   WHERE merchant_id = k.merchant_id AND order_id = k.order_id
                     AND limit_at <= $3 AND blocked > 0 AND NOT barred OFFSET 0) h"#,
            column(orders, |(merchant, _)| merchant.as_str().to_owned()) as _,
            column(orders, |(_, order)| order.as_str().to_owned()) as _,
            now as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read holds past their limit"))?;
        self.claims(&rows, catalogue).await
    }

    /// Holds with their agreements, which are read where the catalogue does not know them.
    pub(super) async fn claims(
        &mut self,
        rows: &[HoldRow],
        catalogue: &mut Catalogue,
    ) -> Result<Vec<Claim>, StoreError> {
        let numbers: Vec<i64> = rows.iter().map(|row| row.agreement_no).collect();
        self.agreements_by_no(&numbers, catalogue).await?;
        rows.iter().map(|row| claim(row, catalogue)).collect()
    }

    /// Writes back the holds that a release step changed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn save_due(&mut self, holds: &[DueHold]) -> Result<(), StoreError> {
        let changed = holds
            .iter()
            .filter(|due| due.claim.hold != due.before)
            .map(|due| {
                Ok(HoldChange {
                    merchant: &due.claim.merchant,
                    order: &due.claim.order,
                    currency: due.claim.currency,
                    agreement_no: due.agreement_no,
                    hold: &due.claim.hold,
                    tails: tails(&due.claim.hold)?,
                    traceparent: None,
                })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        self.update_holds(&changed).await
    }

    /// What else of these merchants is due at the same instants, not yet claimed: the free money
    /// per merchant, currency and date.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn still_due(
        &mut self,
        merchants: &[MerchantId],
        horizon: Instant,
    ) -> Result<
        BTreeMap<(MerchantId, Currency, jiff::civil::Date), rust_decimal::Decimal>,
        StoreError,
    > {
        let rows = sqlx::query!(
            r#"SELECT h.merchant_id, h.currency,
                      h.settlement_on AS "settlement_on!: jiff_sqlx::Date",
                      sum(h.left_now - h.blocked) AS "free!"
               FROM holds h
               JOIN (SELECT DISTINCT merchant_id, order_id, term_no FROM due
                     WHERE due_at <= $2 AND merchant_id = ANY($1)) d
                 ON h.merchant_id = d.merchant_id AND h.order_id = d.order_id
                AND h.term_no = d.term_no
               WHERE h.release_at <= $2
               GROUP BY h.merchant_id, h.currency, h.settlement_on"#,
            column(merchants, |merchant| merchant.as_str().to_owned()) as _,
            horizon as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("sum what is due"))?;
        rows.into_iter()
            .map(|row| {
                let merchant = super::types::merchant_id(&row.merchant_id)?;
                let key = (
                    merchant,
                    currency(&row.currency)?,
                    row.settlement_on.to_jiff(),
                );
                Ok((key, row.free))
            })
            .collect()
    }
}

/// A row with its agreement, which the catalogue knows by now.
fn claim(row: &HoldRow, catalogue: &Catalogue) -> Result<Claim, StoreError> {
    let (merchant, order) = order_key(&row.merchant_id, &row.order_id)?;
    Ok(Claim {
        merchant,
        order,
        currency: currency(&row.currency)?,
        agreement: catalogue.by_no(row.agreement_no)?,
        hold: row.hold()?,
        traceparent: row.traceparent.clone(),
    })
}
