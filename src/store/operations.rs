//! What people did: one row each that never changes, written in the transaction of its effects.

use uuid::Uuid;

use super::{StoreError, Tx, failed};
use crate::rules::ids::{HoldId, MerchantId, OrderId};
use crate::rules::money::{Amount, Currency};

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
