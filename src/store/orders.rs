//! Loading orders with everything known about them, locked for this transaction.

use super::agreements::Catalogue;
use super::cases::{Case, Cases, OrderKey, Source, SourceTopic};
use super::hold_rows::hold_rows;
use super::types::{amount, content, currency, unreadable};
use super::{StoreError, Tx, failed};
use crate::message::Record;
use crate::rules::fact::{Completed, OrderFact};
use crate::rules::ids::OrderId;
use crate::rules::order::{Noted, Order};
use crate::rules::time::Instant;

/// Reads a parked message of this order again; `None` if this version can't.
pub type Reparse<'a> = &'a (dyn Fn(&Record, &OrderId) -> Option<OrderFact> + Sync);

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
            self.load_reviews(&mut cases, &found).await?;
            self.load_blocks(&mut cases, &found).await?;
            self.load_receivables(&mut cases, &found).await?;
            self.load_parked(&mut cases, &found, reparse).await?;
        }
        self.load_foretold(&mut cases).await?;
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
                      o.traceparent, o.charged_in
               FROM unnest($1::text[], $2::text[]) AS k (merchant_id, order_id)
               CROSS JOIN LATERAL (
                   SELECT * FROM orders
                   WHERE merchant_id = k.merchant_id AND order_id = k.order_id FOR UPDATE) o"#,
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
            order.charged_in = row.charged_in.as_deref().map(currency).transpose()?;
            case.source = source(row.source_topic, row.source_partition, row.source_offset);
            case.before = Some(Order::stub(order.merchant.clone(), order.id.clone()));
        }
        Ok(found)
    }

    async fn load_holds(&mut self, cases: &mut Cases, found: &Found) -> Result<(), StoreError> {
        let rows = hold_rows!(
            r#"FROM unnest($1::text[], $2::text[]) AS k (merchant_id, order_id)
               CROSS JOIN LATERAL (
                   SELECT * FROM holds
                   WHERE merchant_id = k.merchant_id AND order_id = k.order_id
                   ORDER BY term_no FOR UPDATE) h"#,
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
