//! A database that is restored to an earlier state: what a history may end with, and that holdback then
//! stops until what was published since is taken over.
//!
//! Shows that one named alarm is raised, nobody is ready and nothing is released although money is due;
//! and that after `holdback reconcile --import` everything is as if the database had never been lost.

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sqlx::{Connection, PgConnection, Row};

use crate::generator::{Generator, Plan, Shape, append, wall_us};
use crate::harness::backup::{back_up, restore};
use crate::harness::process::{Ended, holdback, run_to_end};
use crate::history::{Script, World};

/// How long facts flow after the backup, and how many seconds' worth of them come at once to the restored
/// database.
const LOST: u64 = 5;
const DUE: u64 = 2;
/// Further than the numbers of any history's orders.
const FAR: u64 = 1_000_000;
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the processes are watched after they have stopped.
const WATCHED: Duration = Duration::from_secs(4);
const IMPORT: [&str; 5] = ["--import", "--actor", "Ann", "--reason", "restored"];

impl World<'_> {
    /// Ends a history whose processes have ended: goes on for a while, puts back what was there before, and
    /// reconciles. What is wrong then.
    pub fn restore(&mut self, script: &Script, log: &Path) -> Result<Vec<String>, String> {
        let backup = self.runtime.block_on(back_up(self.bed));
        self.start_all();
        self.send_more(script, log, FAR, LOST)?;
        self.drain(script, log)?;
        self.end_all()?;
        self.send_more(script, log, 2 * FAR, DUE)?;
        let published = self.published();
        self.runtime.block_on(restore(self.bed, &backup));
        let logs: Vec<usize> = self.slots.iter().map(|slot| slot.logs.len()).collect();
        self.start_all();
        self.must_stop(&logs, published)?;
        self.counters.add("restore: stopped and said so", 1);
        let import = self.reconcile(&IMPORT);
        if import.code != Some(0) {
            return Err(format!("restore: reconcile --import: {}", import.said));
        }
        self.decided_again(script)?;
        self.drain(script, log)?;
        self.end_all()?;
        let agrees = self.reconcile(&[]);
        if agrees.code != Some(0) {
            return Err(format!("restore: reconcile: {}", agrees.said));
        }
        self.counters.add("restore: imported", 1);
        Ok(self.check(script, log).complaints)
    }

    fn start_all(&mut self) {
        for slot in &mut self.slots {
            slot.start(self.bed);
        }
    }

    fn end_all(&mut self) -> Result<(), String> {
        self.slots.iter_mut().try_for_each(crate::slots::Slot::end)
    }

    fn published(&self) -> usize {
        let count = |topic| self.bed.read_all(topic).len();
        count("holdback-releases") + count("holdback-events")
    }

    fn reconcile(&self, arguments: &[&str]) -> Ended {
        let arguments = [&["reconcile"], arguments].concat();
        run_to_end(holdback(self.bed, &arguments, &[]))
    }

    /// Sends facts of new orders, and adds them to the generator's log.
    fn send_more(
        &mut self,
        script: &Script,
        log: &Path,
        first: u64,
        seconds: u64,
    ) -> Result<(), String> {
        let now = Timestamp::from_microsecond(wall_us()).expect("an instant");
        let shape = Shape {
            seconds,
            orders_per_second: script.orders_per_second,
            merchants: 3,
            first,
            calm: true,
        };
        let plan = Plan::of(script.seed + first, shape, now, self.boundary);
        let more = log.with_extension("more.jsonl");
        let generator = Generator::start(self.bed, plan, &more);
        if self.slots.iter().any(|slot| slot.process.is_some()) {
            self.idle(Duration::from_secs(seconds))?;
        }
        generator.finish()?;
        append(log, &more)
    }

    /// The processes find out, say so, and publish nothing.
    fn must_stop(&mut self, logs: &[usize], published: usize) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        let says = |world: &Self| {
            let mut answers = world.slots.iter().filter_map(|slot| slot.readiness());
            answers.any(|answer| answer.contains("went back in time"))
        };
        while !says(self) && Instant::now() < until {
            self.idle(Duration::from_millis(200))?;
        }
        self.idle(WATCHED)?;
        let slots = self.slots.iter().zip(logs);
        let new = slots.flat_map(|(slot, old)| &slot.logs[*old..]);
        let said = new.filter_map(|log| std::fs::read_to_string(log).ok());
        let alarmed = said.filter(|log| log.contains("\"alarm\":\"publisher_fault\""));
        let ready = self.slots.iter().filter_map(|slot| slot.readiness());
        let ready = ready.filter(|answer| answer.starts_with("HTTP/1.1 200"));
        let more = self.published().saturating_sub(published);
        let found = (alarmed.count() > 0, ready.count(), more);
        if found == (true, 0, 0) {
            return Ok(());
        }
        Err(format!(
            "fail closed: restore: alarmed, ready, published: {found:?}"
        ))
    }

    /// Waits until all that was published is decided again.
    fn decided_again(&mut self, script: &Script) -> Result<(), String> {
        let until = Instant::now() + script.drain;
        while self.still_published()? > 0 {
            if Instant::now() > until {
                let said = self.reconcile(&[]).said;
                return Err(format!("drained: not decided again: {said}"));
            }
            self.idle(Duration::from_millis(200))?;
        }
        Ok(())
    }

    /// How many published events are to be decided again.
    fn still_published(&self) -> Result<i64, String> {
        let count = self.runtime.block_on(async {
            let mut connection = PgConnection::connect(&self.bed.database_url).await?;
            sqlx::query("SELECT count(*) FROM published_elsewhere WHERE NOT taken")
                .fetch_one(&mut connection)
                .await
        });
        Ok(count.map_err(|error| error.to_string())?.get(0))
    }
}
