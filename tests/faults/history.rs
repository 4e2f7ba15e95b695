//! One history: facts flow, faults happen, everything heals, and the checker says what it makes of it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt, SeedableRng};
use tokio::runtime::Runtime;

use crate::checker;
use crate::counters::Counters;
use crate::faults::{Fault, Heal};
use crate::generator::{Generator, Plan, Shape, wall_us};
use crate::harness::process::migrate;
use crate::harness::{TestBed, say};
use crate::payouts::PayoutSide;
use crate::servers::{PROCESSES, Servers};
use crate::slots::Slot;
use crate::{refused, wrong_clock};

pub const PARTITIONS: i32 = 4;
/// The faults at the settlement instant begin so long before it.
const BEFORE_THE_BOUNDARY: SignedDuration = SignedDuration::from_millis(1_500);

/// What a history is made of.
#[derive(Debug, Clone)]
pub struct Script {
    pub seed: u64,
    pub seconds: u64,
    pub faults: Vec<Fault>,
    pub bug: Option<String>,
    pub orders_per_second: u64,
    /// How long after the last fault everything may take.
    pub drain: Duration,
}

impl Script {
    /// Whether a settlement instant must lie in it: short ones without a fault at it have none.
    fn has_a_boundary(&self) -> bool {
        self.seconds >= 40
            || self
                .faults
                .iter()
                .any(|fault| fault.waits_for_the_boundary())
    }
}

/// What came of it.
pub struct Outcome {
    pub complaints: Vec<String>,
    pub counters: Counters,
    pub events: usize,
    pub took: Duration,
}

/// A history under way.
pub struct World<'a> {
    pub runtime: &'a Runtime,
    pub bed: &'a TestBed,
    pub servers: &'a mut Servers,
    pub slots: Vec<Slot>,
    pub counters: Counters,
    pub heals: Vec<Heal>,
    pub random: StdRng,
    pub bug: Option<&'a str>,
    /// Where hanging upstream transactions are written down.
    pub hangs: PathBuf,
    /// Of processes that are not in a slot any more.
    pub logs: Vec<PathBuf>,
    payouts: Option<PayoutSide>,
    /// The settlement instant of the merchants M.
    pub boundary: Timestamp,
    looked: Instant,
}

/// Plays a script; `folder` keeps the generator's log.
pub fn play(
    runtime: &Runtime,
    servers: &mut Servers,
    script: &Script,
    folder: &std::path::Path,
) -> Outcome {
    let began = Instant::now();
    let name = format!("faults-{}", script.seed);
    let (brokers, url) = (servers.kafka.brokers(), servers.postgres.url());
    let bed = runtime.block_on(TestBed::on(&name, brokers, url, PARTITIONS));
    migrate(&bed);
    runtime.block_on(refused::prepare(&bed));
    if script.faults.contains(&Fault::Clock) {
        runtime.block_on(wrong_clock::prepare(&bed));
    }
    let bug = script.bug.as_deref();
    let slots = (0..PROCESSES)
        .map(|number| Slot::new(&bed, servers, number, bug))
        .collect();
    let mut world = World {
        runtime,
        bed: &bed,
        servers,
        slots,
        counters: Counters::default(),
        heals: Vec::new(),
        random: StdRng::seed_from_u64(script.seed),
        bug,
        hangs: folder.join("hanging.txt"),
        logs: Vec::new(),
        payouts: None,
        boundary: Timestamp::UNIX_EPOCH,
        looked: Instant::now(),
    };
    let log = folder.join("sent.jsonl");
    let mut complaints = Vec::new();
    if let Err(complaint) = world.run(script, &log) {
        complaints.push(complaint);
    }
    let Checked { found, events } = world.finish(script, &log);
    complaints.extend(found);
    let mut counters = world.counters;
    for log in world
        .logs
        .iter()
        .chain(world.slots.iter().flat_map(|slot| &slot.logs))
    {
        counters.read_log(log);
        if complaints.is_empty() {
            drop(std::fs::remove_file(log));
        }
    }
    counters.add("events checked", u64::try_from(events).expect("few"));
    Outcome {
        complaints,
        counters,
        events,
        took: began.elapsed(),
    }
}

struct Checked {
    found: Vec<String>,
    events: usize,
}

/// The first full minute that lies at least so many seconds ahead.
fn full_minute_after(now: Timestamp, seconds: i64) -> Timestamp {
    let second = now.as_second() + seconds;
    Timestamp::from_second((second / 60 + 1) * 60).expect("an instant")
}

impl World<'_> {
    fn run(&mut self, script: &Script, log: &std::path::Path) -> Result<(), String> {
        for slot in &mut self.slots {
            slot.start(self.bed);
        }
        let now = Timestamp::from_microsecond(wall_us()).expect("an instant");
        let ahead = if script.has_a_boundary() { 8 } else { -60 };
        let boundary = full_minute_after(now, ahead);
        self.boundary = boundary;
        let shape = Shape {
            seconds: script.seconds,
            orders_per_second: script.orders_per_second,
            merchants: 3,
            first: 0,
            calm: false,
        };
        let plan = Plan::of(script.seed, shape, now, boundary);
        self.counters.add("input: sent again", plan.duplicates);
        self.counters.add("input: before its order", plan.early);
        self.counters.add("input: after all others", plan.late);
        let generator = Generator::start(self.bed, plan, log);
        self.payouts = Some(PayoutSide::start(self.bed, log));
        let outcome = self.break_things(script, boundary);
        self.heal_due(true)?;
        for links in &self.servers.links {
            links.clear();
        }
        let sent = generator.finish();
        outcome?;
        sent?;
        self.wait_until(boundary + SignedDuration::from_secs(1))
    }

    /// One fault after the other, each of the script's once per round.
    fn break_things(&mut self, script: &Script, boundary: Timestamp) -> Result<(), String> {
        let mut until = Instant::now() + Duration::from_secs(script.seconds);
        let during = script.faults.iter().filter(|fault| !fault.ends());
        let (mut special, usual): (Vec<Fault>, Vec<Fault>) =
            during.partition(|fault| fault.waits_for_the_boundary());
        special.shuffle(&mut self.random);
        // Whoever sleeps hears nothing of the other faults.
        let mut usual = usual;
        if usual.len() > 5 && !script.seed.is_multiple_of(4) {
            usual.retain(|fault| *fault != Fault::Sleep);
        }
        let mut round: Vec<Fault> = Vec::new();
        // Something is at work before it is disturbed.
        let mut next = Instant::now() + Duration::from_millis(1_500);
        let eve = (boundary - BEFORE_THE_BOUNDARY).as_microsecond();
        while Instant::now() < until || (!special.is_empty() && wall_us() < eve + 100_000) {
            if wall_us() >= eve && !special.is_empty() {
                let fault = special.pop().expect("one");
                special.clear();
                self.inject(fault)?;
                // Long enough for what falls due then to be looked at.
                until = until.max(Instant::now() + Duration::from_secs(7));
            }
            if Instant::now() >= next && !usual.is_empty() && Instant::now() < until {
                if round.is_empty() {
                    round.clone_from(&usual);
                    round.shuffle(&mut self.random);
                }
                let fault = round.pop().expect("one");
                self.inject(fault)?;
                let pause = self.random.random_range(300..2_500);
                next = Instant::now() + Duration::from_millis(pause);
            }
            self.tick()?;
        }
        Ok(())
    }

    /// Looks after everything that is under way.
    pub fn tick(&mut self) -> Result<(), String> {
        self.heal_due(false)?;
        for slot in &mut self.slots {
            slot.tick(self.bed, &mut self.counters)?;
        }
        self.note_obeyed();
        if self.looked.elapsed() > Duration::from_secs(1) {
            self.looked = Instant::now();
            for slot in &self.slots {
                let closed = slot
                    .readiness()
                    .is_some_and(|answer| answer.contains("503") && answer.contains("gate"));
                self.counters
                    .add("rare: gate closed, by /readyz", u64::from(closed));
            }
        }
        std::thread::sleep(Duration::from_millis(20));
        Ok(())
    }

    /// Goes on with everything that is under way for so long.
    pub fn idle(&mut self, long: Duration) -> Result<(), String> {
        let until = Instant::now() + long;
        while Instant::now() < until {
            self.tick()?;
        }
        Ok(())
    }

    fn wait_until(&mut self, instant: Timestamp) -> Result<(), String> {
        while wall_us() < instant.as_microsecond() {
            self.tick()?;
        }
        Ok(())
    }

    /// Waits until nothing is under way any more.
    pub fn drain(&mut self, script: &Script, log: &std::path::Path) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let state = self
                .runtime
                .block_on(checker::under_way(self.bed, log))
                .unwrap_or_else(|error| Some(format!("it can't be seen: {error}")));
            let Some(state) = state else { break };
            if began.elapsed() > script.drain {
                let seconds = script.drain.as_secs();
                return Err(format!(
                    "drained: not {seconds} s after the last fault: {state}"
                ));
            }
            self.idle(Duration::from_millis(200))?;
        }
        let millis = u64::try_from(began.elapsed().as_millis()).expect("few");
        self.counters.add("milliseconds to drain", millis);
        Ok(())
    }

    /// Ends the payout side and waits until its last answers have taken effect.
    fn end_payouts(&mut self, script: &Script, log: &std::path::Path) -> Result<(), String> {
        let Some(payouts) = self.payouts.take() else {
            return Ok(());
        };
        self.counters.add("payouts: answers", payouts.finish(log)?);
        self.drain(script, log)
    }

    /// Holds topics and tables against what was sent so far.
    pub fn check(&mut self, script: &Script, log: &std::path::Path) -> checker::Report {
        let logs = self
            .logs
            .iter()
            .chain(self.slots.iter().flat_map(|slot| &slot.logs));
        let input = checker::Input {
            sent: log,
            hangs: &self.hangs,
            logs: logs.cloned().collect(),
            repeats_allowed: script.faults.iter().any(|fault| fault.may_repeat()),
        };
        let report = self.runtime.block_on(checker::check(self.bed, &input));
        if report.repeats > 0 {
            self.counters
                .add("repeats in the topics, counted", report.repeats);
            say(&format!("seed {}: {} repeats", script.seed, report.repeats));
        }
        report
    }

    /// Waits until nothing is under way any more, ends the processes, and checks.
    fn finish(&mut self, script: &Script, log: &std::path::Path) -> Checked {
        for slot in &mut self.slots {
            slot.resume();
        }
        let mut found: Vec<String> = self.drain(script, log).err().into_iter().collect();
        if let Err(complaint) = self.end_payouts(script, log) {
            found.push(complaint);
        }
        for slot in &mut self.slots {
            found.extend(slot.end().err());
        }
        self.count_the_proxies();
        let mut report = self.check(script, log);
        found.append(&mut report.complaints);
        let ending = script.faults.iter().filter(|fault| fault.ends());
        let ending: Vec<Fault> = ending.copied().collect();
        if found.is_empty()
            && let Some(how) = ending.choose(&mut self.random)
        {
            match how {
                Fault::Restore => match self.restore(script, log) {
                    Ok(complaints) => found.extend(complaints),
                    Err(complaint) => found.push(complaint),
                },
                how => found.extend(self.lose_input(*how).err()),
            }
        }
        Checked {
            found,
            events: report.events,
        }
    }
}
