//! Writing holds: new ones with a hint when to look at them, changed ones in place.

use super::agreements::Catalogue;
use super::cases::Case;
use super::due::Hint;
use super::hold_rows::TailRow;
use super::types::{column, unreadable};
use super::writes::agreement_no;
use super::{StoreError, Tx, failed};
use crate::rules::hold::Hold;
use crate::rules::ids::{MerchantId, OrderId};
use crate::rules::money::Currency;
use crate::rules::release;

impl Tx {
    pub(super) async fn save_holds(
        &mut self,
        changed: &[&Case],
        catalogue: &Catalogue,
    ) -> Result<(), StoreError> {
        let mut fresh = Vec::new();
        let mut known = Vec::new();
        let mut hints = Vec::new();
        for case in changed {
            let Some(sale) = &case.order.sale else {
                continue;
            };
            let agreement_no = agreement_no(&case.order, catalogue)?.unwrap_or_default();
            for hold in &case.order.holds {
                let before = held_before(case, hold);
                if before == Some(hold) {
                    continue;
                }
                if let Some(due_at) = release::wake_at(hold)
                    && before.and_then(release::wake_at) != Some(due_at)
                {
                    hints.push(Hint {
                        due_at,
                        merchant: case.order.merchant.clone(),
                        order: case.order.id.clone(),
                        term_no: hold.term_no,
                        currency: sale.value.currency,
                    });
                }
                let row = HoldChange {
                    merchant: &case.order.merchant,
                    order: &case.order.id,
                    currency: sale.value.currency,
                    agreement_no,
                    hold,
                    tails: tails(hold)?,
                    traceparent: case.order.traceparent.as_deref(),
                };
                if before.is_none() {
                    fresh.push(row);
                } else {
                    known.push(row);
                }
            }
        }
        self.insert_holds(&fresh).await?;
        self.update_holds(&known).await?;
        self.hint(&hints).await
    }

    async fn insert_holds(&mut self, rows: &[HoldChange<'_>]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "INSERT INTO holds (merchant_id, order_id, term_no, hold_id, term, currency,
                 agreement_no, original, left_now, consumed, released, reversed, blocked, barred,
                 anchor_at, window_ends_at, eligible_at, release_at, settlement_on, tails,
                 limit_at, calendar_version, releases, traceparent, cleared_at)
             SELECT * FROM unnest($1::text[], $2::text[], $3::smallint[], $4::uuid[], $5::text[],
                 $6::text[], $7::bigint[], $8::numeric[], $9::numeric[], $10::numeric[],
                 $11::numeric[], $12::numeric[], $13::numeric[], $14::boolean[],
                 $15::timestamptz[], $16::timestamptz[], $17::timestamptz[], $18::timestamptz[],
                 $19::date[], $20::jsonb[], $21::timestamptz[], $22::bigint[], $23::integer[],
                 $24::text[], $25::timestamptz[])",
            column(rows, |r| r.merchant.as_str().to_owned()) as _,
            column(rows, |r| r.order.as_str().to_owned()) as _,
            column(rows, HoldChange::term_no) as _,
            column(rows, |r| r.hold.id.0) as _,
            column(rows, |r| r.hold.term.as_str().to_owned()) as _,
            column(rows, |r| r.currency.code().to_owned()) as _,
            column(rows, |r| r.agreement_no) as _,
            column(rows, |r| r.hold.original.decimal()) as _,
            column(rows, |r| r.hold.left.decimal()) as _,
            column(rows, |r| r.hold.consumed.decimal()) as _,
            column(rows, |r| r.hold.released.decimal()) as _,
            column(rows, |r| r.hold.reversed.decimal()) as _,
            column(rows, |r| r.hold.blocked.decimal()) as _,
            column(rows, |r| r.hold.barred) as _,
            column(rows, |r| r.hold.anchor_at) as _,
            column(rows, |r| r.hold.dates.map(|d| d.window_ends_at)) as _,
            column(rows, |r| r.hold.dates.map(|d| d.eligible_at)) as _,
            column(rows, |r| r.hold.dates.map(|d| d.release_at)) as _,
            column(rows, HoldChange::settlement_on) as _,
            column(rows, |r| r.tails.clone()) as _,
            column(rows, |r| r.hold.limit_at) as _,
            column(rows, HoldChange::calendar_version) as _,
            column(rows, HoldChange::releases) as _,
            column(rows, |r| r.traceparent.map(str::to_owned)) as _,
            column(rows, |r| r.hold.cleared_at) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("write holds"))?;
        Ok(())
    }

    /// Writes holds that were loaded and locked before.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn update_holds(&mut self, rows: &[HoldChange<'_>]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "UPDATE holds h SET left_now = u.left_now, consumed = u.consumed,
                 released = u.released, reversed = u.reversed, blocked = u.blocked,
                 barred = u.barred, anchor_at = u.anchor_at, window_ends_at = u.window_ends_at,
                 eligible_at = u.eligible_at, release_at = u.release_at,
                 settlement_on = u.settlement_on, tails = u.tails, limit_at = u.limit_at,
                 limit_alerted_at = u.limit_alerted_at, calendar_version = u.calendar_version,
                 releases = u.releases, cleared_at = u.cleared_at
             FROM unnest($1::text[], $2::text[], $3::smallint[], $4::numeric[], $5::numeric[],
                 $6::numeric[], $7::numeric[], $8::numeric[], $9::boolean[], $10::timestamptz[],
                 $11::timestamptz[], $12::timestamptz[], $13::timestamptz[], $14::date[],
                 $15::jsonb[], $16::timestamptz[], $17::timestamptz[], $18::bigint[],
                 $19::integer[], $20::timestamptz[])
               AS u (merchant_id, order_id, term_no, left_now, consumed, released, reversed,
                 blocked, barred, anchor_at, window_ends_at, eligible_at, release_at,
                 settlement_on, tails, limit_at, limit_alerted_at, calendar_version, releases,
                 cleared_at)
             WHERE h.ctid = ANY (ARRAY(
                   SELECT place FROM unnest($1::text[], $2::text[], $3::smallint[])
                       AS k (merchant_id, order_id, term_no)
                   CROSS JOIN LATERAL (
                       SELECT ctid AS place FROM holds
                       WHERE merchant_id = k.merchant_id AND order_id = k.order_id
                         AND term_no = k.term_no OFFSET 0) found))
               AND h.merchant_id = u.merchant_id AND h.order_id = u.order_id
               AND h.term_no = u.term_no",
            column(rows, |r| r.merchant.as_str().to_owned()) as _,
            column(rows, |r| r.order.as_str().to_owned()) as _,
            column(rows, HoldChange::term_no) as _,
            column(rows, |r| r.hold.left.decimal()) as _,
            column(rows, |r| r.hold.consumed.decimal()) as _,
            column(rows, |r| r.hold.released.decimal()) as _,
            column(rows, |r| r.hold.reversed.decimal()) as _,
            column(rows, |r| r.hold.blocked.decimal()) as _,
            column(rows, |r| r.hold.barred) as _,
            column(rows, |r| r.hold.anchor_at) as _,
            column(rows, |r| r.hold.dates.map(|d| d.window_ends_at)) as _,
            column(rows, |r| r.hold.dates.map(|d| d.eligible_at)) as _,
            column(rows, |r| r.hold.dates.map(|d| d.release_at)) as _,
            column(rows, HoldChange::settlement_on) as _,
            column(rows, |r| r.tails.clone()) as _,
            column(rows, |r| r.hold.limit_at) as _,
            column(rows, |r| r.hold.limit_alerted_at) as _,
            column(rows, HoldChange::calendar_version) as _,
            column(rows, HoldChange::releases) as _,
            column(rows, |r| r.hold.cleared_at) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("change holds"))?;
        Ok(())
    }
}

/// One hold's row.
pub(super) struct HoldChange<'a> {
    pub(super) merchant: &'a MerchantId,
    pub(super) order: &'a OrderId,
    pub(super) currency: Currency,
    pub(super) agreement_no: i64,
    pub(super) hold: &'a Hold,
    pub(super) tails: Option<serde_json::Value>,
    pub(super) traceparent: Option<&'a str>,
}

impl HoldChange<'_> {
    fn term_no(&self) -> i16 {
        i16::try_from(self.hold.term_no).unwrap_or(i16::MAX)
    }

    fn settlement_on(&self) -> Option<jiff_sqlx::Date> {
        use jiff_sqlx::ToSqlx;
        self.hold.dates.map(|dates| dates.settlement_on.to_sqlx())
    }

    fn calendar_version(&self) -> Option<i64> {
        self.hold
            .calendar_version
            .map(|version| i64::try_from(version).unwrap_or(i64::MAX))
    }

    fn releases(&self) -> i32 {
        i32::try_from(self.hold.releases).unwrap_or(i32::MAX)
    }
}

/// A hold's tails as they are stored; null when there are none, as nearly always.
pub(super) fn tails(hold: &Hold) -> Result<Option<serde_json::Value>, StoreError> {
    if hold.tails.is_empty() {
        return Ok(None);
    }
    let rows: Vec<TailRow> = hold
        .tails
        .iter()
        .map(|tail| TailRow {
            amount: tail.amount.decimal(),
            cleared_at: tail.cleared_at,
            dates: tail.dates,
        })
        .collect();
    serde_json::to_value(rows)
        .map(Some)
        .map_err(|error| unreadable(&error))
}

fn held_before<'a>(case: &'a Case, hold: &Hold) -> Option<&'a Hold> {
    case.before
        .as_ref()?
        .holds
        .iter()
        .find(|before| before.term_no == hold.term_no)
}
