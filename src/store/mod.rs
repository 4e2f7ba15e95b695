//! The only SQL. One file per table or aggregate; every statement works on a set of rows and is
//! checked against the schema when it is compiled.
//!
//! What a statement costs follows the set that it is given, not the table: many keys are looked up one
//! by one (`CROSS JOIN LATERAL` a query that can't be pulled up, by `FOR UPDATE`, `ORDER BY` or
//! `OFFSET 0`), since for a join the planner may read a growing table whole. Keys that are locked
//! come sorted.
//!
//! A transaction is never cancelled half-way: nobody wraps these futures in a timeout or a select.
//! Rows are locked in one order everywhere: positions, pauses, deployment, catalogue, orders of reviews, orders, holds, merchants,
//! receivables, deposits, settlements; inside a table by key. New lines need their merchant's row only at the
//! end; who meets open receivables takes it before them.

pub mod adjustments;
pub mod agreements;
pub mod audit;
pub mod books;
mod calendars;
pub mod cases;
pub mod catalogue;
pub mod catchup;
mod causes;
mod connection;
mod controls;
pub mod credit_releases;
pub mod credits;
pub mod dead_letters;
pub mod deployment;
pub mod deposits;
pub mod due;
mod effect_writes;
mod effects;
pub mod elsewhere;
pub mod forecast;
pub mod history;
mod hold_rows;
mod hold_writes;
pub mod imports;
pub mod journal;
mod numbers;
pub mod open_reviews;
pub mod operations;
pub mod orders;
pub mod overview;
pub mod parked;
pub mod pauses;
pub mod payouts;
pub mod positions;
pub mod publication;
pub mod reapply;
pub mod rebooking;
pub mod receivables;
pub mod reconciliation;
pub mod recovery;
pub mod reissues;
pub mod replays;
pub mod reviews;
pub mod settlements;
pub mod shards;
pub mod strays;
mod types;
pub mod vitals;
pub mod waiting;
pub mod writes;

use std::time::Duration;

use jiff::civil::Date;
use sqlx::{PgPool, Postgres, Transaction};

use crate::clock::{self, Clock};
use crate::planted::{self, Bug, Point, is_planted};
use crate::rules::control::day_of;
use crate::rules::time::Instant;

/// The schema, as numbered steps.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("schemas/migrations");

/// The first half of the locks by which days are kept open; the second is the day's number.
const BOOKING_LOCK: i32 = 0x686f_6c64;

/// What can go wrong with the database, by what the caller should do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Passes by itself: try the whole transaction again after a pause.
    #[error("the database could not {what} now")]
    Retry {
        what: &'static str,
        #[source]
        source: sqlx::Error,
    },
    /// A row that the schema refuses: one message of the batch is the reason.
    #[error("the database refused to {what}")]
    Data {
        what: &'static str,
        #[source]
        source: sqlx::Error,
    },
    /// Somebody else has moved a position that this process believed to own.
    #[error("another process reads this partition now")]
    LostPartition,
    /// The database may have gone back in time, or contradicts what was published: nothing may be
    /// decided until a publisher has compared the two, or a person has looked.
    #[error(
        "the output topics and the database disagree, or were not compared since the database was started: nothing is decided"
    )]
    Uncompared,
    /// Somebody else made the same row at the same moment: try again and see it.
    #[error("another transaction wrote the same key")]
    Raced,
    /// A mistake of ours or a foreign schema: stop.
    #[error("the database could not {what}")]
    Fatal {
        what: &'static str,
        #[source]
        source: sqlx::Error,
    },
    /// Settings that would let anyone pose as the database.
    #[error("{0}")]
    Refused(String),
    /// A row that this version can't read.
    #[error("the database holds {0}, which this version can't read")]
    Unreadable(String),
}

impl StoreError {
    /// True when the same transaction may succeed later.
    #[must_use]
    pub fn passes(&self) -> bool {
        matches!(self, Self::Retry { .. } | Self::Raced | Self::Uncompared)
    }
}

/// Days since 1970.
fn day_number(date: Date) -> i32 {
    let days = date.duration_since(Date::constant(1970, 1, 1)).as_hours() / 24;
    i32::try_from(days).expect("a calendar of 20,000 years")
}

/// Sorts a database error by what to do about it.
fn failed(what: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |source| {
        let code = source
            .as_database_error()
            .and_then(|error| error.code())
            .map(|code| code.into_owned());
        match (&source, code.as_deref()) {
            (_, Some("23505")) => StoreError::Raced,
            (_, Some(code)) if code.starts_with("53") && is_planted(Bug::BuryWithoutRoom) => {
                StoreError::Data { what, source }
            }
            (_, Some(code)) if code.starts_with("22") || code.starts_with("23") => {
                StoreError::Data { what, source }
            }
            (_, Some(code))
                if ["08", "40", "53", "55", "57"]
                    .iter()
                    .any(|class| code.starts_with(class)) =>
            {
                StoreError::Retry { what, source }
            }
            (
                sqlx::Error::Io(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::WorkerCrashed
                | sqlx::Error::Protocol(_)
                | sqlx::Error::Tls(_),
                None,
            ) => StoreError::Retry { what, source },
            _ => StoreError::Fatal { what, source },
        }
    }
}

/// A pool of connections and the clock that time is read by.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
    clock: Clock,
}

/// One transaction and the moment at which it began to decide.
pub struct Tx {
    inner: Transaction<'static, Postgres>,
    /// The time that the rules see.
    pub now: Instant,
    /// By how much the database's clock and this process's disagree.
    apart: Duration,
    /// Some of what was published is to be decided again, or was.
    reconciling: bool,
}

impl Store {
    /// The pool, for what needs no transaction.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The clock in use.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Opens a transaction and reads the time. Until the transaction has ended, the day of UTC that
    /// it books with can't be summed up (see [`crate::control`]): its lock is taken before the time
    /// is read.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        let mut inner = self.pool.begin().await.map_err(failed("begin"))?;
        loop {
            let by_hand = match &self.clock {
                Clock::Database => None,
                Clock::Manual(hand) => Some(day_number(day_of(hand.now()))),
            };
            let asked = clock::of_this_process();
            let locked = sqlx::query!(
                r#"SELECT d.day AS "day!", clock_timestamp() AS "now!: Instant",
                          EXISTS (SELECT FROM published_elsewhere) AS "reconciling!"
                   FROM (SELECT coalesce($2, floor(extract(epoch FROM clock_timestamp()) / 86400)
                                             ::integer) AS day OFFSET 0) d,
                        LATERAL pg_advisory_xact_lock_shared($1, d.day)"#,
                BOOKING_LOCK,
                by_hand,
            )
            .fetch_one(&mut *inner)
            .await
            .map_err(failed("tell the time"))?;
            let now = self.clock.at(locked.now);
            // At midnight the day may have ended between the two.
            if day_number(day_of(now)) == locked.day {
                return Ok(Tx {
                    inner,
                    now,
                    apart: clock::apart(asked, locked.now, clock::of_this_process()),
                    reconciling: locked.reconciling,
                });
            }
        }
    }

    /// By how much the database's clock and this process's disagree.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn clocks_apart(&self) -> Result<Duration, StoreError> {
        let asked = clock::of_this_process();
        let now = sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!: Instant""#)
            .fetch_one(&self.pool)
            .await
            .map_err(failed("tell the time"))?;
        Ok(clock::apart(asked, now, clock::of_this_process()))
    }

    /// The time that the rules see now.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn now(&self) -> Result<Instant, StoreError> {
        let now = sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!: Instant""#)
            .fetch_one(&self.pool)
            .await
            .map_err(failed("tell the time"))?;
        Ok(self.clock.at(now))
    }
}

impl Tx {
    /// Whether the database's clock and this process's agree.
    #[must_use]
    pub fn clocks_agree(&self) -> bool {
        self.apart <= clock::APART_MAX
    }

    /// Makes everything visible and durable at once.
    ///
    /// # Errors
    /// When the answer is lost the transaction may have been committed: whoever tries again finds
    /// out by its positions.
    pub async fn commit(self) -> Result<(), StoreError> {
        planted::reached(Point::BeforeCommit);
        let committed = self.inner.commit().await.map_err(failed("commit"));
        planted::reached(Point::AfterCommit);
        committed
    }

    /// Keeps others from writing lines of these merchants until the end.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lock_merchants(&mut self, merchants: &[String]) -> Result<(), StoreError> {
        sqlx::query!(
            r#"SELECT merchant_id FROM merchants WHERE merchant_id = ANY($1)
               ORDER BY merchant_id COLLATE "C" FOR UPDATE"#,
            merchants,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("lock merchants"))?;
        Ok(())
    }

    /// Leaves everything as it was.
    ///
    /// # Errors
    /// When the connection is gone; then the server rolls back by itself.
    pub async fn rollback(self) -> Result<(), StoreError> {
        self.inner.rollback().await.map_err(failed("roll back"))
    }
}
