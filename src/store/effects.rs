//! Loading what happened to orders: refunds, disputes, other blocks, debts.

use super::cases::Cases;
use super::numbers::{cause_kind, number_block, number_kind, number_outcome};
use super::orders::{Found, find};
use super::types::{amount, content, currency, unreadable};
use super::{StoreError, Tx, failed};
use crate::rules::ids::{DisputeId, HoldId, ReceivableId, RefundId};
use crate::rules::money::Currency;
use crate::rules::order::{Block, Closing, Dispute, Noted, Order, Receivable, Refund};
use crate::rules::time::Instant;

impl Tx {
    pub(super) async fn load_refunds(
        &mut self,
        cases: &mut Cases,
        found: &Found,
    ) -> Result<(), StoreError> {
        let rows = sqlx::query!(
            r#"SELECT r.merchant_id, r.order_id, r.refund_id, r.amount,
                      r.refunded_at AS "refunded_at: Instant", r.dispute_id, r.content, r.charged,
                      r.from_reversed, r.from_holds, r.from_deposit, r.from_receivable,
                      r.reversed_at AS "reversed_at: Instant", r.reversed_content
               FROM unnest($1::text[], $2::text[]) AS k (merchant_id, order_id)
               CROSS JOIN LATERAL (
                   SELECT * FROM refunds
                   WHERE merchant_id = k.merchant_id AND order_id = k.order_id
                   ORDER BY ordinal) r"#,
            &found.merchants[..] as _,
            &found.orders[..] as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read refunds"))?;
        for row in rows {
            let order = &mut find(cases, &row.merchant_id, &row.order_id)?.order;
            let currency = currency_of(order)?;
            let reversed = row.reversed_at.zip(row.reversed_content);
            let reversed = reversed.map(|(value, bytes)| {
                let content = content(&bytes)?;
                Ok::<_, StoreError>(Noted { value, content })
            });
            let reversed = reversed.transpose()?;
            order.refunds.push(Refund {
                id: RefundId::parse(&row.refund_id).map_err(|error| unreadable(&error))?,
                amount: amount(row.amount, currency)?,
                at: row.refunded_at,
                dispute: dispute_id(row.dispute_id.as_deref())?,
                content: content(&row.content)?,
                charged: amount(row.charged, currency)?,
                from_reversed: amount(row.from_reversed, currency)?,
                from_holds: amount(row.from_holds, currency)?,
                from_deposit: amount(row.from_deposit, currency)?,
                from_receivable: amount(row.from_receivable, currency)?,
                reversed,
            });
        }
        Ok(())
    }

    pub(super) async fn load_disputes(
        &mut self,
        cases: &mut Cases,
        found: &Found,
    ) -> Result<(), StoreError> {
        let rows = sqlx::query!(
            r#"SELECT d.merchant_id, d.order_id, d.dispute_id, d.kind, d.kind_version, d.amount,
                      d.version,
                      d.opened_at AS "opened_at: Instant", d.opened_content, d.updates,
                      d.closed_at AS "closed_at: Instant", d.closed_content, d.outcome,
                      d.refund_expected, d.charged, d.from_reversed, d.from_holds,
                      d.from_deposit, d.from_receivable
               FROM unnest($1::text[], $2::text[]) AS k (merchant_id, order_id)
               CROSS JOIN LATERAL (
                   SELECT * FROM disputes
                   WHERE merchant_id = k.merchant_id AND order_id = k.order_id
                   ORDER BY opened_at, dispute_id) d"#,
            &found.merchants[..] as _,
            &found.orders[..] as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read disputes"))?;
        for row in rows {
            let order = &mut find(cases, &row.merchant_id, &row.order_id)?.order;
            let currency = currency_of(order)?;
            let fits = |value: Option<rust_decimal::Decimal>| {
                value.map(|value| amount(value, currency)).transpose()
            };
            let closed = match (row.closed_at, row.outcome, row.closed_content) {
                (Some(at), Some(outcome), Some(bytes)) => Some(Noted {
                    value: Closing {
                        outcome: number_outcome(outcome)?,
                        at,
                        refund_expected: fits(row.refund_expected)?,
                    },
                    content: content(&bytes)?,
                }),
                _ => None,
            };
            order.disputes.push(Dispute {
                id: DisputeId::parse(&row.dispute_id).map_err(|error| unreadable(&error))?,
                kind: number_kind(row.kind)?,
                kind_version: u64::try_from(row.kind_version)
                    .map_err(|error| unreadable(&error))?,
                amount: fits(row.amount)?,
                version: u64::try_from(row.version).map_err(|error| unreadable(&error))?,
                opened_at: row.opened_at,
                opened: content(&row.opened_content)?,
                updates: serde_json::from_value(row.updates).map_err(|error| unreadable(&error))?,
                closed,
                charged: amount(row.charged, currency)?,
                from_reversed: amount(row.from_reversed, currency)?,
                from_holds: amount(row.from_holds, currency)?,
                from_deposit: amount(row.from_deposit, currency)?,
                from_receivable: amount(row.from_receivable, currency)?,
            });
        }
        Ok(())
    }

    pub(super) async fn load_blocks(
        &mut self,
        cases: &mut Cases,
        found: &Found,
    ) -> Result<(), StoreError> {
        let rows = sqlx::query!(
            r#"SELECT b.merchant_id, b.order_id, b.reference, b.kind, b.reason, b.hold_id, b.amount,
                      b.opened_at AS "opened_at: Instant", b.cleared_at AS "cleared_at: Instant"
               FROM unnest($1::text[], $2::text[]) AS k (merchant_id, order_id)
               CROSS JOIN LATERAL (
                   SELECT * FROM blocks
                   WHERE merchant_id = k.merchant_id AND order_id = k.order_id
                   ORDER BY opened_at, reference) b"#,
            &found.merchants[..] as _,
            &found.orders[..] as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read blocks"))?;
        for row in rows {
            let order = &mut find(cases, &row.merchant_id, &row.order_id)?.order;
            let partly = row.amount.map(|value| amount(value, currency_of(order)?));
            let partly = partly.transpose()?;
            order.blocks.push(Block {
                reference: row.reference,
                kind: number_block(row.kind)?,
                reason: row.reason,
                hold: row.hold_id.map(HoldId),
                amount: partly,
                opened_at: row.opened_at,
                cleared_at: row.cleared_at,
            });
        }
        Ok(())
    }

    pub(super) async fn load_receivables(
        &mut self,
        cases: &mut Cases,
        found: &Found,
    ) -> Result<(), StoreError> {
        // A release recovers open receivables under their merchant's row. All merchants of the
        // batch at once and sorted, as the numbering of the journal locks them.
        sqlx::query!(
            r#"SELECT m.merchant_id FROM merchants m
               WHERE m.merchant_id = ANY($1)
                 AND EXISTS (SELECT
                     FROM unnest($1::text[], $2::text[]) AS k (merchant_id, order_id)
                     CROSS JOIN LATERAL (
                         SELECT FROM receivables
                         WHERE merchant_id = k.merchant_id AND order_id = k.order_id
                           AND left_now > 0 LIMIT 1) r)
               ORDER BY m.merchant_id COLLATE "C" FOR UPDATE OF m"#,
            &found.merchants[..] as _,
            &found.orders[..] as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("lock merchants who owe"))?;
        let rows = sqlx::query!(
            r#"SELECT r.merchant_id, r.order_id AS "order_id!", r.receivable_id, r.currency,
                      r.original, r.left_now, r.written_off, r.opened_at AS "opened_at: Instant", r.cause_kind,
                      r.cause_id
               FROM unnest($1::text[], $2::text[]) AS k (merchant_id, order_id)
               CROSS JOIN LATERAL (
                   SELECT * FROM receivables
                   WHERE merchant_id = k.merchant_id AND order_id = k.order_id
                   ORDER BY opened_at, receivable_id FOR UPDATE) r"#,
            &found.merchants[..] as _,
            &found.orders[..] as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read receivables"))?;
        for row in rows {
            let currency = currency(&row.currency)?;
            let order = &mut find(cases, &row.merchant_id, &row.order_id)?.order;
            order.receivables.push(Receivable {
                id: ReceivableId(row.receivable_id),
                currency,
                original: amount(row.original, currency)?,
                left: amount(row.left_now, currency)?,
                written_off: amount(row.written_off, currency)?,
                opened_at: row.opened_at,
                cause: (cause_kind(&row.cause_kind)?, row.cause_id),
            });
        }
        Ok(())
    }
}

fn currency_of(order: &Order) -> Result<Currency, StoreError> {
    order.currency().ok_or_else(|| {
        StoreError::Unreadable(format!("effects on order {} without sale", order.id))
    })
}

fn dispute_id(text: Option<&str>) -> Result<Option<DisputeId>, StoreError> {
    text.map(DisputeId::parse)
        .transpose()
        .map_err(|error| unreadable(&error))
}
