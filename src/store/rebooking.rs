//! What is done about events that were taken over, until all of them are decided again or stand as
//! they were published. See [`crate::reconcile`].

use rust_decimal::Decimal;
use uuid::Uuid;

use super::elsewhere::published_release;
use super::types::{column, content, merchant_id};
use super::{StoreError, Tx, failed};
use crate::rules::entry::Account;
use crate::rules::fact::{PayoutResult, PayoutSubject};
use crate::rules::ids::{CreditId, ReleaseId};
use crate::rules::time::Instant;

/// What moves no money and is not made again where a release has gone before what it followed, or
/// where it was the clock's: `hold.rescheduled`, `hold.blocked`, `hold.unblocked`,
/// `hold.limit_reached`, `settlement.closed`, `settlement.skipped`, `review.reminded`, `review.overdue`.
const MAY_BE_MISSING: [i16; 8] = [3, 4, 5, 8, 13, 14, 41, 42];

impl Tx {
    /// Books what published releases have paid of debts and into deposits, and releases of credits, as
    /// far as the releases are booked and the debts and credits are there; answers how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn book_published(&mut self, limit: i64) -> Result<usize, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT e.merchant_id, e.event_id, e.event, e.currency AS "currency!", e.data,
                      (e.data::json->>'amount')::numeric AS "amount!",
                      (e.data::json->>'receivable_id')::uuid AS receivable_id
               FROM published_elsewhere e
               WHERE NOT e.taken AND e.contradiction IS NULL
                 AND (e.event = 11 AND e.data::json->>'by' = 'release'
                      OR e.event = 31 AND e.data::json->>'by' = 'top_up'
                      OR e.event = 12 AND e.hold_id IS NULL AND e.data::json->>'attempt' = '1')
                 AND (e.event = 12 OR NOT EXISTS (
                     SELECT FROM published_elsewhere p
                     WHERE p.merchant_id = e.merchant_id AND p.event = 12 AND NOT p.taken
                       AND p.data::json->>'release_id' = e.data::json->>'release_id'))
               ORDER BY e.merchant_id COLLATE "C", e.sequence LIMIT $1"#,
            limit,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("look for what releases paid"))?;
        let merchants = column(&rows, |row| row.merchant_id.clone());
        self.lock_merchants(&merchants).await?;
        let mut booked = 0;
        for row in rows {
            let (merchant, id) = (row.merchant_id.as_str(), row.event_id);
            let moved = match row.event {
                11 => {
                    let found = self
                        .pay_debt(merchant, row.receivable_id, row.amount)
                        .await?;
                    found.then_some((Account::Payable, Account::Receivable, row.amount))
                }
                31 => {
                    self.top_up(merchant, &row.currency, row.amount).await?;
                    Some((Account::Payable, Account::Deposit, row.amount))
                }
                _ => {
                    let gross = self
                        .let_credit_go(merchant, &row.currency, &row.data)
                        .await?;
                    gross.map(|gross| (Account::Held, Account::Payable, gross))
                }
            };
            if let Some(moved) = moved {
                booked += self.book_as_published(merchant, id, moved).await?;
            }
        }
        Ok(booked)
    }

    async fn pay_debt(
        &mut self,
        merchant: &str,
        debt: Option<Uuid>,
        amount: Decimal,
    ) -> Result<bool, StoreError> {
        let paid = sqlx::query!(
            "UPDATE receivables SET left_now = left_now - $3
             WHERE merchant_id = $1 AND receivable_id = $2 AND left_now >= $3",
            merchant,
            debt,
            amount,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("pay a debt as published"))?;
        Ok(paid.rows_affected() > 0)
    }

    async fn top_up(
        &mut self,
        merchant: &str,
        currency: &str,
        amount: Decimal,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO deposits AS d (merchant_id, currency, balance) VALUES ($1, $2, $3)
             ON CONFLICT (merchant_id, currency) DO UPDATE SET balance = d.balance + $3",
            merchant,
            currency,
            amount,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("top a deposit up as published"))?;
        Ok(())
    }

    /// The credit behind a published release, which is then gone; its amount.
    async fn let_credit_go(
        &mut self,
        merchant: &str,
        currency: &str,
        data: &str,
    ) -> Result<Option<Decimal>, StoreError> {
        let release = published_release(data, currency)?;
        let credits = sqlx::query!(
            "SELECT credit_id FROM credits WHERE merchant_id = $1 AND currency = $2 AND amount = $3
             FOR UPDATE",
            merchant,
            currency,
            release.gross.decimal(),
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("look for a credit"))?;
        let mut ids = credits.into_iter().map(|row| row.credit_id);
        let found = ids.find(|id| ReleaseId::of_credit(CreditId(*id)) == release.release_id);
        let Some(credit) = found else {
            return Ok(None);
        };
        self.drop_credit(merchant, credit).await?;
        Ok(Some(release.gross.decimal()))
    }

    pub(super) async fn drop_credit(
        &mut self,
        merchant: &str,
        credit: Uuid,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "DELETE FROM credits WHERE merchant_id = $1 AND credit_id = $2",
            merchant,
            credit,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("release a credit as published"))?;
        Ok(())
    }

    async fn book_as_published(
        &mut self,
        merchant: &str,
        id: Uuid,
        (debit, credit, amount): (Account, Account, Decimal),
    ) -> Result<usize, StoreError> {
        let booked = sqlx::query!(
            "WITH e AS (DELETE FROM published_elsewhere WHERE merchant_id = $1 AND event_id = $2
                        RETURNING *)
             INSERT INTO journal (merchant_id, sequence, previous, event, event_id, occurred_at,
                 order_id, hold_id, currency, debit, credit, amount, subject, data, traceparent,
                 operation_id)
             SELECT merchant_id, sequence, previous, event, event_id, occurred_at, order_id,
                 hold_id, currency, $3, $4, $5, subject, data, traceparent, operation_id FROM e",
            merchant,
            id,
            debit.number(),
            credit.number(),
            amount,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("book as published"))?;
        Ok(usize::try_from(booked.rows_affected()).unwrap_or_default())
    }

    /// Once all of the input has been read that there was at the take-over: lets what moves no money and
    /// was not decided again stand as it was published; answers how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn let_stand(&mut self, topics: &[String]) -> Result<u64, StoreError> {
        let stood = sqlx::query!(
            "WITH e AS (
                 UPDATE published_elsewhere SET taken = true
                 WHERE NOT taken AND contradiction IS NULL AND event = ANY($1)
                   AND (event NOT IN (4, 5) OR data::json->>'block' NOT IN ('manual', 'legal'))
                   AND imported_at <= (
                       SELECT CASE WHEN bool_and(fresh_at IS NOT NULL AND halted IS NULL)
                           THEN min(fresh_at) END
                       FROM unnest($2::text[]) AS t (topic)
                       LEFT JOIN positions p ON p.topic = t.topic)
                 RETURNING *)
             INSERT INTO journal (merchant_id, sequence, previous, event, event_id, occurred_at,
                 order_id, hold_id, currency, subject, data, traceparent, operation_id)
             SELECT merchant_id, sequence, previous, event, event_id, occurred_at, order_id,
                 hold_id, currency, subject, data, traceparent, operation_id FROM e",
            &MAY_BE_MISSING[..],
            topics,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("let published events stand"))?;
        Ok(stood.rows_affected())
    }

    /// A person's word that what is still published and not decided again, or decided otherwise, is
    /// seen to: it stands in the journal as it is. Releases that are not booked never do. Answers how
    /// many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn accept_published(&mut self, operation: Uuid) -> Result<u64, StoreError> {
        let accepted = sqlx::query!(
            "WITH seen AS (
                 UPDATE published_elsewhere SET taken = true
                 WHERE NOT taken AND (contradiction IS NOT NULL OR event NOT IN (12, 20))
                 RETURNING *),
             stood AS (
                 INSERT INTO journal (merchant_id, sequence, previous, event, event_id, occurred_at,
                     order_id, hold_id, currency, subject, data, traceparent, operation_id)
                 SELECT merchant_id, sequence, previous, event, event_id, occurred_at, order_id,
                     hold_id, currency, subject, data, traceparent, $1 FROM seen
                 WHERE contradiction IS NULL)
             SELECT count(*) AS count FROM seen",
            operation,
        )
        .fetch_one(&mut *self.inner)
        .await
        .map_err(failed("accept published events"))?;
        Ok(u64::try_from(accepted.count.unwrap_or_default()).unwrap_or_default())
    }

    /// Takes out the payout results that named no release when they came and name one now.
    ///
    /// # Errors
    /// When the database fails, or holds what this version can't read.
    pub async fn unpark_payouts(&mut self, limit: i64) -> Result<Vec<PayoutResult>, StoreError> {
        let rows = sqlx::query!(
            r#"WITH found AS MATERIALIZED (
                   SELECT r.merchant_id, r.subject, r.attempt, r.paid,
                          EXISTS (SELECT FROM settlements s WHERE s.merchant_id = r.merchant_id
                              AND s.settlement_id = r.subject) AS settlement
                   FROM payout_results r
                   WHERE NOT r.known
                     AND (EXISTS (SELECT FROM journal j WHERE j.merchant_id = r.merchant_id
                              AND j.event = 12 AND j.subject = r.subject::text)
                          OR EXISTS (SELECT FROM settlements s WHERE s.merchant_id = r.merchant_id
                              AND s.settlement_id = r.subject)
                          AND NOT EXISTS (SELECT FROM published_elsewhere e
                              WHERE e.merchant_id = r.merchant_id AND e.event = 12 AND NOT e.taken))
                   LIMIT $1)
               DELETE FROM payout_results r USING found f
               WHERE r.merchant_id = f.merchant_id AND r.subject = f.subject
                 AND r.attempt = f.attempt AND r.paid = f.paid
               RETURNING r.merchant_id, r.subject, r.attempt, r.paid, r.content,
                   r.answered_at AS "answered_at: Instant", f.settlement AS "settlement!""#,
            limit,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("look for payout results"))?;
        rows.into_iter()
            .map(|row| {
                Ok(PayoutResult {
                    merchant: merchant_id(&row.merchant_id)?,
                    subject: if row.settlement {
                        PayoutSubject::Settlement(crate::rules::ids::SettlementId(row.subject))
                    } else {
                        PayoutSubject::Release(ReleaseId(row.subject))
                    },
                    attempt: u32::try_from(row.attempt).unwrap_or_default(),
                    paid: row.paid,
                    at: row.answered_at,
                    reason: None,
                    content: content(&row.content)?,
                    traceparent: None,
                })
            })
            .collect()
    }

    /// True while days can't be summed up: what they come to is not decided again yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn days_are_open(&mut self) -> Result<bool, StoreError> {
        sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM published_elsewhere WHERE NOT taken AND event <> 50)
                   AS "open!""#
        )
        .fetch_one(&mut *self.inner)
        .await
        .map_err(failed("look for what was published elsewhere"))
    }
}
