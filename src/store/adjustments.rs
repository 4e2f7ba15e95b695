//! Adjustments by their key, with why and by whom they were posted.

use std::collections::HashMap;

use super::types::{column, content, merchant_id};
use super::{StoreError, Tx, failed};
use crate::rules::adjustment::Adjustment;
use crate::rules::entry::Direction;
use crate::rules::fact::ContentHash;
use crate::rules::ids::MerchantId;

/// An adjustment's key.
pub type AdjustmentKey = (MerchantId, String);

/// The key of an adjustment.
#[must_use]
pub fn adjustment_key(fact: &Adjustment) -> AdjustmentKey {
    (fact.merchant.clone(), fact.adjustment.to_string())
}

impl Tx {
    /// Digests of the adjustments that are known under these keys. Their merchants must be locked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn known_adjustments(
        &mut self,
        facts: &[&Adjustment],
    ) -> Result<HashMap<AdjustmentKey, ContentHash>, StoreError> {
        let rows = sqlx::query!(
            "SELECT a.merchant_id, a.adjustment_id, a.content
             FROM adjustments a
             JOIN unnest($1::text[], $2::text[]) AS k (merchant_id, adjustment_id)
               ON a.merchant_id = k.merchant_id AND a.adjustment_id = k.adjustment_id",
            column(facts, |f| f.merchant.as_str().to_owned()) as _,
            column(facts, |f| f.adjustment.as_str().to_owned()) as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read adjustments"))?;
        rows.into_iter()
            .map(|row| {
                let key = (merchant_id(&row.merchant_id)?, row.adjustment_id);
                Ok((key, content(&row.content)?))
            })
            .collect()
    }

    /// Notes adjustments that were applied.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn save_adjustments(&mut self, facts: &[&Adjustment]) -> Result<(), StoreError> {
        if facts.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "INSERT INTO adjustments (merchant_id, adjustment_id, currency, amount, credit,
                 order_id, reason, actor, happened_at, content)
             SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::numeric[],
                 $5::boolean[], $6::text[], $7::text[], $8::text[], $9::timestamptz[],
                 $10::bytea[])",
            column(facts, |f| f.merchant.as_str().to_owned()) as _,
            column(facts, |f| f.adjustment.as_str().to_owned()) as _,
            column(facts, |f| f.currency.code().to_owned()) as _,
            column(facts, |f| f.amount.decimal()) as _,
            column(facts, |f| f.direction == Direction::Credit) as _,
            column(facts, |f| f.order.as_ref().map(|id| id.as_str().to_owned())) as _,
            column(facts, |f| f.reason.clone()) as _,
            column(facts, |f| f.actor.clone()) as _,
            column(facts, |f| f.at) as _,
            column(facts, |f| f.content.0.to_vec()) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("write adjustments"))?;
        Ok(())
    }
}
