//! Loading orders with everything known about them, locked for this transaction.

use super::agreements::Catalogue;
use super::cases::{Case, Cases, OrderKey, Source, SourceTopic};
use super::types::{amount, content, currency, unreadable};
use super::{StoreError, Tx, failed};
use crate::message::Record;
use crate::rules::fact::{Completed, DisputeKind, DisputeOutcome, OrderFact};
use crate::rules::hold::{Dates, Hold, Tail};
use crate::rules::ids::{DisputeId, HoldId, ReceivableId, RefundId, TermName};
use crate::rules::money::Currency;
use crate::rules::order::{Block, BlockKind, Closing, Dispute, Noted, Order, Receivable, Refund};
use crate::rules::time::Instant;

/// Reads a parked message again; `None` if this version can't.
pub type Reparse<'a> = &'a (dyn Fn(&Record) -> Option<OrderFact> + Sync);

impl Tx {
    /// Locks these orders and loads what is known about them; orders that are not there yet come
    /// as stubs. The number of statements does not depend on the number of orders.
    ///
    /// # Errors
    /// When the database fails, or holds what this version can't read.
    pub async fn load_orders(
        &mut self,
        keys: &[OrderKey],
        catalogue: &mut Catalogue,
        reparse: Reparse<'_>,
    ) -> Result<Cases, StoreError> {
        let mut cases: Cases = keys
            .iter()
            .map(|(merchant, order)| {
                let case = Case::unheard(merchant.clone(), order.clone());
                ((merchant.clone(), order.clone()), case)
            })
            .collect();
        let found = self.lock_orders(&mut cases, catalogue).await?;
        if !found.merchants.is_empty() {
            self.load_holds(&mut cases, &found).await?;
            self.load_refunds(&mut cases, &found).await?;
            self.load_disputes(&mut cases, &found).await?;
            self.load_blocks(&mut cases, &found).await?;
            self.load_receivables(&mut cases, &found).await?;
            self.load_parked(&mut cases, &found, reparse).await?;
        }
        for case in cases.values_mut() {
            if case.before.is_some() {
                case.before = Some(case.order.clone());
            }
        }
        Ok(cases)
    }

    async fn lock_orders(
        &mut self,
        cases: &mut Cases,
        catalogue: &mut Catalogue,
    ) -> Result<Found, StoreError> {
        let wanted = Found::of(cases.keys());
        let rows = sqlx::query!(
            r#"SELECT o.merchant_id, o.order_id, o.currency, o.amount, o.fees,
                      o.completed_at AS "completed_at: Instant", o.completed_content, o.attributes,
                      o.delivered_at AS "delivered_at: Instant", o.delivered_content,
                      o.confirmed_at AS "confirmed_at: Instant", o.confirmed_content,
                      o.cancelled_at AS "cancelled_at: Instant", o.cancelled_content,
                      o.agreement_no, o.free, o.source_topic, o.source_partition, o.source_offset,
                      o.traceparent
               FROM orders o
               JOIN unnest($1::text[], $2::text[]) AS k (merchant_id, order_id)
                 ON o.merchant_id = k.merchant_id AND o.order_id = k.order_id
               ORDER BY o.merchant_id COLLATE "C", o.order_id COLLATE "C"
               FOR UPDATE OF o"#,
            &wanted.merchants[..] as _,
            &wanted.orders[..] as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("lock orders"))?;
        let numbers: Vec<i64> = rows.iter().filter_map(|row| row.agreement_no).collect();
        self.agreements_by_no(&numbers, catalogue).await?;
        let mut found = Found::default();
        for row in rows {
            let case = find(cases, &row.merchant_id, &row.order_id)?;
            found.push(&row.merchant_id, &row.order_id);
            let order = &mut case.order;
            order.sale = match (row.currency, row.amount, row.fees, row.completed_at) {
                (Some(code), Some(value), Some(fees), Some(at)) => {
                    let currency = currency(&code)?;
                    order.free = row.free.map(|free| amount(free, currency)).transpose()?;
                    let sale = Completed {
                        amount: amount(value, currency)?,
                        fees: amount(fees, currency)?,
                        currency,
                        at,
                        attributes: row
                            .attributes
                            .map(serde_json::from_value)
                            .transpose()
                            .map_err(|error| unreadable(&error))?
                            .unwrap_or_default(),
                    };
                    noted(Some(sale), row.completed_content)?
                }
                _ => None,
            };
            order.delivered = noted(row.delivered_at, row.delivered_content)?;
            order.confirmed = noted(row.confirmed_at, row.confirmed_content)?;
            order.cancelled = noted(row.cancelled_at, row.cancelled_content)?;
            order.agreement = row.agreement_no.map(|no| catalogue.by_no(no)).transpose()?;
            order.traceparent = row.traceparent;
            case.source = source(row.source_topic, row.source_partition, row.source_offset);
            case.before = Some(Order::stub(order.merchant.clone(), order.id.clone()));
        }
        Ok(found)
    }

    async fn load_holds(&mut self, cases: &mut Cases, found: &Found) -> Result<(), StoreError> {
        let rows = sqlx::query_as!(
            HoldRow,
            r#"SELECT h.merchant_id, h.order_id, h.term_no, h.hold_id, h.term, h.currency,
                      h.agreement_no, h.original, h.left_now, h.consumed, h.released, h.reversed,
                      h.blocked, h.barred, h.anchor_at AS "anchor_at: Instant",
                      h.window_ends_at AS "window_ends_at: Instant",
                      h.eligible_at AS "eligible_at: Instant",
                      h.release_at AS "release_at: Instant",
                      h.settlement_on AS "settlement_on: jiff_sqlx::Date", h.tails,
                      h.limit_at AS "limit_at: Instant",
                      h.limit_alerted_at AS "limit_alerted_at: Instant",
                      h.calendar_version, h.releases, h.traceparent
               FROM holds h
               JOIN unnest($1::text[], $2::text[]) AS k (merchant_id, order_id)
                 ON h.merchant_id = k.merchant_id AND h.order_id = k.order_id
               ORDER BY h.merchant_id COLLATE "C", h.order_id COLLATE "C", h.term_no
               FOR UPDATE OF h"#,
            &found.merchants[..] as _,
            &found.orders[..] as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("lock holds"))?;
        for row in rows {
            let hold = row.hold()?;
            find(cases, &row.merchant_id, &row.order_id)?
                .order
                .holds
                .push(hold);
        }
        Ok(())
    }

    async fn load_refunds(&mut self, cases: &mut Cases, found: &Found) -> Result<(), StoreError> {
        let rows = sqlx::query!(
            r#"SELECT r.merchant_id, r.order_id, r.refund_id, r.amount,
                      r.refunded_at AS "refunded_at: Instant", r.dispute_id, r.content, r.charged,
                      r.from_reversed, r.from_holds, r.from_receivable
               FROM refunds r
               JOIN unnest($1::text[], $2::text[]) AS k (merchant_id, order_id)
                 ON r.merchant_id = k.merchant_id AND r.order_id = k.order_id
               ORDER BY r.merchant_id, r.order_id, r.ordinal"#,
            &found.merchants[..] as _,
            &found.orders[..] as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read refunds"))?;
        for row in rows {
            let order = &mut find(cases, &row.merchant_id, &row.order_id)?.order;
            let currency = sale_currency(order)?;
            order.refunds.push(Refund {
                id: RefundId::parse(&row.refund_id).map_err(|error| unreadable(&error))?,
                amount: amount(row.amount, currency)?,
                at: row.refunded_at,
                dispute: dispute_id(row.dispute_id.as_deref())?,
                content: content(&row.content)?,
                charged: amount(row.charged, currency)?,
                from_reversed: amount(row.from_reversed, currency)?,
                from_holds: amount(row.from_holds, currency)?,
                from_receivable: amount(row.from_receivable, currency)?,
            });
        }
        Ok(())
    }

    async fn load_disputes(&mut self, cases: &mut Cases, found: &Found) -> Result<(), StoreError> {
        let rows = sqlx::query!(
            r#"SELECT d.merchant_id, d.order_id, d.dispute_id, d.kind, d.kind_version, d.amount,
                      d.version,
                      d.opened_at AS "opened_at: Instant", d.opened_content, d.updates,
                      d.closed_at AS "closed_at: Instant", d.closed_content, d.outcome,
                      d.refund_expected, d.charged, d.from_reversed, d.from_holds,
                      d.from_receivable
               FROM disputes d
               JOIN unnest($1::text[], $2::text[]) AS k (merchant_id, order_id)
                 ON d.merchant_id = k.merchant_id AND d.order_id = k.order_id
               ORDER BY d.merchant_id, d.order_id, d.opened_at, d.dispute_id"#,
            &found.merchants[..] as _,
            &found.orders[..] as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read disputes"))?;
        for row in rows {
            let order = &mut find(cases, &row.merchant_id, &row.order_id)?.order;
            let currency = sale_currency(order)?;
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
                from_receivable: amount(row.from_receivable, currency)?,
            });
        }
        Ok(())
    }

    async fn load_blocks(&mut self, cases: &mut Cases, found: &Found) -> Result<(), StoreError> {
        let rows = sqlx::query!(
            r#"SELECT b.merchant_id, b.order_id, b.reference, b.kind, b.reason,
                      b.opened_at AS "opened_at: Instant", b.cleared_at AS "cleared_at: Instant"
               FROM blocks b
               JOIN unnest($1::text[], $2::text[]) AS k (merchant_id, order_id)
                 ON b.merchant_id = k.merchant_id AND b.order_id = k.order_id
               ORDER BY b.merchant_id, b.order_id, b.opened_at, b.reference"#,
            &found.merchants[..] as _,
            &found.orders[..] as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read blocks"))?;
        for row in rows {
            let order = &mut find(cases, &row.merchant_id, &row.order_id)?.order;
            order.blocks.push(Block {
                reference: row.reference,
                kind: number_block(row.kind)?,
                reason: row.reason,
                opened_at: row.opened_at,
                cleared_at: row.cleared_at,
            });
        }
        Ok(())
    }

    async fn load_receivables(
        &mut self,
        cases: &mut Cases,
        found: &Found,
    ) -> Result<(), StoreError> {
        let rows = sqlx::query!(
            r#"SELECT r.merchant_id, r.order_id AS "order_id!", r.receivable_id, r.currency,
                      r.original, r.left_now, r.opened_at AS "opened_at: Instant", r.cause_kind,
                      r.cause_id
               FROM receivables r
               JOIN unnest($1::text[], $2::text[]) AS k (merchant_id, order_id)
                 ON r.merchant_id = k.merchant_id AND r.order_id = k.order_id
               ORDER BY r.merchant_id, r.order_id, r.opened_at, r.receivable_id
               FOR UPDATE OF r"#,
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
                opened_at: row.opened_at,
                cause: (cause_kind(&row.cause_kind)?, row.cause_id),
            });
        }
        Ok(())
    }
}

/// Keys as columns.
#[derive(Default)]
pub(super) struct Found {
    pub(super) merchants: Vec<String>,
    pub(super) orders: Vec<String>,
}

impl Found {
    fn of<'a>(keys: impl Iterator<Item = &'a OrderKey>) -> Self {
        let mut found = Self::default();
        for (merchant, order) in keys {
            found.push(merchant.as_str(), order.as_str());
        }
        found
    }

    fn push(&mut self, merchant: &str, order: &str) {
        self.merchants.push(merchant.to_owned());
        self.orders.push(order.to_owned());
    }
}

/// The case that a row belongs to.
pub(super) fn find<'a>(
    cases: &'a mut Cases,
    merchant: &str,
    order: &str,
) -> Result<&'a mut Case, StoreError> {
    let key = super::types::order_key(merchant, order)?;
    cases
        .get_mut(&key)
        .ok_or_else(|| StoreError::Unreadable(format!("order {merchant}/{order} unasked for")))
}

fn noted<T>(value: Option<T>, bytes: Option<Vec<u8>>) -> Result<Option<Noted<T>>, StoreError> {
    let Some((value, bytes)) = value.zip(bytes) else {
        return Ok(None);
    };
    let content = content(&bytes)?;
    Ok(Some(Noted { value, content }))
}

fn sale_currency(order: &Order) -> Result<Currency, StoreError> {
    order
        .sale
        .as_ref()
        .map(|sale| sale.value.currency)
        .ok_or_else(|| {
            StoreError::Unreadable(format!("effects on order {} without sale", order.id))
        })
}

fn dispute_id(text: Option<&str>) -> Result<Option<DisputeId>, StoreError> {
    text.map(DisputeId::parse)
        .transpose()
        .map_err(|error| unreadable(&error))
}

pub(super) fn source(
    topic: Option<i16>,
    partition: Option<i32>,
    offset: Option<i64>,
) -> Option<Source> {
    Some(Source {
        topic: SourceTopic::from_number(topic?)?,
        partition: partition?,
        offset: offset?,
    })
}

/// A hold's columns.
pub(super) struct HoldRow {
    pub(super) merchant_id: String,
    pub(super) order_id: String,
    pub(super) term_no: i16,
    pub(super) hold_id: uuid::Uuid,
    pub(super) term: String,
    pub(super) currency: String,
    pub(super) agreement_no: i64,
    pub(super) original: rust_decimal::Decimal,
    pub(super) left_now: rust_decimal::Decimal,
    pub(super) consumed: rust_decimal::Decimal,
    pub(super) released: rust_decimal::Decimal,
    pub(super) reversed: rust_decimal::Decimal,
    pub(super) blocked: rust_decimal::Decimal,
    pub(super) barred: bool,
    pub(super) anchor_at: Option<Instant>,
    pub(super) window_ends_at: Option<Instant>,
    pub(super) eligible_at: Option<Instant>,
    pub(super) release_at: Option<Instant>,
    pub(super) settlement_on: Option<jiff_sqlx::Date>,
    pub(super) tails: Option<serde_json::Value>,
    pub(super) limit_at: Option<Instant>,
    pub(super) limit_alerted_at: Option<Instant>,
    pub(super) calendar_version: Option<i64>,
    pub(super) releases: i32,
    pub(super) traceparent: Option<String>,
}

impl HoldRow {
    pub(super) fn hold(&self) -> Result<Hold, StoreError> {
        let currency = currency(&self.currency)?;
        let number = |error: std::num::TryFromIntError| unreadable(&error);
        let dates = match (
            self.window_ends_at,
            self.eligible_at,
            self.release_at,
            self.settlement_on,
        ) {
            (Some(window_ends_at), Some(eligible_at), Some(release_at), Some(day)) => Some(Dates {
                window_ends_at,
                eligible_at,
                release_at,
                settlement_on: day.to_jiff(),
            }),
            _ => None,
        };
        Ok(Hold {
            id: HoldId(self.hold_id),
            term_no: u16::try_from(self.term_no).map_err(number)?,
            term: TermName::parse(&self.term).map_err(|error| unreadable(&error))?,
            original: amount(self.original, currency)?,
            left: amount(self.left_now, currency)?,
            consumed: amount(self.consumed, currency)?,
            released: amount(self.released, currency)?,
            reversed: amount(self.reversed, currency)?,
            blocked: amount(self.blocked, currency)?,
            barred: self.barred,
            anchor_at: self.anchor_at,
            dates,
            tails: tails(self.tails.as_ref(), currency)?,
            limit_at: self.limit_at,
            limit_alerted_at: self.limit_alerted_at,
            calendar_version: self
                .calendar_version
                .map(u64::try_from)
                .transpose()
                .map_err(number)?,
            releases: u32::try_from(self.releases).map_err(number)?,
        })
    }
}

/// A tail as it is stored.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct TailRow {
    pub(super) amount: rust_decimal::Decimal,
    pub(super) dates: Dates,
}

fn tails(value: Option<&serde_json::Value>, currency: Currency) -> Result<Vec<Tail>, StoreError> {
    let Some(value) = value else {
        return Ok(Vec::new());
    };
    let rows: Vec<TailRow> = serde::Deserialize::deserialize(value)
        .map_err(|error: serde_json::Error| unreadable(&error))?;
    rows.into_iter()
        .map(|row| {
            Ok(Tail {
                amount: amount(row.amount, currency)?,
                dates: row.dates,
            })
        })
        .collect()
}

fn number_kind(number: i16) -> Result<DisputeKind, StoreError> {
    DISPUTE_KINDS
        .into_iter()
        .find(|kind| kind_number(*kind) == number)
        .ok_or_else(|| StoreError::Unreadable(format!("dispute kind {number}")))
}

const DISPUTE_KINDS: [DisputeKind; 5] = [
    DisputeKind::Complaint,
    DisputeKind::Return,
    DisputeKind::Exchange,
    DisputeKind::Chargeback,
    DisputeKind::Inquiry,
];

pub(super) fn kind_number(kind: DisputeKind) -> i16 {
    match kind {
        DisputeKind::Complaint => 1,
        DisputeKind::Return => 2,
        DisputeKind::Exchange => 3,
        DisputeKind::Chargeback => 4,
        DisputeKind::Inquiry => 5,
    }
}

fn number_outcome(number: i16) -> Result<DisputeOutcome, StoreError> {
    DISPUTE_OUTCOMES
        .into_iter()
        .find(|outcome| outcome_number(*outcome) == number)
        .ok_or_else(|| StoreError::Unreadable(format!("dispute outcome {number}")))
}

const DISPUTE_OUTCOMES: [DisputeOutcome; 4] = [
    DisputeOutcome::Won,
    DisputeOutcome::Withdrawn,
    DisputeOutcome::Resolved,
    DisputeOutcome::Lost,
];

pub(super) fn outcome_number(outcome: DisputeOutcome) -> i16 {
    match outcome {
        DisputeOutcome::Won => 1,
        DisputeOutcome::Withdrawn => 2,
        DisputeOutcome::Resolved => 3,
        DisputeOutcome::Lost => 4,
    }
}

fn number_block(number: i16) -> Result<BlockKind, StoreError> {
    match number {
        1 => Ok(BlockKind::Review),
        2 => Ok(BlockKind::Legal),
        3 => Ok(BlockKind::Manual),
        _ => Err(StoreError::Unreadable(format!("block kind {number}"))),
    }
}

pub(super) fn block_number(kind: BlockKind) -> i16 {
    match kind {
        BlockKind::Review => 1,
        BlockKind::Legal => 2,
        BlockKind::Manual => 3,
    }
}

fn cause_kind(text: &str) -> Result<&'static str, StoreError> {
    [
        "refund",
        "chargeback",
        "dispute",
        "adjustment",
        "withdrawal",
    ]
    .into_iter()
    .find(|kind| *kind == text)
    .ok_or_else(|| StoreError::Unreadable(format!("receivable cause {text}")))
}
