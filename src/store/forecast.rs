//! Unreleased holds, page by page, for looking ahead: a merchant's, or those of a settlement date.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff_sqlx::ToSqlx;

use super::agreements::Catalogue;
use super::hold_rows::hold_rows;
use super::types::{currency, merchant_id};
use super::{Store, StoreError, failed};
use crate::rules::ids::{MerchantId, OrderId};
use crate::rules::money::Currency;
use crate::rules::release::Claim;
use crate::rules::time::Instant;

/// Holds of a page.
const PAGE: i64 = 2_000;

impl Store {
    /// The merchant's holds with something left after this one, in the order of their key; none at
    /// the end. `catalogue` remembers the agreements between pages.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unreleased(
        &self,
        merchant: &MerchantId,
        after: Option<(&OrderId, u16)>,
        catalogue: &mut Catalogue,
    ) -> Result<Vec<Claim>, StoreError> {
        let mut tx = self.begin().await?;
        let term = after.map_or(-1, |(_, term)| i16::try_from(term).unwrap_or(i16::MAX));
        let rows = hold_rows!(
            r#"FROM holds h
               WHERE h.merchant_id = $1 AND (h.order_id, h.term_no) > ($2, $3)
                 AND h.left_now > 0
               ORDER BY h.order_id, h.term_no LIMIT $4"#,
            merchant.as_str(),
            after.map_or("", |(order, _)| order.as_str()),
            term,
            PAGE,
        )
        .fetch_all(&mut *tx.inner)
        .await
        .map_err(failed("read unreleased holds"))?;
        let claims = tx.claims(&rows, catalogue).await?;
        tx.rollback().await?;
        Ok(claims)
    }

    /// A page of the unreleased holds, of all merchants or of one, that may have money which settles on
    /// this date or before, after this key in its order; none at the end.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn dated(
        &self,
        on: Date,
        merchant: Option<&MerchantId>,
        after: Option<(MerchantId, OrderId, u16)>,
        catalogue: &mut Catalogue,
    ) -> Result<Vec<Claim>, StoreError> {
        if let Some(merchant) = merchant {
            let after = after.as_ref().map(|(_, order, term)| (order, *term));
            return self.unreleased(merchant, after, catalogue).await;
        }
        let mut tx = self.begin().await?;
        let (merchant, order, term) = match &after {
            Some((merchant, order, term)) => (merchant.as_str(), order.as_str(), *term),
            None => ("", "", 0),
        };
        let rows = hold_rows!(
            r#"FROM holds h
               WHERE (h.merchant_id, h.order_id, h.term_no) > ($1, $2, $3) AND h.left_now > 0
                 AND (h.settlement_on <= $4 OR h.tails IS NOT NULL OR h.limit_at <= $4::date + 2)
               ORDER BY h.merchant_id, h.order_id, h.term_no LIMIT $5"#,
            merchant,
            order,
            i16::try_from(term).unwrap_or(i16::MAX),
            on.to_sqlx() as _,
            PAGE,
        )
        .fetch_all(&mut *tx.inner)
        .await
        .map_err(failed("read what settles on a date"))?;
        let claims = tx.claims(&rows, catalogue).await?;
        tx.rollback().await?;
        Ok(claims)
    }

    /// The settlements of a date of which something has been released.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begun_settlements(
        &self,
        on: Date,
    ) -> Result<BTreeSet<(MerchantId, Currency)>, StoreError> {
        let rows = sqlx::query!(
            "SELECT merchant_id, currency FROM settlements
             WHERE settlement_on = $1 AND NOT skipped",
            on.to_sqlx() as _,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("read begun settlements"))?;
        rows.into_iter()
            .map(|row| Ok((merchant_id(&row.merchant_id)?, currency(&row.currency)?)))
            .collect()
    }
}
