//! How faults end, and what of them shows only then.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand::RngExt;
use sqlx::{Executor, Row};

use super::{Heal, Healing};
use crate::history::World;

/// The group's session in [`crate::slots`], and the publisher's lease.
const SESSION: Duration = Duration::from_secs(3);
const LEASE: Duration = Duration::from_secs(15);

impl World<'_> {
    /// Ends the faults whose time is over, or all of them.
    pub fn heal_due(&mut self, all: bool) -> Result<(), String> {
        let now = Instant::now();
        let (due, later) = std::mem::take(&mut self.heals)
            .into_iter()
            .partition(|heal| all || heal.at <= now);
        self.heals = later;
        let mut due: Vec<Heal> = due;
        // Whoever sets the clock right must get through, and another fault may be in the way.
        due.sort_by_key(|heal| matches!(heal.what, Healing::Clock));
        for heal in due {
            self.heal(heal.what, all)?;
        }
        Ok(())
    }

    fn heal(&mut self, what: Healing, all: bool) -> Result<(), String> {
        match what {
            Healing::Resume(slot, since) => {
                let stood = since.elapsed();
                self.slots[slot].resume();
                let session = u64::from(stood > SESSION);
                self.counters
                    .add("pause: past the group's session", session);
                let lease = u64::from(stood > LEASE);
                self.counters
                    .add("sleep: past the publisher's lease", lease);
            }
            Healing::Weather(slot) => self.servers.links[slot].heal(),
            Healing::Leave(mut member) => {
                let joined = member.process.as_ref().is_some_and(|process| {
                    !process
                        .logged("reading the merchant topic first")
                        .is_empty()
                });
                self.counters
                    .add("storm: joined and left", u64::from(joined));
                // Half of them say goodbye; while faults last they may fail to.
                if self.random.random() {
                    drop(member.end());
                } else {
                    member.kill();
                }
                self.logs.append(&mut member.logs);
            }
            Healing::Unlock(mut connection) => {
                let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted";
                let row = self.runtime.block_on(connection.fetch_one(waiting));
                // The lock is gone with its connection when the server was restarted meanwhile.
                let waiting: i64 = row.map_or(0, |row| row.get(0));
                self.counters
                    .add("lock: somebody waited", u64::from(waiting > 0));
            }
            Healing::Close(idle) => drop(idle),
            Healing::Clock => self.set_the_clock_right(all)?,
            Healing::Room(filler) => self.make_room(&filler)?,
            Healing::Part(twin) => {
                let (ended, log) = twin.end();
                let stopped = ended.map_err(|why| format!("fail closed: {why}"))?;
                self.counters
                    .add("twin: stopped by its alarm", u64::from(stopped));
                self.logs.push(log);
            }
            Healing::Abort(hanging) => {
                let aborted = hanging.abort(&self.hangs)?;
                self.counters
                    .add("hang: aborted upstream", u64::from(aborted));
            }
        }
        Ok(())
    }

    /// What the proxies saw.
    pub fn count_the_proxies(&mut self) {
        let counters = &mut self.counters;
        for links in &self.servers.links {
            for (server, proxy) in [("Kafka", &links.kafka), ("Postgres", &links.postgres)] {
                let happened = proxy.happened();
                let mut take = |name: &str, counter: &AtomicU64| {
                    let count = counter.swap(0, Ordering::SeqCst);
                    if count > 0 {
                        counters.add(&format!("{name}, {server}"), count);
                    }
                };
                take("cut: connections", &happened.cut);
                take("cut: refused", &happened.refused);
                take("hole: bytes swallowed", &happened.swallowed);
                take("slow: messages delayed", &happened.delayed);
                take("slow: bytes throttled", &happened.throttled);
                let mut tricks = happened
                    .tricks
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                for (name, count) in std::mem::take(&mut *tricks) {
                    counters.add(&name, count);
                }
            }
        }
    }
}
