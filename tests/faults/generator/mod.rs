//! The generator: facts from a seed, on their way into Kafka, and a log of what was sent and acknowledged.
//!
//! Guarantees that every fact is in the log with the place and times that Kafka acknowledged, so
//! that a checker needs nothing else to know the truth. Writes straight to the broker, not by a
//! proxy: the faults are holdback's, not the upstream's.

mod plan;
mod sender;

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

pub use plan::{Plan, Planned, Shape};
pub use sender::Sender;

/// How the keys of messages begin that must become dead letters.
pub const BAD: &str = "bad-";

/// One message that was sent and acknowledged: a line of the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Logged {
    /// Microseconds since 1970 on the wall clock, before the client got it.
    pub sent_us: i64,
    /// The same once the broker had it on its log.
    pub acked_us: i64,
    /// By its name in the contract.
    pub topic: String,
    pub partition: i32,
    /// Negative: the broker refused it, and may have written it all the same.
    pub offset: i64,
    pub kind: String,
    pub key: String,
    pub value: String,
}

/// A generator at work.
pub struct Generator {
    thread: JoinHandle<Result<(), String>>,
    stop: Arc<AtomicBool>,
}

impl Generator {
    /// Begins to send a plan.
    pub fn start(bed: &crate::harness::TestBed, plan: Plan, log: &Path) -> Self {
        let topics = bed.topics.clone();
        let sender = Sender::open(&bed.brokers, topics, log);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || send(&sender, plan, &stopped));
        Self { thread, stop }
    }

    /// Sends what is left at once, and waits until all of it is acknowledged.
    pub fn finish(self) -> Result<(), String> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().map_err(|_| "the generator panicked")?
    }
}

fn send(sender: &Sender, plan: Plan, hurry: &AtomicBool) -> Result<(), String> {
    let began = Instant::now();
    for planned in plan.messages {
        let at = began + Duration::from_millis(planned.at_ms);
        while Instant::now() < at && !hurry.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(2));
        }
        sender.send(planned);
    }
    sender.finish(Duration::from_secs(180))
}

/// Adds what else was sent to the generator's log.
pub fn append(log: &Path, more: &Path) -> Result<(), String> {
    let append = || {
        let mut all = OpenOptions::new().append(true).open(log)?;
        std::io::copy(&mut File::open(more)?, &mut all)
    };
    append()
        .map(drop)
        .map_err(|error: std::io::Error| error.to_string())
}

/// Microseconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "when something happened, for the checker; nothing of holdback is decided by it"
)]
pub fn wall_us() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}
