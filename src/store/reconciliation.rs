//! Taking over what the output topics hold and the journal had lost, and what is done about it until
//! all of it is decided again. See [`crate::reconcile`].

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use uuid::Uuid;

use super::cases::OrderKey;
use super::elsewhere::{Published, published_release};
use super::types::{column, content, merchant_id, order_key};
use super::{Store, StoreError, Tx, failed};
use crate::rules::entry::Account;
use crate::rules::fact::{PayoutResult, PayoutSubject};
use crate::rules::ids::{CreditId, ReleaseId};
use crate::rules::time::Instant;

/// What moves no money and is not made again where a release has gone before what it followed, or
/// where it was the clock's: hold.rescheduled, hold.blocked, hold.unblocked, hold.limit_reached,
/// settlement.closed, settlement.skipped, review.reminded, review.overdue.
const MAY_BE_MISSING: [i16; 8] = [3, 4, 5, 8, 13, 14, 41, 42];

/// A released settlement part, as the topic tells it.
#[derive(Debug, Clone)]
pub struct PublishedPart {
    pub merchant_id: String,
    pub currency: String,
    pub settlement_on: jiff::civil::Date,
    pub settlement_id: Uuid,
    pub part: i32,
    pub closed: bool,
    pub settled_at: Instant,
    pub releases: i64,
    pub gross: Decimal,
    pub recovered: Decimal,
    pub to_deposit: Decimal,
    pub first_sequence: i64,
    pub last_sequence: i64,
}

impl Store {
    /// The last sequence of each merchant, and how far it was published.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sequences(&self) -> Result<BTreeMap<String, (i64, i64)>, StoreError> {
        let rows =
            sqlx::query!("SELECT merchant_id, last_sequence, published_sequence FROM merchants")
                .fetch_all(&self.pool)
                .await
                .map_err(failed("read the merchants' sequences"))?;
        Ok(rows
            .into_iter()
            .map(|row| (row.merchant_id, (row.last_sequence, row.published_sequence)))
            .collect())
    }

    /// Published events that are still to be decided again, or were decided otherwise, in the order of
    /// the topics.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn still_published(&self, limit: i64) -> Result<Vec<Published>, StoreError> {
        sqlx::query_as!(
            Published,
            r#"SELECT merchant_id, event_id, sequence, previous, event,
                      occurred_at AS "occurred_at: Instant", order_id, hold_id, currency, subject,
                      data, traceparent, contradiction, taken
               FROM published_elsewhere WHERE NOT taken
               ORDER BY merchant_id COLLATE "C", sequence LIMIT $1"#,
            limit,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("read what was published elsewhere"))
    }

    /// How many those are.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_still_published(&self) -> Result<i64, StoreError> {
        sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM published_elsewhere WHERE NOT taken"#
        )
        .fetch_one(&self.pool)
        .await
        .map_err(failed("count what was published elsewhere"))
    }

    /// Orders whose holds are there and have a published release to give.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn foretold_orders(&self, limit: i64) -> Result<Vec<OrderKey>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT DISTINCT e.merchant_id, e.order_id AS "order_id!"
               FROM published_elsewhere e
               JOIN holds h ON h.merchant_id = e.merchant_id AND h.order_id = e.order_id
                AND h.hold_id = e.hold_id
               WHERE e.event = 12 AND NOT e.taken AND e.contradiction IS NULL
               ORDER BY 1, 2 LIMIT $1"#,
            limit,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed("look for published releases"))?;
        rows.into_iter()
            .map(|row| order_key(&row.merchant_id, &row.order_id))
            .collect()
    }
}

impl Tx {
    /// Takes over what the topics hold: the events wait to be decided again, under numbers that nobody
    /// else gets; settlements stand where the topics say.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_over(
        &mut self,
        events: &[Published],
        last: &[(String, i64, i64, i64)],
        operation: Uuid,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO published_elsewhere (merchant_id, event_id, sequence, previous, event,
                 occurred_at, order_id, hold_id, currency, subject, data, traceparent, imported_at,
                 operation_id)
             SELECT *, $14, $13 FROM unnest($1::text[], $2::uuid[], $3::bigint[],
                 $4::bigint[], $5::smallint[], $6::timestamptz[], $7::text[], $8::uuid[],
                 $9::text[], $10::text[], $11::text[], $12::text[])",
            column(events, |e| e.merchant_id.clone()) as _,
            column(events, |e| e.event_id) as _,
            column(events, |e| e.sequence) as _,
            column(events, |e| e.previous) as _,
            column(events, |e| e.event) as _,
            column(events, |e| e.occurred_at) as _,
            column(events, |e| e.order_id.clone()) as _,
            column(events, |e| e.hold_id) as _,
            column(events, |e| e.currency.clone()) as _,
            column(events, |e| e.subject.clone()) as _,
            column(events, |e| e.data.clone()) as _,
            column(events, |e| e.traceparent.clone()) as _,
            operation,
            self.now as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("take over what was published"))?;
        sqlx::query!(
            "INSERT INTO merchants AS m (merchant_id, last_sequence, published_sequence,
                 last_release_sequence, last_event_sequence)
             SELECT merchant_id, last, last, release, event
             FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[])
               AS u (merchant_id, last, release, event)
             ON CONFLICT (merchant_id) DO UPDATE SET
                 last_sequence = excluded.last_sequence,
                 published_sequence = excluded.published_sequence,
                 last_release_sequence =
                     greatest(m.last_release_sequence, excluded.last_release_sequence),
                 last_event_sequence =
                     greatest(m.last_event_sequence, excluded.last_event_sequence)",
            column(last, |it| it.0.clone()) as _,
            column(last, |it| it.1) as _,
            column(last, |it| it.2) as _,
            column(last, |it| it.3) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("continue the merchants' sequences"))?;
        Ok(())
    }

    /// Lets settlements stand where the topics say: behind each closed part, in each open one with its
    /// releases. In the order of the topics.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_over_settlements(
        &mut self,
        parts: &[PublishedPart],
    ) -> Result<(), StoreError> {
        for it in parts {
            let next = if it.closed {
                it.part.saturating_add(1)
            } else {
                it.part
            };
            sqlx::query!(
                "INSERT INTO settlements AS s (merchant_id, currency, settlement_on, settlement_id,
                     settled_at, part, releases, gross, recovered, to_deposit, first_sequence,
                     last_sequence)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
                 ON CONFLICT (merchant_id, currency, settlement_on) DO UPDATE SET
                     part = excluded.part, settled_at = greatest(s.settled_at, excluded.settled_at),
                     releases = CASE WHEN $13 THEN 0 WHEN s.part < excluded.part THEN excluded.releases
                         ELSE s.releases + excluded.releases END,
                     gross = CASE WHEN $13 THEN 0 WHEN s.part < excluded.part THEN excluded.gross
                         ELSE s.gross + excluded.gross END,
                     recovered = CASE WHEN $13 THEN 0 WHEN s.part < excluded.part
                         THEN excluded.recovered ELSE s.recovered + excluded.recovered END,
                     to_deposit = CASE WHEN $13 THEN 0 WHEN s.part < excluded.part
                         THEN excluded.to_deposit ELSE s.to_deposit + excluded.to_deposit END,
                     first_sequence = coalesce(s.first_sequence, excluded.first_sequence),
                     last_sequence = greatest(s.last_sequence, excluded.last_sequence)",
                it.merchant_id,
                it.currency,
                jiff_sqlx::ToSqlx::to_sqlx(it.settlement_on) as _,
                it.settlement_id,
                it.settled_at as _,
                next,
                if it.closed { 0 } else { it.releases },
                if it.closed { Decimal::ZERO } else { it.gross },
                if it.closed { Decimal::ZERO } else { it.recovered },
                if it.closed { Decimal::ZERO } else { it.to_deposit },
                it.first_sequence,
                it.last_sequence,
                it.closed,
            )
            .execute(&mut *self.inner)
            .await
            .map_err(failed("take over settlements"))?;
        }
        Ok(())
    }

    /// Goes on from here: dead letters that the topic holds are not published again, the topics are
    /// read on from these positions, and nothing contradicts them any more.
    ///
    /// # Errors
    /// [`StoreError::LostPartition`] when another process publishes now.
    pub async fn end_fault(
        &mut self,
        (epoch, identity): (i64, &str),
        buried: &[(String, i32, i64)],
        positions: &[((String, i32), i64)],
    ) -> Result<(), StoreError> {
        self.note_published((epoch, identity), &[], positions)
            .await?;
        self.dead_letters_published(buried).await?;
        sqlx::query!(
            "INSERT INTO buried_elsewhere SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[])
             ON CONFLICT DO NOTHING",
            column(buried, |it| it.0.clone()) as _,
            column(buried, |it| it.1) as _,
            column(buried, |it| it.2) as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("take over dead letters"))?;
        sqlx::query!("UPDATE publisher SET fault = NULL")
            .execute(&mut *self.inner)
            .await
            .map_err(failed("end the fault"))?;
        Ok(())
    }

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
        sqlx::query!(
            r#"SELECT merchant_id FROM merchants WHERE merchant_id = ANY($1)
               ORDER BY merchant_id COLLATE "C" FOR UPDATE"#,
            &merchants[..],
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("lock merchants"))?;
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
        sqlx::query!(
            "DELETE FROM credits WHERE merchant_id = $1 AND credit_id = $2",
            merchant,
            credit,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("release a credit as published"))?;
        Ok(Some(release.gross.decimal()))
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
