//! The whole book at a glance, per currency: what is held, until when, and what left. Reads every
//! hold, so it is for eyes that look now and then, not for a loop.

use rust_decimal::Decimal;

use super::types::{amount, currency};
use super::{Store, StoreError, failed};
use crate::rules::money::{Amount, Currency};
use crate::rules::time::Instant;

/// How many days ahead an overview looks, today included.
pub const DAYS_AHEAD: usize = 14;

/// Everything at one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overview {
    /// By currency code.
    pub books: Vec<Book>,
    pub counts: Counts,
}

/// One currency's sums over all merchants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Book {
    pub currency: Currency,
    /// What is left in all holds.
    pub held: Amount,
    /// The part of it that a dispute or another block keeps.
    pub blocked: Amount,
    /// What may go today (or should have gone before) and on each of the days after it, in UTC.
    pub due: [Amount; DAYS_AHEAD],
    /// What left the holds for the merchants, what they owed included.
    pub released: Amount,
    /// What the payout system says it has paid.
    pub paid: Amount,
    /// Refunds that were applied, whatever their source.
    pub refunded: Amount,
    /// What merchants owe.
    pub owed: Amount,
}

/// How many there are of what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub orders: i64,
    pub releases: i64,
    pub refunds: i64,
    pub disputes: i64,
    pub open_disputes: i64,
    /// Releases whose payout failed.
    pub failed_payouts: i64,
    pub dead_letters: i64,
    /// Messages that wait for what they belong to.
    pub parked: i64,
    /// Sales that wait for an agreement.
    pub without_agreement: i64,
}

impl Store {
    /// Looks at everything once; `now` says which day is today.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn overview(&self, now: Instant) -> Result<Overview, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT h.currency AS "currency!", h.held AS "held!", h.blocked AS "blocked!",
                      h.released AS "released!", coalesce(p.paid, 0) AS "paid!",
                      coalesce(r.refunded, 0) AS "refunded!", coalesce(o.owed, 0) AS "owed!"
               FROM (SELECT currency, sum(left_now) AS held, sum(released) AS released,
                            sum(blocked) AS blocked
                     FROM holds GROUP BY currency) h
               LEFT JOIN (SELECT currency, sum(amount) AS paid FROM payouts WHERE state = 2
                          GROUP BY currency) p USING (currency)
               LEFT JOIN (SELECT coalesce(o.currency, o.charged_in) AS currency,
                                 sum(r.amount) AS refunded
                          FROM refunds r JOIN orders o USING (merchant_id, order_id)
                          GROUP BY 1) r USING (currency)
               LEFT JOIN (SELECT currency, sum(left_now) AS owed FROM receivables
                          GROUP BY currency) o USING (currency)
               ORDER BY 1"#
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("sum up the holds"))?;
        let mut books = Vec::with_capacity(rows.len());
        for row in rows {
            let currency = currency(&row.currency)?;
            let read = |value: Decimal| amount(value, currency);
            books.push(Book {
                currency,
                held: read(row.held)?,
                blocked: read(row.blocked)?,
                due: [Amount::zero(currency); DAYS_AHEAD],
                released: read(row.released)?,
                paid: read(row.paid)?,
                refunded: read(row.refunded)?,
                owed: read(row.owed)?,
            });
        }
        self.add_due(now, &mut books).await?;
        Ok(Overview {
            books,
            counts: self.counts().await?,
        })
    }

    async fn add_due(&self, now: Instant, books: &mut [Book]) -> Result<(), StoreError> {
        let rows = sqlx::query!(
            r#"SELECT currency AS "currency!", sum(left_now - blocked) AS "due!",
                      greatest((release_at AT TIME ZONE 'UTC')::date
                               - ($1::timestamptz AT TIME ZONE 'UTC')::date, 0) AS "day!"
               FROM holds
               WHERE left_now > blocked AND release_at IS NOT NULL
                 AND release_at < $1::timestamptz + make_interval(days => $2)
               GROUP BY 1, 3"#,
            now as _,
            i32::try_from(DAYS_AHEAD).unwrap_or(i32::MAX),
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("sum up what is due"))?;
        for row in rows {
            let book = books
                .iter_mut()
                .find(|book| book.currency.code() == row.currency);
            let day = usize::try_from(row.day).unwrap_or_default();
            if let Some(book) = book
                && let Some(due) = book.due.get_mut(day)
            {
                *due = amount(row.due, book.currency)?;
            }
        }
        Ok(())
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        sqlx::query_as!(
            Counts,
            r#"SELECT
                 (SELECT count(*) FROM orders WHERE amount IS NOT NULL) AS "orders!",
                 (SELECT coalesce(sum(releases), 0)::bigint FROM holds) AS "releases!",
                 (SELECT count(*) FROM refunds) AS "refunds!",
                 (SELECT count(*) FROM disputes) AS "disputes!",
                 (SELECT count(*) FROM disputes WHERE closed_at IS NULL) AS "open_disputes!",
                 (SELECT count(*) FROM payouts WHERE state = 3) AS "failed_payouts!",
                 (SELECT count(*) FROM dead_letters) AS "dead_letters!",
                 (SELECT count(*) FROM parked) AS "parked!",
                 (SELECT count(*) FROM orders
                  WHERE agreement_no IS NULL AND amount IS NOT NULL) AS "without_agreement!""#
        )
        .fetch_one(&self.pool)
        .await
        .map_err(failed("count"))
    }
}
