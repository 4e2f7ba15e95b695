//! The open reviews, for whoever decides them.

use std::fmt;

use rust_decimal::Decimal;

use super::{Store, StoreError, failed};
use crate::rules::ids::MerchantId;
use crate::rules::time::Instant;

/// Most reviews that are listed at once.
const LISTED: i64 = 1_000;

/// A review that nobody has ended.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct OpenReview {
    pub merchant_id: String,
    pub order_id: String,
    pub review_id: String,
    /// Null: the order's amount asked for it.
    pub reason: Option<String>,
    pub amount: Option<Decimal>,
    pub currency: Option<String>,
    pub asked_at: Instant,
    pub respond_by: Instant,
    pub answered_at: Option<Instant>,
    pub answer: Option<String>,
    /// https URLs; never fetched.
    pub evidence: Option<Vec<String>>,
    /// Until when a person should decide; null while the merchant may still answer.
    pub decide_by: Option<Instant>,
    /// Somebody is late: the merchant with the answer or a person with the decision.
    pub late: bool,
}

impl fmt::Display for OpenReview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}  of order {} of merchant {}",
            self.review_id, self.order_id, self.merchant_id
        )?;
        if let (Some(amount), Some(currency)) = (&self.amount, &self.currency) {
            write!(f, " over {amount} {currency}")?;
        }
        match &self.reason {
            Some(reason) => write!(f, ", asked for because of: {reason}")?,
            None => f.write_str(", asked for by the amount")?,
        }
        match (self.answered_at, &self.answer) {
            (Some(at), Some(answer)) => write!(f, "; answered at {at}: {answer}")?,
            _ => write!(f, "; to be answered by {}", self.respond_by)?,
        }
        for url in self.evidence.iter().flatten() {
            write!(f, " {url}")?;
        }
        if let Some(at) = self.decide_by {
            write!(f, "; to be decided by {at}")?;
        }
        f.write_str(if self.late { "; LATE" } else { "" })
    }
}

impl Store {
    /// The open reviews of a merchant or of all, those on which somebody is late first, then by what
    /// is to be done next; at most 1,000.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_reviews(
        &self,
        merchant: Option<&MerchantId>,
    ) -> Result<Vec<OpenReview>, StoreError> {
        sqlx::query_as!(
            OpenReview,
            r#"SELECT r.merchant_id, r.order_id, r.review_id, r.reason, o.amount AS "amount?",
                      o.currency AS "currency?", r.asked_at AS "asked_at: Instant",
                      r.respond_by AS "respond_by: Instant",
                      r.answered_at AS "answered_at: Instant", r.answer, r.evidence,
                      r.decide_by AS "decide_by: Instant", r.overdue OR r.alerts > 0 AS "late!"
               FROM reviews r
               JOIN orders o ON o.merchant_id = r.merchant_id AND o.order_id = r.order_id
               WHERE r.closed_at IS NULL AND ($1::text IS NULL OR r.merchant_id = $1)
               ORDER BY "late!" DESC, coalesce(r.decide_by, r.respond_by), r.merchant_id, r.review_id
               LIMIT $2"#,
            merchant.map(MerchantId::as_str),
            LISTED,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("list open reviews"))
    }
}
