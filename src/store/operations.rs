//! What people did: one row each that never changes, written in the transaction of its effects.

use std::fmt;

use rust_decimal::Decimal;
use uuid::Uuid;

use super::types::order_id;
use super::{Store, StoreError, Tx, failed};
use crate::rules::ids::{HoldId, MerchantId, OrderId};
use crate::rules::money::{Amount, Currency};
use crate::rules::time::Instant;

/// One act of a person on its way into the table.
#[derive(Debug, Clone)]
pub struct Operation<'a> {
    pub id: Uuid,
    pub kind: &'static str,
    pub actor: &'a str,
    pub reason: &'a str,
    /// What was asked for, whole.
    pub request: serde_json::Value,
    pub about: About,
    /// It waits for a second person.
    pub needs_approval: bool,
    /// The operation that this one approves.
    pub approves: Option<Uuid>,
}

/// What an operation is about, as far as it is about one merchant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    pub merchant: Option<MerchantId>,
    pub order: Option<OrderId>,
    pub hold: Option<HoldId>,
    pub currency: Option<Currency>,
    /// The money that it lets go.
    pub amount: Option<Amount>,
}

/// A request that needs a second person.
#[derive(Debug, Clone)]
pub struct Proposal {
    pub id: Uuid,
    pub kind: String,
    pub actor: String,
    pub reason: String,
    pub request: serde_json::Value,
    pub merchant_id: Option<String>,
    pub order_id: Option<String>,
    pub hold_id: Option<Uuid>,
    pub currency: Option<String>,
    pub amount: Option<Decimal>,
    pub asked_at: Instant,
    /// Older than 7 days: it can't be approved any more.
    pub expired: bool,
    pub approved_by: Option<String>,
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}", self.id, self.kind)?;
        if let (Some(amount), Some(currency)) = (&self.amount, &self.currency) {
            write!(f, " {amount} {currency}")?;
        }
        if let Some(order) = &self.order_id {
            write!(f, " of order {order}")?;
        }
        if let Some(merchant) = &self.merchant_id {
            write!(f, " of merchant {merchant}")?;
        }
        let Self {
            asked_at,
            actor,
            reason,
            ..
        } = self;
        write!(f, ", asked for at {asked_at} by {actor}: {reason}")
    }
}

impl Store {
    /// A merchant's holds that were due before this and have free money, with how much: those that
    /// wait for a person after going live. Holds whose parts have several dates are not among them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn due_before(
        &self,
        merchant: &MerchantId,
        start: Instant,
    ) -> Result<Vec<(HoldId, Decimal)>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT hold_id, left_now - blocked AS "free!" FROM holds
               WHERE merchant_id = $1 AND release_at < $2 AND left_now > blocked AND tails IS NULL
               ORDER BY release_at, order_id, term_no"#,
            merchant.as_str(),
            start as _,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("list what was due before the start"))?;
        let holds = rows.into_iter().map(|row| (HoldId(row.hold_id), row.free));
        Ok(holds.collect())
    }

    /// The requests that wait for a second person, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn proposals(&self) -> Result<Vec<Proposal>, StoreError> {
        sqlx::query_as!(
            Proposal,
            r#"SELECT o.operation_id AS id, o.kind, o.actor, o.reason, o.request, o.merchant_id,
                      o.order_id, o.hold_id, o.currency, o.amount, o.done_at AS "asked_at: Instant",
                      false AS "expired!", NULL AS "approved_by?"
               FROM operations o
               WHERE o.needs_approval AND o.done_at >= clock_timestamp() - interval '7 days'
                 AND NOT EXISTS (SELECT FROM operations a WHERE a.approves = o.operation_id)
               ORDER BY o.done_at, o.operation_id"#
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("read proposals"))
    }
}

impl Tx {
    /// A new operation's id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn operation_id(&mut self) -> Result<Uuid, StoreError> {
        sqlx::query_scalar!(r#"SELECT gen_random_uuid() AS "id!""#)
            .fetch_one(&mut *self.inner)
            .await
            .map_err(failed("name an operation"))
    }

    /// The order that a hold belongs to. Looks through the merchant's holds: for people, not for loops.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn order_of_hold(
        &mut self,
        merchant: &MerchantId,
        hold: HoldId,
    ) -> Result<Option<OrderId>, StoreError> {
        let order = sqlx::query_scalar!(
            "SELECT order_id FROM holds WHERE merchant_id = $1 AND hold_id = $2",
            merchant.as_str(),
            hold.0,
        )
        .fetch_optional(&mut *self.inner)
        .await
        .map_err(failed("find a hold"))?;
        order.map(|order| order_id(&order)).transpose()
    }

    /// What acts of this kind, each by one person alone, have let go of this order within 7 days.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn let_go_alone(
        &mut self,
        kind: &'static str,
        about: &About,
    ) -> Result<Decimal, StoreError> {
        sqlx::query_scalar!(
            r#"SELECT coalesce(sum(amount), 0) AS "sum!" FROM operations
               WHERE merchant_id = $1 AND order_id = $2 AND kind = $3 AND NOT needs_approval
                 AND done_at > clock_timestamp() - interval '7 days'"#,
            about.merchant.as_ref().map(MerchantId::as_str),
            about.order.as_ref().map(OrderId::as_str),
            kind,
        )
        .fetch_one(&mut *self.inner)
        .await
        .map_err(failed("sum what was let go"))
    }

    /// A request that needs, or needed, a second person.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn proposal(&mut self, id: Uuid) -> Result<Option<Proposal>, StoreError> {
        sqlx::query_as!(
            Proposal,
            r#"SELECT o.operation_id AS id, o.kind, o.actor, o.reason, o.request, o.merchant_id,
                      o.order_id, o.hold_id, o.currency, o.amount, o.done_at AS "asked_at: Instant",
                      o.done_at < clock_timestamp() - interval '7 days' AS "expired!",
                      a.actor AS "approved_by?"
               FROM operations o LEFT JOIN operations a ON a.approves = o.operation_id
               WHERE o.operation_id = $1 AND o.needs_approval"#,
            id,
        )
        .fetch_optional(&mut *self.inner)
        .await
        .map_err(failed("read a proposal"))
    }

    /// Keeps an operation.
    ///
    /// # Errors
    /// [`StoreError::Raced`] when it approves what another has approved.
    pub async fn keep_operation(&mut self, it: &Operation<'_>) -> Result<(), StoreError> {
        let about = &it.about;
        sqlx::query!(
            "INSERT INTO operations (operation_id, kind, actor, reason, request, merchant_id,
                 order_id, hold_id, currency, amount, needs_approval, approves)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            it.id,
            it.kind,
            it.actor,
            it.reason,
            it.request,
            about.merchant.as_ref().map(MerchantId::as_str),
            about.order.as_ref().map(OrderId::as_str),
            about.hold.map(|hold| hold.0),
            about.currency.map(Currency::code),
            about.amount.map(Amount::decimal),
            it.needs_approval,
            it.approves,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("keep an operation"))?;
        Ok(())
    }
}
