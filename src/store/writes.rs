//! Writing cases back: the difference between an order as it was loaded and as it was decided.
//! One statement per table, whatever the number of orders.

use super::agreements::Catalogue;
use super::cases::{Case, Cases};
use super::due::Hint;
use super::orders::{TailRow, block_number, kind_number, outcome_number};
use super::types::{column, unreadable};
use super::{StoreError, Tx, failed};
use crate::rules::hold::Hold;
use crate::rules::ids::{MerchantId, OrderId};
use crate::rules::money::Currency;
use crate::rules::order::{Block, Dispute, Order, Receivable, Refund};
use crate::rules::release;

impl Tx {
    /// Writes what changed. Journal lines are written apart.
    ///
    /// # Errors
    /// [`StoreError::Raced`] when another transaction made one of the new orders first.
    pub async fn save_orders(
        &mut self,
        cases: &Cases,
        catalogue: &Catalogue,
    ) -> Result<(), StoreError> {
        let changed: Vec<&Case> = cases
            .values()
            .filter(|case| case.before.as_ref() != Some(&case.order))
            .filter(|case| case.before.is_some() || !is_blank(case))
            .collect();
        let mut fresh = Vec::new();
        let mut known = Vec::new();
        for case in &changed {
            let row = OrderRow::of(case, catalogue)?;
            match &case.before {
                None => fresh.push(row),
                Some(before) if row.differs(before) => known.push(row),
                Some(_) => {}
            }
        }
        self.insert_orders(&fresh).await?;
        self.update_orders(&known).await?;
        self.save_holds(&changed, catalogue).await?;
        self.save_refunds(&rows(&changed, |order| &order.refunds))
            .await?;
        self.save_disputes(&rows(&changed, |order| &order.disputes))
            .await?;
        self.save_blocks(&rows(&changed, |order| &order.blocks))
            .await?;
        self.save_receivables(&rows(&changed, |order| &order.receivables))
            .await?;
        self.save_parked(&changed).await
    }

    async fn insert_orders(&mut self, rows: &[OrderRow<'_>]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let written = sqlx::query!(
            "INSERT INTO orders (merchant_id, order_id, currency, amount, fees, completed_at,
                 completed_content, attributes, delivered_at, delivered_content, confirmed_at,
                 confirmed_content, cancelled_at, cancelled_content, agreement_no, free,
                 source_topic, source_partition, source_offset, traceparent)
             SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::numeric[],
                 $5::numeric[], $6::timestamptz[], $7::bytea[], $8::jsonb[], $9::timestamptz[],
                 $10::bytea[], $11::timestamptz[], $12::bytea[], $13::timestamptz[], $14::bytea[],
                 $15::bigint[], $16::numeric[], $17::smallint[], $18::integer[], $19::bigint[],
                 $20::text[])
             ON CONFLICT DO NOTHING",
            column(rows, |r| r.merchant()) as _,
            column(rows, |r| r.order_id()) as _,
            column(rows, |r| r.sale().map(|s| s
                .value
                .currency
                .code()
                .to_owned())) as _,
            column(rows, |r| r.sale().map(|s| s.value.amount.decimal())) as _,
            column(rows, |r| r.sale().map(|s| s.value.fees.decimal())) as _,
            column(rows, |r| r.sale().map(|s| s.value.at)) as _,
            column(rows, |r| r.sale().map(|s| s.content.0.to_vec())) as _,
            column(rows, |r| r.attributes.clone()) as _,
            column(rows, |r| r.order.delivered.as_ref().map(|n| n.value)) as _,
            column(rows, |r| r
                .order
                .delivered
                .as_ref()
                .map(|n| n.content.0.to_vec())) as _,
            column(rows, |r| r.order.confirmed.as_ref().map(|n| n.value)) as _,
            column(rows, |r| r
                .order
                .confirmed
                .as_ref()
                .map(|n| n.content.0.to_vec())) as _,
            column(rows, |r| r.order.cancelled.as_ref().map(|n| n.value)) as _,
            column(rows, |r| r
                .order
                .cancelled
                .as_ref()
                .map(|n| n.content.0.to_vec())) as _,
            column(rows, |r| r.agreement_no) as _,
            column(rows, |r| r.order.free.map(|free| free.decimal())) as _,
            column(rows, |r| r.case.source.map(|s| s.topic.number())) as _,
            column(rows, |r| r.case.source.map(|s| s.partition)) as _,
            column(rows, |r| r.case.source.map(|s| s.offset)) as _,
            column(rows, |r| r.order.traceparent.clone()) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("write orders"))?;
        // Another transaction made one of them since ours looked: what we decided is about an
        // order that is not so any more.
        match usize::try_from(written.rows_affected()) {
            Ok(count) if count == rows.len() => Ok(()),
            _ => Err(StoreError::Raced),
        }
    }

    async fn update_orders(&mut self, rows: &[OrderRow<'_>]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "UPDATE orders o SET currency = u.currency, amount = u.amount, fees = u.fees,
                 completed_at = u.completed_at, completed_content = u.completed_content,
                 attributes = u.attributes, delivered_at = u.delivered_at,
                 delivered_content = u.delivered_content, confirmed_at = u.confirmed_at,
                 confirmed_content = u.confirmed_content, cancelled_at = u.cancelled_at,
                 cancelled_content = u.cancelled_content, agreement_no = u.agreement_no,
                 free = u.free, source_topic = u.source_topic,
                 source_partition = u.source_partition, source_offset = u.source_offset,
                 traceparent = u.traceparent
             FROM unnest($1::text[], $2::text[], $3::text[], $4::numeric[],
                 $5::numeric[], $6::timestamptz[], $7::bytea[], $8::jsonb[], $9::timestamptz[],
                 $10::bytea[], $11::timestamptz[], $12::bytea[], $13::timestamptz[], $14::bytea[],
                 $15::bigint[], $16::numeric[], $17::smallint[], $18::integer[], $19::bigint[],
                 $20::text[])
               AS u (merchant_id, order_id, currency, amount, fees, completed_at,
                 completed_content, attributes, delivered_at, delivered_content, confirmed_at,
                 confirmed_content, cancelled_at, cancelled_content, agreement_no, free,
                 source_topic, source_partition, source_offset, traceparent)
             WHERE o.merchant_id = u.merchant_id AND o.order_id = u.order_id",
            column(rows, |r| r.merchant()) as _,
            column(rows, |r| r.order_id()) as _,
            column(rows, |r| r.sale().map(|s| s
                .value
                .currency
                .code()
                .to_owned())) as _,
            column(rows, |r| r.sale().map(|s| s.value.amount.decimal())) as _,
            column(rows, |r| r.sale().map(|s| s.value.fees.decimal())) as _,
            column(rows, |r| r.sale().map(|s| s.value.at)) as _,
            column(rows, |r| r.sale().map(|s| s.content.0.to_vec())) as _,
            column(rows, |r| r.attributes.clone()) as _,
            column(rows, |r| r.order.delivered.as_ref().map(|n| n.value)) as _,
            column(rows, |r| r
                .order
                .delivered
                .as_ref()
                .map(|n| n.content.0.to_vec())) as _,
            column(rows, |r| r.order.confirmed.as_ref().map(|n| n.value)) as _,
            column(rows, |r| r
                .order
                .confirmed
                .as_ref()
                .map(|n| n.content.0.to_vec())) as _,
            column(rows, |r| r.order.cancelled.as_ref().map(|n| n.value)) as _,
            column(rows, |r| r
                .order
                .cancelled
                .as_ref()
                .map(|n| n.content.0.to_vec())) as _,
            column(rows, |r| r.agreement_no) as _,
            column(rows, |r| r.order.free.map(|free| free.decimal())) as _,
            column(rows, |r| r.case.source.map(|s| s.topic.number())) as _,
            column(rows, |r| r.case.source.map(|s| s.partition)) as _,
            column(rows, |r| r.case.source.map(|s| s.offset)) as _,
            column(rows, |r| r.order.traceparent.clone()) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("change orders"))?;
        Ok(())
    }

    async fn save_holds(
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
            let agreement_no = OrderRow::of(case, catalogue)?
                .agreement_no
                .unwrap_or_default();
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
                 limit_at, calendar_version, releases, traceparent)
             SELECT * FROM unnest($1::text[], $2::text[], $3::smallint[], $4::uuid[], $5::text[],
                 $6::text[], $7::bigint[], $8::numeric[], $9::numeric[], $10::numeric[],
                 $11::numeric[], $12::numeric[], $13::numeric[], $14::boolean[],
                 $15::timestamptz[], $16::timestamptz[], $17::timestamptz[], $18::timestamptz[],
                 $19::date[], $20::jsonb[], $21::timestamptz[], $22::bigint[], $23::integer[],
                 $24::text[])",
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
                 releases = u.releases
             FROM unnest($1::text[], $2::text[], $3::smallint[], $4::numeric[], $5::numeric[],
                 $6::numeric[], $7::numeric[], $8::numeric[], $9::boolean[], $10::timestamptz[],
                 $11::timestamptz[], $12::timestamptz[], $13::timestamptz[], $14::date[],
                 $15::jsonb[], $16::timestamptz[], $17::timestamptz[], $18::bigint[],
                 $19::integer[])
               AS u (merchant_id, order_id, term_no, left_now, consumed, released, reversed,
                 blocked, barred, anchor_at, window_ends_at, eligible_at, release_at,
                 settlement_on, tails, limit_at, limit_alerted_at, calendar_version, releases)
             WHERE h.merchant_id = u.merchant_id AND h.order_id = u.order_id
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
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("change holds"))?;
        Ok(())
    }
}

/// A stub that nothing came to: the facts about it were refused.
fn is_blank(case: &Case) -> bool {
    case.order == Order::stub(case.order.merchant.clone(), case.order.id.clone())
}

/// One order's row.
struct OrderRow<'a> {
    case: &'a Case,
    order: &'a Order,
    agreement_no: Option<i64>,
    attributes: Option<serde_json::Value>,
}

impl<'a> OrderRow<'a> {
    fn of(case: &'a Case, catalogue: &Catalogue) -> Result<Self, StoreError> {
        let order = &case.order;
        let agreement_no = order
            .agreement
            .as_ref()
            .map(|agreement| catalogue.number(agreement))
            .transpose()?;
        let attributes = order
            .sale
            .as_ref()
            .filter(|sale| !sale.value.attributes.is_empty())
            .map(|sale| serde_json::to_value(&sale.value.attributes))
            .transpose()
            .map_err(|error| unreadable(&error))?;
        Ok(Self {
            case,
            order,
            agreement_no,
            attributes,
        })
    }

    /// True when the order's own row must be written again.
    fn differs(&self, before: &Order) -> bool {
        let order = self.order;
        order.sale != before.sale
            || order.delivered != before.delivered
            || order.confirmed != before.confirmed
            || order.cancelled != before.cancelled
            || order.agreement != before.agreement
            || order.free != before.free
    }

    fn merchant(&self) -> String {
        self.order.merchant.as_str().to_owned()
    }

    fn order_id(&self) -> String {
        self.order.id.as_str().to_owned()
    }

    fn sale(&self) -> Option<&crate::rules::order::Noted<crate::rules::fact::Completed>> {
        self.order.sale.as_ref()
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

/// Parts of the changed orders that are new or different, each with its order and position.
fn rows<'a, T: PartialEq>(
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
struct Part<'a, T> {
    order: &'a Order,
    ordinal: usize,
    value: &'a T,
}

impl<T> Part<'_, T> {
    fn merchant(&self) -> String {
        self.order.merchant.as_str().to_owned()
    }

    fn order_id(&self) -> String {
        self.order.id.as_str().to_owned()
    }
}

impl Tx {
    async fn save_refunds(&mut self, rows: &[Part<'_, Refund>]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "INSERT INTO refunds (merchant_id, order_id, refund_id, ordinal, amount, refunded_at,
                 dispute_id, content, charged, from_reversed, from_holds, from_receivable)
             SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::integer[],
                 $5::numeric[], $6::timestamptz[], $7::text[], $8::bytea[], $9::numeric[],
                 $10::numeric[], $11::numeric[], $12::numeric[])
             ON CONFLICT (merchant_id, refund_id) DO UPDATE SET charged = excluded.charged,
                 from_reversed = excluded.from_reversed, from_holds = excluded.from_holds,
                 from_receivable = excluded.from_receivable",
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
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("write refunds"))?;
        Ok(())
    }

    async fn save_disputes(&mut self, rows: &[Part<'_, Dispute>]) -> Result<(), StoreError> {
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
                 refund_expected, charged, from_reversed, from_holds, from_receivable, kind_version)
             SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::smallint[],
                 $5::numeric[], $6::bigint[], $7::timestamptz[], $8::bytea[], $9::jsonb[],
                 $10::timestamptz[], $11::bytea[], $12::smallint[], $13::numeric[],
                 $14::numeric[], $15::numeric[], $16::numeric[], $17::numeric[], $18::bigint[])
             ON CONFLICT (merchant_id, dispute_id) DO UPDATE SET kind = excluded.kind,
                 kind_version = excluded.kind_version,
                 amount = excluded.amount, version = excluded.version,
                 updates = excluded.updates, closed_at = excluded.closed_at,
                 closed_content = excluded.closed_content, outcome = excluded.outcome,
                 refund_expected = excluded.refund_expected, charged = excluded.charged,
                 from_reversed = excluded.from_reversed, from_holds = excluded.from_holds,
                 from_receivable = excluded.from_receivable",
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
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("write disputes"))?;
        Ok(())
    }

    async fn save_blocks(&mut self, rows: &[Part<'_, Block>]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "INSERT INTO blocks (merchant_id, order_id, reference, kind, reason, opened_at,
                 cleared_at)
             SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::smallint[], $5::text[],
                 $6::timestamptz[], $7::timestamptz[])
             ON CONFLICT (merchant_id, order_id, reference) DO UPDATE SET
                 cleared_at = excluded.cleared_at",
            column(rows, Part::merchant) as _,
            column(rows, Part::order_id) as _,
            column(rows, |r| r.value.reference.clone()) as _,
            column(rows, |r| block_number(r.value.kind)) as _,
            column(rows, |r| r.value.reason.clone()) as _,
            column(rows, |r| r.value.opened_at) as _,
            column(rows, |r| r.value.cleared_at) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("write blocks"))?;
        Ok(())
    }

    async fn save_receivables(&mut self, rows: &[Part<'_, Receivable>]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "INSERT INTO receivables (merchant_id, order_id, receivable_id, currency, original,
                 left_now, opened_at, cause_kind, cause_id)
             SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::numeric[],
                 $6::numeric[], $7::timestamptz[], $8::text[], $9::text[])
             ON CONFLICT (merchant_id, receivable_id) DO UPDATE SET
                 original = excluded.original, left_now = excluded.left_now",
            column(rows, Part::merchant) as _,
            column(rows, Part::order_id) as _,
            column(rows, |r| r.value.id.0) as _,
            column(rows, |r| r.value.currency.code().to_owned()) as _,
            column(rows, |r| r.value.original.decimal()) as _,
            column(rows, |r| r.value.left.decimal()) as _,
            column(rows, |r| r.value.opened_at) as _,
            column(rows, |r| r.value.cause.0.to_owned()) as _,
            column(rows, |r| r.value.cause.1.clone()) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("write receivables"))?;
        Ok(())
    }
}
