//! Orders that an agreement came late for, and the rewriting of their holds.

use super::cases::{Cases, OrderKey};
use super::types::{column, merchant_id, order_key};
use super::{Store, StoreError, Tx, failed};
use crate::rules::ids::{AgreementId, MerchantId};

impl Store {
    /// The merchant that an agreement belongs to, `*` for the platform's; `None`: there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn agreement_owner(
        &self,
        agreement: &AgreementId,
    ) -> Result<Option<MerchantId>, StoreError> {
        let owner = sqlx::query_scalar!(
            "SELECT merchant_id FROM agreements WHERE agreement_id = $1 LIMIT 1",
            agreement.as_str(),
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(failed("look for an agreement"))?;
        owner.map(|owner| merchant_id(&owner)).transpose()
    }

    /// A page of the orders, of one merchant or of all, that are held under an agreement which this
    /// one comes before (contract, section 4), after this key; each with whether a person has put
    /// its dates off.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn late_orders(
        &self,
        agreement: &AgreementId,
        merchant: Option<&MerchantId>,
        after: Option<&OrderKey>,
        limit: i64,
    ) -> Result<Vec<(OrderKey, bool)>, StoreError> {
        let from = match (after, merchant) {
            (Some((merchant, order)), _) => (merchant.as_str(), order.as_str()),
            (None, Some(merchant)) => (merchant.as_str(), ""),
            (None, None) => ("", ""),
        };
        let rows = sqlx::query!(
            r#"SELECT o.merchant_id, o.order_id,
                      EXISTS (SELECT FROM operations p
                              WHERE p.merchant_id = o.merchant_id AND p.order_id = o.order_id
                                AND p.kind = 'extend') AS "extended!"
               FROM orders o JOIN agreements a ON a.agreement_no = o.agreement_no
               WHERE (o.merchant_id, o.order_id) > ($1, $2)
                 AND o.merchant_id = coalesce($3, o.merchant_id)
                 AND EXISTS (
                     SELECT FROM agreements n
                     WHERE n.agreement_id = $4
                       AND (n.merchant_id = '*' OR n.merchant_id = o.merchant_id)
                       AND coalesce(n.body->>'currency', o.currency) = o.currency
                       AND o.completed_at >= (n.body->>'effective_from')::timestamptz
                       AND o.completed_at <=
                           coalesce((n.body->>'effective_until')::timestamptz, 'infinity')
                       AND (n.merchant_id <> '*', n.body->>'currency' IS NOT NULL,
                            (n.body->>'effective_from')::timestamptz, n.version,
                            n.agreement_id COLLATE "C")
                         > (a.merchant_id <> '*', a.body->>'currency' IS NOT NULL,
                            (a.body->>'effective_from')::timestamptz, a.version,
                            a.agreement_id COLLATE "C"))
               ORDER BY o.merchant_id, o.order_id LIMIT $5"#,
            from.0,
            from.1,
            merchant.map(MerchantId::as_str),
            agreement.as_str(),
            limit,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("list orders that an agreement came late for"))?;
        rows.into_iter()
            .map(|row| Ok((order_key(&row.merchant_id, &row.order_id)?, row.extended)))
            .collect()
    }
}

impl Tx {
    /// Takes the holds of these orders, loaded before, out of the tables, so that those that stand in
    /// the cases now are written as new ones. What they were stays in the journal.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn drop_holds(
        &mut self,
        cases: &mut Cases,
        keys: &[OrderKey],
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "DELETE FROM holds h USING unnest($1::text[], $2::text[]) AS k (merchant_id, order_id)
             WHERE h.merchant_id = k.merchant_id AND h.order_id = k.order_id",
            column(keys, |(merchant, _)| merchant.as_str().to_owned()) as _,
            column(keys, |(_, order)| order.as_str().to_owned()) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("take holds out to write them anew"))?;
        for key in keys {
            if let Some(before) = cases.get_mut(key).and_then(|case| case.before.as_mut()) {
                before.holds.clear();
            }
        }
        Ok(())
    }
}
