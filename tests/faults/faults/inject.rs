//! What each fault does, and the sign by which it is counted as having happened.

use std::time::{Duration, Instant};

use holdback::planted::Point;
use rand::RngExt;
use sqlx::{Connection, Executor, PgConnection, Row};

use super::{Fault, Heal, Healing};
use crate::history::World;
use crate::proxy::{COMMIT, END_TXN, INIT_PRODUCER_ID, PRODUCE, Proxy, Trick};
use crate::servers::CONNECTIONS;
use crate::slots::Slot;
use crate::upstream::Hanging;

/// Processes without the feature have no points.
const POINTS: bool = cfg!(feature = "planted-bugs");

/// Where most is in hand of whoever stands still; at the first the others can get past it.
const IN_HAND: [Point; 6] = [
    Point::BeforeApply,
    Point::BeforeApply,
    Point::BeforeApply,
    Point::BeforeCommit,
    Point::BeforeSend,
    Point::BeforeNote,
];

impl World<'_> {
    fn some_slot(&mut self) -> usize {
        let count = self.slots.len();
        self.random.random_range(0..count)
    }

    fn after(&mut self, least: u64, most: u64, what: Healing) {
        let long = Duration::from_millis(self.random.random_range(least..most));
        let at = Instant::now() + long;
        self.heals.push(Heal { at, what });
    }

    /// Lets a fault happen; what lasts is ended later by [`World::heal_due`].
    pub fn inject(&mut self, fault: Fault) -> Result<(), String> {
        let slot = self.some_slot();
        match fault {
            Fault::Kill => {
                let both = self.random.random_range(0..3) == 0;
                for slot in [Some(slot), both.then_some((slot + 1) % self.slots.len())] {
                    let killed = slot.is_some_and(|slot| self.slots[slot].kill());
                    self.counters.add("kill: kill -9", u64::from(killed));
                }
            }
            Fault::Point => self.crash_at_a_point(slot),
            Fault::Pause if !POINTS || self.random.random_range(0..3) == 0 => {
                self.pause(&[slot], 500, 7_000);
            }
            Fault::Pause => {
                let point = IN_HAND[self.random.random_range(0..IN_HAND.len())];
                let long = Duration::from_millis(self.random.random_range(4_000..10_000));
                self.slots[slot].order_to_stop(point.name(), long);
            }
            Fault::Sleep => self.sleep(slot),
            Fault::Term => {
                let told = self.slots[slot].terminate();
                self.counters.add("sigterm: sent", u64::from(told));
            }
            Fault::Storm => {
                for _ in 0..self.random.random_range(1..4) {
                    let mut member = Slot::new(self.bed, self.servers, slot, self.bug);
                    member.start(self.bed);
                    self.after(1_000, 5_000, Healing::Leave(Box::new(member)));
                }
            }
            Fault::Cut | Fault::Hole | Fault::Slow => self.spoil_a_link(fault, slot),
            Fault::EndTxn | Fault::Produce | Fault::Init => self.touch_a_message(fault),
            Fault::Commit => {
                let lose = self.random.random_range(0..3) > 0;
                let trick = if lose { Trick::LoseReply } else { Trick::Drop };
                // Whoever commits next is met: the one that was picked may own nothing just now.
                for links in &self.servers.links {
                    links.postgres.play(COMMIT, trick);
                }
            }
            Fault::Broker => self.restart_the_broker()?,
            Fault::Postgres => self.restart_postgres()?,
            Fault::Backends | Fault::Connections | Fault::Lock => self.trouble_postgres(fault)?,
            Fault::Lag => {
                // The owner of some of the dispute partitions hears nothing while holds fall due.
                self.servers.links[slot].kafka.black_hole();
                self.counters.add("lag: at a settlement instant", 1);
                self.after(5_000, 7_000, Healing::Weather(slot));
            }
            Fault::Disk => {
                if let Some(filler) = self.fill_the_disk() {
                    self.after(2_000, 6_000, Healing::Room(filler));
                }
            }
            Fault::Clock => self.set_the_clock_wrong(),
            Fault::Twin => {
                if let Some(twin) = self.start_a_twin()? {
                    self.after(5_000, 9_000, Healing::Part(Box::new(twin)));
                }
            }
            Fault::Recreated | Fault::Truncated | Fault::Restore => {}
            Fault::Hang => {
                let hanging = Hanging::begin(self.bed)?;
                self.after(5_000, 7_000, Healing::Abort(hanging));
            }
        }
        Ok(())
    }

    fn crash_at_a_point(&mut self, slot: usize) {
        // One that is on its way to a point gets there.
        if self.slots[slot].point.is_some() {
            return;
        }
        let point = Point::ALL[self.random.random_range(0..Point::ALL.len())];
        let times = self.random.random_range(0..6);
        let point = format!("{}:{times}", point.name());
        self.slots[slot].crash_at(self.bed, &point);
    }

    fn sleep(&mut self, first: usize) {
        let count = self.slots.len();
        let slots = (first..first + count).map(|slot| slot % count);
        let awake: Vec<usize> = slots.filter(|slot| !self.slots[*slot].paused).collect();
        // Of all who sleep at once nobody can be overtaken: mostly one stays awake.
        let all = self.random.random_range(0..4) == 0;
        let most = awake.len() - usize::from(!all && !awake.is_empty());
        let sleepers = self.random.random_range(0..=most);
        self.pause(&awake[..sleepers], 16_000, 34_000);
    }

    /// Whoever stands still at a point goes on after its time.
    pub fn note_obeyed(&mut self) {
        for number in 0..self.slots.len() {
            if let Some(long) = self.slots[number].has_obeyed() {
                self.counters.add("pause: SIGSTOP at a point", 1);
                let what = Healing::Resume(number, Instant::now());
                let at = Instant::now() + long;
                self.heals.push(Heal { at, what });
            }
        }
    }

    fn pause(&mut self, slots: &[usize], least: u64, most: u64) {
        let duration = self.random.random_range(least..most);
        for slot in slots {
            if self.slots[*slot].pause() {
                self.counters.add("pause: SIGSTOP", 1);
                let resume = Healing::Resume(*slot, Instant::now());
                self.after(duration, duration + 1, resume);
            }
        }
    }

    fn spoil_a_link(&mut self, fault: Fault, slot: usize) {
        let links = &self.servers.links[slot];
        let which = self.random.random_range(0..3);
        let proxies: &[&Proxy] = match which {
            0 => &[&links.kafka],
            1 => &[&links.postgres],
            _ => &[&links.kafka, &links.postgres],
        };
        let latency = Duration::from_millis(self.random.random_range(20..1_500));
        let rate = self.random.random_range(1..32) * 1024;
        for proxy in proxies {
            match fault {
                Fault::Cut => proxy.cut(),
                Fault::Hole => proxy.black_hole(),
                _ if latency.as_millis().is_multiple_of(2) => proxy.slow(latency, 0),
                _ => proxy.slow(Duration::ZERO, rate),
            }
        }
        self.after(200, 6_000, Healing::Weather(slot));
    }

    /// Whoever publishes next is met: nobody knows beforehand which process that is.
    fn touch_a_message(&mut self, fault: Fault) {
        let kind = match fault {
            Fault::Produce => PRODUCE,
            Fault::Init => INIT_PRODUCER_ID,
            _ => END_TXN,
        };
        let long = Duration::from_millis(self.random.random_range(800..9_000));
        let lose = self.random.random_range(0..4) == 0;
        let trick = if lose {
            Trick::LoseReply
        } else {
            Trick::Hold(long)
        };
        for links in &self.servers.links {
            links.kafka.play(kind, trick);
            if fault == Fault::Init {
                // A producer is made after another's transaction was slow.
                let slow = Trick::Hold(Duration::from_millis(1_300));
                links.kafka.play(END_TXN, slow);
            }
        }
    }

    fn restart_the_broker(&mut self) -> Result<(), String> {
        let before = self.servers.kafka.id();
        self.servers.kafka.kill();
        let away = Duration::from_millis(self.random.random_range(0..2_000));
        self.idle(away)?;
        self.servers.kafka.restart();
        let anew = self.servers.kafka.id() != before;
        self.counters
            .add("broker: kill -9 and restart", u64::from(anew));
        Ok(())
    }

    fn restart_postgres(&mut self) -> Result<(), String> {
        let postgres = &mut self.servers.postgres;
        postgres
            .kill_immediate()
            .map_err(|error| error.to_string())?;
        let away = Duration::from_millis(self.random.random_range(0..2_000));
        self.idle(away)?;
        let postgres = &mut self.servers.postgres;
        postgres.restart().map_err(|error| error.to_string())?;
        self.counters
            .add("postgres: immediate shutdown and restart", 1);
        Ok(())
    }

    fn trouble_postgres(&mut self, fault: Fault) -> Result<(), String> {
        let url = self.bed.database_url.clone();
        let connected = self.runtime.block_on(PgConnection::connect(&url));
        // Another fault may have taken all connections; then this one does not happen.
        let Ok(mut connection) = connected else {
            return Ok(());
        };
        match fault {
            Fault::Backends => {
                let ended = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid))
                             FROM pg_stat_activity WHERE application_name = 'holdback'";
                let row = self.runtime.block_on(connection.fetch_one(ended));
                let ended: i64 = row.map_or(0, |row| row.get(0));
                let ended = u64::try_from(ended).expect("a count");
                self.counters.add("backends: terminated", ended);
            }
            Fault::Lock => {
                let lock =
                    "SET lock_timeout = 2000; BEGIN; LOCK TABLE merchants IN ACCESS EXCLUSIVE MODE";
                let locked = self.runtime.block_on(connection.execute(lock));
                // Whoever gives way, in a deadlock or to a lock of before, has none.
                if locked.is_err() {
                    return Ok(());
                }
                let long = if self.random.random_range(0..10) == 0 {
                    31_000
                } else {
                    5_000
                };
                self.after(1_000, long, Healing::Unlock(connection));
            }
            _ => {
                let mut idle = Vec::new();
                while idle.len() < CONNECTIONS {
                    match self.runtime.block_on(PgConnection::connect(&url)) {
                        Ok(connection) => idle.push(connection),
                        Err(_) => {
                            self.counters.add("connections: exhausted", 1);
                            break;
                        }
                    }
                }
                self.after(1_000, 4_000, Healing::Close(idle));
            }
        }
        Ok(())
    }
}
