//! Writing cases back: the difference between an order as it was loaded and as it was decided.
//! One statement per table, whatever the number of orders.

use super::agreements::Catalogue;
use super::cases::{Case, Cases};
use super::effect_writes::rows;
use super::types::{column, unreadable};
use super::{StoreError, Tx, failed};
use crate::rules::fact::Completed;
use crate::rules::order::{Noted, Order};

/// A checked statement that takes whole rows of orders.
macro_rules! order_rows {
    ($file:literal, $rows:expr) => {{
        let rows: &[&OrderRow<'_>] = $rows;
        sqlx::query_file!(
            $file,
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
            column(rows, |r| bytes(r.sale())) as _,
            column(rows, |r| r.attributes.clone()) as _,
            column(rows, |r| r.order.delivered.as_ref().map(|n| n.value)) as _,
            column(rows, |r| bytes(r.order.delivered.as_ref())) as _,
            column(rows, |r| r.order.confirmed.as_ref().map(|n| n.value)) as _,
            column(rows, |r| bytes(r.order.confirmed.as_ref())) as _,
            column(rows, |r| r.order.cancelled.as_ref().map(|n| n.value)) as _,
            column(rows, |r| bytes(r.order.cancelled.as_ref())) as _,
            column(rows, |r| r.agreement_no) as _,
            column(rows, |r| r.order.free.map(|free| free.decimal())) as _,
            column(rows, |r| r.case.source.map(|s| s.topic.number())) as _,
            column(rows, |r| r.case.source.map(|s| s.partition)) as _,
            column(rows, |r| r.case.source.map(|s| s.offset)) as _,
            column(rows, |r| r.order.traceparent.clone()) as _,
            column(rows, |r| r.order.charged_in.map(|it| it.code().to_owned())) as _,
        )
    }};
}

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
        let mut written = Vec::with_capacity(changed.len());
        for case in &changed {
            let row = OrderRow::of(case, catalogue)?;
            if case
                .before
                .as_ref()
                .is_none_or(|before| row.differs(before))
            {
                written.push(row);
            }
        }
        self.write_orders(&written).await?;
        self.save_holds(&changed, catalogue).await?;
        self.save_refunds(&rows(&changed, |order| &order.refunds))
            .await?;
        self.save_disputes(&rows(&changed, |order| &order.disputes))
            .await?;
        self.save_reviews(&rows(&changed, |order| &order.reviews))
            .await?;
        self.hint_reviews(&changed).await?;
        self.save_blocks(&rows(&changed, |order| &order.blocks))
            .await?;
        self.save_receivables(&rows(&changed, |order| &order.receivables))
            .await?;
        self.save_credits(&changed).await?;
        self.save_parked(&changed).await
    }

    /// New orders and changed ones.
    async fn write_orders(&mut self, rows: &[OrderRow<'_>]) -> Result<(), StoreError> {
        let (new, known): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.case.before.is_none());
        if !new.is_empty() {
            // Made by another since ours looked: what we decided is about an order that is not so any
            // more, and the whole transaction is undone.
            order_rows!("src/store/insert_orders.sql", &new)
                .execute(&mut *self.inner)
                .await
                .map_err(failed("write new orders"))?;
        }
        if !known.is_empty() {
            order_rows!("src/store/change_orders.sql", &known)
                .execute(&mut *self.inner)
                .await
                .map_err(failed("change orders"))?;
        }
        Ok(())
    }
}

/// A stub that nothing came to: the facts about it were refused.
fn is_blank(case: &Case) -> bool {
    case.order == Order::stub(case.order.merchant.clone(), case.order.id.clone())
}

/// The number of the agreement that the order is held under.
pub(super) fn agreement_no(
    order: &Order,
    catalogue: &Catalogue,
) -> Result<Option<i64>, StoreError> {
    order
        .agreement
        .as_ref()
        .map(|agreement| catalogue.number(agreement))
        .transpose()
}

/// A noted fact's digest.
fn bytes<T>(noted: Option<&Noted<T>>) -> Option<Vec<u8>> {
    noted.map(|noted| noted.content.0.to_vec())
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
        let agreement_no = agreement_no(order, catalogue)?;
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
            || order.charged_in != before.charged_in
    }

    fn merchant(&self) -> String {
        self.order.merchant.as_str().to_owned()
    }

    fn order_id(&self) -> String {
        self.order.id.as_str().to_owned()
    }

    fn sale(&self) -> Option<&Noted<Completed>> {
        self.order.sale.as_ref()
    }
}
