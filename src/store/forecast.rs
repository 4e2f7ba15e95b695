//! A merchant's unreleased holds, page by page, for looking ahead.

use super::agreements::Catalogue;
use super::due::claim;
use super::hold_rows::HoldRow;
use super::{Store, StoreError, failed};
use crate::rules::ids::{MerchantId, OrderId};
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
        let rows = sqlx::query_as!(
            HoldRow,
            r#"SELECT h.merchant_id, h.order_id, h.term_no, h.hold_id, h.term, h.currency,
                      h.agreement_no, h.original, h.left_now, h.consumed, h.released, h.reversed,
                      h.blocked, h.barred, h.anchor_at AS "anchor_at: Instant",
                      h.cleared_at AS "cleared_at: Instant",
                      h.window_ends_at AS "window_ends_at: Instant",
                      h.eligible_at AS "eligible_at: Instant",
                      h.release_at AS "release_at: Instant",
                      h.settlement_on AS "settlement_on: jiff_sqlx::Date", h.tails,
                      h.limit_at AS "limit_at: Instant",
                      h.limit_alerted_at AS "limit_alerted_at: Instant",
                      h.calendar_version, h.releases, h.traceparent
               FROM holds h
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
        let numbers: Vec<i64> = rows.iter().map(|row| row.agreement_no).collect();
        tx.agreements_by_no(&numbers, catalogue).await?;
        tx.rollback().await?;
        rows.iter().map(|row| claim(row, catalogue)).collect()
    }
}
