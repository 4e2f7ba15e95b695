//! Writing what happened to orders: refunds, disputes, other blocks, debts. One statement each.

use super::cases::Case;
use super::numbers::{block_number, kind_number, outcome_number};
use super::types::{column, unreadable};
use super::{StoreError, Tx, failed};
use crate::rules::order::{Block, Dispute, Order, Receivable, Refund};

/// Parts of the changed orders that are new or different, each with its order and position.
pub(super) fn rows<'a, T: PartialEq>(
    changed: &[&'a Case],
    part: impl Fn(&'a Order) -> &'a Vec<T>,
) -> Vec<Part<'a, T>> {
    let mut rows = Vec::new();
    for case in changed {
        let before = case.before.as_ref().map(&part);
        for (ordinal, value) in part(&case.order).iter().enumerate() {
            if before.and_then(|before| before.get(ordinal)) != Some(value) {
                rows.push(Part {
                    order: &case.order,
                    ordinal,
                    value,
                });
            }
        }
    }
    rows
}

/// One part of an order: a refund, a dispute, a block, a receivable.
pub(super) struct Part<'a, T> {
    order: &'a Order,
    ordinal: usize,
    pub(super) value: &'a T,
}

impl<T> Part<'_, T> {
    pub(super) fn merchant(&self) -> String {
        self.order.merchant.as_str().to_owned()
    }

    pub(super) fn order_id(&self) -> String {
        self.order.id.as_str().to_owned()
    }
}

impl Tx {
    pub(super) async fn save_refunds(
        &mut self,
        rows: &[Part<'_, Refund>],
    ) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "INSERT INTO refunds (merchant_id, order_id, refund_id, ordinal, amount, refunded_at,
                 dispute_id, content, charged, from_reversed, from_holds, from_receivable,
                 from_deposit, reversed_at, reversed_content)
             SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::integer[],
                 $5::numeric[], $6::timestamptz[], $7::text[], $8::bytea[], $9::numeric[],
                 $10::numeric[], $11::numeric[], $12::numeric[], $13::numeric[],
                 $14::timestamptz[], $15::bytea[])
             ON CONFLICT (merchant_id, refund_id) DO UPDATE SET charged = excluded.charged,
                 from_reversed = excluded.from_reversed, from_holds = excluded.from_holds,
                 from_receivable = excluded.from_receivable,
                 from_deposit = excluded.from_deposit, reversed_at = excluded.reversed_at,
                 reversed_content = excluded.reversed_content",
            column(rows, Part::merchant) as _,
            column(rows, Part::order_id) as _,
            column(rows, |r| r.value.id.as_str().to_owned()) as _,
            column(rows, |r| i32::try_from(r.ordinal).unwrap_or(i32::MAX)) as _,
            column(rows, |r| r.value.amount.decimal()) as _,
            column(rows, |r| r.value.at) as _,
            column(rows, |r| r
                .value
                .dispute
                .as_ref()
                .map(|d| d.as_str().to_owned())) as _,
            column(rows, |r| r.value.content.0.to_vec()) as _,
            column(rows, |r| r.value.charged.decimal()) as _,
            column(rows, |r| r.value.from_reversed.decimal()) as _,
            column(rows, |r| r.value.from_holds.decimal()) as _,
            column(rows, |r| r.value.from_receivable.decimal()) as _,
            column(rows, |r| r.value.from_deposit.decimal()) as _,
            column(rows, |r| r.value.reversed.as_ref().map(|it| it.value)) as _,
            column(rows, |r| r
                .value
                .reversed
                .as_ref()
                .map(|it| it.content.0.to_vec())) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("write refunds"))?;
        Ok(())
    }

    pub(super) async fn save_disputes(
        &mut self,
        rows: &[Part<'_, Dispute>],
    ) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let updates = rows
            .iter()
            .map(|row| serde_json::to_value(&row.value.updates))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| unreadable(&error))?;
        sqlx::query!(
            "INSERT INTO disputes (merchant_id, order_id, dispute_id, kind, amount, version,
                 opened_at, opened_content, updates, closed_at, closed_content, outcome,
                 refund_expected, charged, from_reversed, from_holds, from_receivable, kind_version,
                 from_deposit)
             SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::smallint[],
                 $5::numeric[], $6::bigint[], $7::timestamptz[], $8::bytea[], $9::jsonb[],
                 $10::timestamptz[], $11::bytea[], $12::smallint[], $13::numeric[],
                 $14::numeric[], $15::numeric[], $16::numeric[], $17::numeric[], $18::bigint[],
                 $19::numeric[])
             ON CONFLICT (merchant_id, dispute_id) DO UPDATE SET kind = excluded.kind,
                 kind_version = excluded.kind_version,
                 amount = excluded.amount, version = excluded.version,
                 updates = excluded.updates, closed_at = excluded.closed_at,
                 closed_content = excluded.closed_content, outcome = excluded.outcome,
                 refund_expected = excluded.refund_expected, charged = excluded.charged,
                 from_reversed = excluded.from_reversed, from_holds = excluded.from_holds,
                 from_receivable = excluded.from_receivable,
                 from_deposit = excluded.from_deposit",
            column(rows, Part::merchant) as _,
            column(rows, Part::order_id) as _,
            column(rows, |r| r.value.id.as_str().to_owned()) as _,
            column(rows, |r| kind_number(r.value.kind)) as _,
            column(rows, |r| r.value.amount.map(|amount| amount.decimal())) as _,
            column(rows, |r| i64::try_from(r.value.version).unwrap_or(i64::MAX)) as _,
            column(rows, |r| r.value.opened_at) as _,
            column(rows, |r| r.value.opened.0.to_vec()) as _,
            updates as _,
            column(rows, |r| r.value.closed.as_ref().map(|c| c.value.at)) as _,
            column(rows, |r| r
                .value
                .closed
                .as_ref()
                .map(|c| c.content.0.to_vec())) as _,
            column(rows, |r| r
                .value
                .closed
                .as_ref()
                .map(|c| outcome_number(c.value.outcome))) as _,
            column(rows, |r| r
                .value
                .closed
                .as_ref()
                .and_then(|c| c.value.refund_expected)
                .map(|a| a.decimal())) as _,
            column(rows, |r| r.value.charged.decimal()) as _,
            column(rows, |r| r.value.from_reversed.decimal()) as _,
            column(rows, |r| r.value.from_holds.decimal()) as _,
            column(rows, |r| r.value.from_receivable.decimal()) as _,
            column(rows, |r| i64::try_from(r.value.kind_version)
                .unwrap_or(i64::MAX)) as _,
            column(rows, |r| r.value.from_deposit.decimal()) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("write disputes"))?;
        Ok(())
    }

    pub(super) async fn save_blocks(&mut self, rows: &[Part<'_, Block>]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "INSERT INTO blocks (merchant_id, order_id, reference, kind, reason, opened_at,
                 cleared_at, hold_id, amount)
             SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::smallint[], $5::text[],
                 $6::timestamptz[], $7::timestamptz[], $8::uuid[], $9::numeric[])
             ON CONFLICT (merchant_id, order_id, reference) DO UPDATE SET
                 cleared_at = excluded.cleared_at",
            column(rows, Part::merchant) as _,
            column(rows, Part::order_id) as _,
            column(rows, |r| r.value.reference.clone()) as _,
            column(rows, |r| block_number(r.value.kind)) as _,
            column(rows, |r| r.value.reason.clone()) as _,
            column(rows, |r| r.value.opened_at) as _,
            column(rows, |r| r.value.cleared_at) as _,
            column(rows, |r| r.value.hold.map(|hold| hold.0)) as _,
            column(rows, |r| r.value.amount.map(|amount| amount.decimal())) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("write blocks"))?;
        Ok(())
    }

    pub(super) async fn save_receivables(
        &mut self,
        rows: &[Part<'_, Receivable>],
    ) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "INSERT INTO receivables (merchant_id, order_id, receivable_id, currency, original,
                 left_now, opened_at, cause_kind, cause_id, written_off)
             SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::numeric[],
                 $6::numeric[], $7::timestamptz[], $8::text[], $9::text[], $10::numeric[])
             ON CONFLICT (merchant_id, receivable_id) DO UPDATE SET
                 original = excluded.original, left_now = excluded.left_now,
                 written_off = excluded.written_off",
            column(rows, Part::merchant) as _,
            column(rows, Part::order_id) as _,
            column(rows, |r| r.value.id.0) as _,
            column(rows, |r| r.value.currency.code().to_owned()) as _,
            column(rows, |r| r.value.original.decimal()) as _,
            column(rows, |r| r.value.left.decimal()) as _,
            column(rows, |r| r.value.opened_at) as _,
            column(rows, |r| r.value.cause.0.to_owned()) as _,
            column(rows, |r| r.value.cause.1.clone()) as _,
            column(rows, |r| r.value.written_off.decimal()) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("write receivables"))?;
        Ok(())
    }
}
