//! What people do to one hold: its money let go before its time, its dates put off.

use super::{Act, Operator, OperatorError, Outcome, Request, refuse};
use crate::rules::ids::{HoldId, MerchantId, OrderId};
use crate::store::Tx;

impl Operator {
    /// Puts a hold's dates off.
    pub(super) async fn extend(
        &self,
        tx: &mut Tx,
        request: &Request,
        act: Act<'_>,
        (merchant, hold): (&MerchantId, HoldId),
    ) -> Result<Outcome, OperatorError> {
        let key = (merchant.clone(), home(tx, merchant, hold).await?);
        self.on_order(tx, request, act, key, None).await
    }

    /// Releases of a hold what is not blocked.
    pub(super) async fn release_early(
        &self,
        tx: &mut Tx,
        request: &Request,
        act: Act<'_>,
        (merchant, hold): (&MerchantId, HoldId),
    ) -> Result<Outcome, OperatorError> {
        let pauses = tx.hold_pauses().await?;
        self.pass(tx, act.asked_at).await?;
        let key = (merchant.clone(), home(tx, merchant, hold).await?);
        self.on_order(tx, request, act, key, Some(&pauses)).await
    }
}

/// The order that a hold belongs to.
async fn home(tx: &mut Tx, merchant: &MerchantId, hold: HoldId) -> Result<OrderId, OperatorError> {
    match tx.order_of_hold(merchant, hold).await? {
        Some(order) => Ok(order),
        None => refuse(format!("merchant {merchant} has no hold {hold}")),
    }
}
