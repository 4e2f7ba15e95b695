//! Days that are over, summed up: which one is next, what it moved, and what stood at its end.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff_sqlx::ToSqlx;
use rust_decimal::Decimal;

use super::types::{amount, column, currency, unreadable};
use super::{BOOKING_LOCK, StoreError, Tx, day_number, failed};
use crate::message::outgoing::EventType;
use crate::rules::balance::Balance;
use crate::rules::control::{Accounts, Day, Movement, Released};
use crate::rules::entry::Account;
use crate::rules::money::Currency;
use crate::rules::time::Instant;

impl Tx {
    /// The day after the last one that was summed up.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next_control(&mut self) -> Result<Option<Date>, StoreError> {
        let day = sqlx::query_scalar!(
            r#"SELECT max(day_on) + 1 AS "day: jiff_sqlx::Date" FROM controls"#
        )
        .fetch_one(&mut *self.inner)
        .await
        .map_err(failed("find the next day to sum up"))?;
        Ok(day.map(jiff_sqlx::Date::to_jiff))
    }

    /// When money moved for the first time. Reads the whole journal.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn first_movement(&mut self) -> Result<Option<Instant>, StoreError> {
        self.take_time().await?;
        sqlx::query_scalar!(
            r#"SELECT min(occurred_at) AS "at: Instant" FROM journal WHERE amount IS NOT NULL"#
        )
        .fetch_one(&mut *self.inner)
        .await
        .map_err(failed("find the first movement"))
    }

    /// Makes sure, for a day that is over, that nobody is still booking with it and nobody else is
    /// summing it up; false when somebody is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn shut_day(&mut self, date: Date) -> Result<bool, StoreError> {
        sqlx::query_scalar!(
            r#"SELECT pg_try_advisory_xact_lock($1, $2) AS "shut!""#,
            BOOKING_LOCK,
            day_number(date),
        )
        .fetch_one(&mut *self.inner)
        .await
        .map_err(failed("shut a day"))
    }

    /// What stood on the accounts at the end of a day, by currency.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn closing_of(
        &mut self,
        date: Date,
    ) -> Result<BTreeMap<Currency, Accounts>, StoreError> {
        let rows = sqlx::query!(
            "SELECT currency, proceeds, held, payable, refunded, deposit, receivable, paid, platform
             FROM controls WHERE day_on = $1",
            date.to_sqlx() as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read the last day's balances"))?;
        rows.into_iter()
            .map(|row| {
                let code = currency(&row.currency)?;
                let of = |value| balance(value, code);
                let accounts = Accounts::of([
                    of(row.proceeds)?,
                    of(row.held)?,
                    of(row.payable)?,
                    of(row.refunded)?,
                    of(row.deposit)?,
                    of(row.receivable)?,
                    of(row.paid)?,
                    of(row.platform)?,
                ]);
                Ok((code, accounts))
            })
            .collect()
    }

    /// What happened in a stretch of time, by currency; reads that stretch of the journal only.
    /// Event 12 is release.issued, 50 is control.daily itself.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn booked_on(
        &mut self,
        date: Date,
        (from, until): (Instant, Instant),
    ) -> Result<BTreeMap<Currency, Day>, StoreError> {
        self.take_time().await?;
        let rows = sqlx::query!(
            r#"SELECT j.currency AS "currency!", j.event, j.debit, j.credit,
                      count(*) AS "count!", sum(j.amount) AS amount,
                      count(*) FILTER (WHERE r.attempt = 1) AS "releases!",
                      sum(r.gross) FILTER (WHERE r.attempt = 1) AS gross,
                      sum(r.recovered) FILTER (WHERE r.attempt = 1) AS recovered,
                      sum(r.to_deposit) FILTER (WHERE r.attempt = 1) AS to_deposit,
                      sum(r.amount) FILTER (WHERE r.attempt = 1) AS released
               FROM journal j
               LEFT JOIN LATERAL json_to_record(CASE WHEN j.event = 12 THEN j.data::json END)
                   AS r (attempt integer, gross numeric, recovered numeric, to_deposit numeric,
                         amount numeric) ON true
               WHERE j.occurred_at >= $1 AND j.occurred_at < $2
                 AND j.currency IS NOT NULL AND j.event <> 50
               GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"#,
            from as _,
            until as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("sum up a day"))?;
        let mut days = BTreeMap::new();
        for row in rows {
            let code = currency(&row.currency)?;
            let day = days.entry(code).or_insert_with(|| Day::quiet(code, date));
            let of = |value: Option<Decimal>| balance(value.unwrap_or_default(), code);
            let count = u64::try_from(row.count).unwrap_or_default();
            day.events += count;
            if let (Some(debit), Some(credit)) = (row.debit, row.credit) {
                let event = EventType::from_number(row.event)
                    .ok_or_else(|| StoreError::Unreadable(format!("event number {}", row.event)))?;
                day.movements.push(Movement {
                    type_name: event.as_str(),
                    debit: account(debit)?,
                    credit: account(credit)?,
                    count,
                    amount: of(row.amount)?,
                });
            }
            let more = Released {
                count: u64::try_from(row.releases).unwrap_or_default(),
                gross: of(row.gross)?,
                recovered: of(row.recovered)?,
                to_deposit: of(row.to_deposit)?,
                amount: of(row.released)?,
            };
            day.released = day.released.plus(&more).map_err(|it| unreadable(&it))?;
        }
        Ok(days)
    }

    /// Keeps what stands on the accounts at the end of a day.
    ///
    /// # Errors
    /// [`StoreError::Raced`] when somebody else has done so.
    pub async fn save_controls(
        &mut self,
        date: Date,
        closing: &[(Currency, Accounts)],
    ) -> Result<(), StoreError> {
        let mut columns: [Vec<Decimal>; 8] = Default::default();
        for (_, accounts) in closing {
            for (column, balance) in columns.iter_mut().zip(accounts.balances()) {
                column.push(balance.decimal().map_err(|it| unreadable(&it))?);
            }
        }
        let [
            proceeds,
            held,
            payable,
            refunded,
            deposit,
            receivable,
            paid,
            platform,
        ] = columns;
        sqlx::query!(
            "INSERT INTO controls (day_on, currency, proceeds, held, payable, refunded, deposit,
                 receivable, paid, platform)
             SELECT $1, * FROM unnest($2::text[], $3::numeric[], $4::numeric[], $5::numeric[],
                 $6::numeric[], $7::numeric[], $8::numeric[], $9::numeric[], $10::numeric[])",
            date.to_sqlx() as _,
            column(closing, |(currency, _)| currency.code().to_owned()) as _,
            proceeds as _,
            held as _,
            payable as _,
            refunded as _,
            deposit as _,
            receivable as _,
            paid as _,
            platform as _,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("keep a day's balances"))?;
        Ok(())
    }

    /// Lets the next statements take a quarter of an hour: they may read millions of lines.
    async fn take_time(&mut self) -> Result<(), StoreError> {
        sqlx::query!("SET LOCAL statement_timeout = '15min'")
            .execute(&mut *self.inner)
            .await
            .map_err(failed("take time"))?;
        Ok(())
    }
}

/// A column's sum, which may be below zero.
fn balance(value: Decimal, currency: Currency) -> Result<Balance, StoreError> {
    let size = Balance::of(amount(value.abs(), currency)?);
    if value.is_sign_negative() {
        return size.negated().map_err(|error| unreadable(&error));
    }
    Ok(size)
}

fn account(number: i16) -> Result<Account, StoreError> {
    Account::from_number(number)
        .ok_or_else(|| StoreError::Unreadable(format!("account number {number}")))
}
