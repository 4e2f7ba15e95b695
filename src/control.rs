//! A day ends: its movements are summed up, once per currency, for whoever reconciles.
//!
//! Any number of processes may do it. Guarantees that a day is summed up when nothing can be booked
//! with it any more, that each day since the first movement gets its event once (after an outage
//! each day that passed gets its own), and that the cost is that of the day's own movements.
//!
//! How a day is known to be over: every transaction holds a lock of the day that it books with, from
//! before it reads the time until it has ended; who sums a day up holds that day's lock alone.
//!
//! [`Control::sum_up_once`] is the bounded step that the loop and the tests call.

use std::time::Duration;

use jiff::SignedDuration;
use jiff::civil::Date;
use tokio_util::sync::CancellationToken;

use crate::http::Heartbeat;
use crate::rules::control::{self, Accounts, Day};
use crate::rules::ids::MerchantId;
use crate::store::journal::Lines;
use crate::store::{Store, StoreError, Tx};
use crate::telemetry;

/// How long the loop rests when no day is to be summed up.
const PAUSE: Duration = Duration::from_secs(1);
/// How long after its end a day is summed up: a clock of the database that is set back by less books
/// nothing with a day that is shut.
const SHUT_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// The step with what it remembers.
#[derive(Debug)]
pub struct Control {
    store: Store,
    /// The day of the first movement, once it is known: to find it means to read the journal.
    first: Option<Date>,
}

impl Control {
    /// A step over this store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, first: None }
    }

    /// Sums up the next day that is over; false when there is none, or when somebody is still
    /// booking with it.
    ///
    /// # Errors
    /// When the database fails; the step has then had no effect.
    pub async fn sum_up_once(&mut self) -> Result<bool, StoreError> {
        let mut tx = self.store.begin().await?;
        let next = self.next(&mut tx).await?;
        // By a clock that is ahead, a day would be shut with which others are still booking.
        let over = next.filter(|date| tx.clocks_agree() && is_over(*date, &tx));
        let closed = !tx.days_are_open().await?;
        let Some(date) = over.filter(|_| closed) else {
            tx.rollback().await?;
            return Ok(false);
        };
        if !tx.shut_day(date).await? {
            tx.rollback().await?;
            return Ok(false);
        }
        // Asked again under the lock: another process may have been faster.
        if self.next(&mut tx).await? != next {
            tx.rollback().await?;
            return Ok(true);
        }
        self.sum_up(tx, date).await?;
        tracing::info!(%date, "a day is summed up");
        Ok(true)
    }

    async fn next(&mut self, tx: &mut Tx) -> Result<Option<Date>, StoreError> {
        if let Some(next) = tx.next_control().await? {
            return Ok(Some(next));
        }
        if self.first.is_none() {
            self.first = tx.first_movement().await?.map(control::day_of);
        }
        Ok(self.first)
    }

    /// Every currency that money ever moved in, also one in which nothing moved on that day: who
    /// reconciles can tell a quiet day from a lost event.
    async fn sum_up(&self, mut tx: Tx, date: Date) -> Result<(), StoreError> {
        let end = || StoreError::Unreadable(format!("the day {date}"));
        let from = control::begin(date).ok_or_else(end)?;
        let tomorrow = date.tomorrow().ok().and_then(control::begin);
        let until = tomorrow.ok_or_else(end)?;
        let yesterday = date.yesterday().map_err(|_| end())?;
        let opening = tx.closing_of(yesterday).await?;
        let mut days = tx.booked_on(date, (from, until)).await?;
        days.retain(|currency, day| opening.contains_key(currency) || !day.movements.is_empty());
        for currency in opening.keys() {
            days.entry(*currency)
                .or_insert_with(|| Day::quiet(*currency, date));
        }
        let mut entries = Vec::with_capacity(days.len());
        let mut closing = Vec::with_capacity(days.len());
        for (currency, day) in days {
            let before = opening.get(&currency).copied();
            let before = before.unwrap_or_else(|| Accounts::zero(currency));
            let (entry, after) = day
                .close(before)
                .map_err(|error| StoreError::Unreadable(format!("{currency}'s sums ({error})")))?;
            entries.push(entry);
            closing.push((currency, after));
        }
        tx.save_controls(date, &closing).await?;
        let mut lines = Lines::default();
        lines.add(&MerchantId::platform(), entries, None);
        tx.write(&lines).await?;
        tx.commit().await
    }
}

fn is_over(date: Date, tx: &Tx) -> bool {
    let latest = tx.now.timestamp().checked_sub(SHUT_AFTER);
    latest.is_ok_and(|latest| control::day_of(latest.into()) > date)
}

/// Sums up until stopped.
pub async fn run(mut control: Control, heartbeat: Heartbeat, stop: CancellationToken) {
    while !stop.is_cancelled() {
        heartbeat.beat();
        match control.sum_up_once().await {
            Ok(false) => {}
            Ok(true) => continue,
            Err(error) => tracing::warn!(
                error = telemetry::chain(&error),
                "a day could not be summed up and is tried again"
            ),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}
