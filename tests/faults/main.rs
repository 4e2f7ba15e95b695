//! The supervisor: real Kafka, real PostgreSQL, three processes, a generator that knows the truth, faults
//! on a schedule from a seed, and a checker of its own. See the README here.
//!
//! Guarantees: a seed plays the same facts and the same faults in the same order (how they meet is the
//! machine's); a fault that was asked for and never happened fails the run.

mod bounded;
mod checker;
mod closed;
mod counters;
mod disk;
mod faults;
mod generator;
#[expect(
    dead_code,
    unused_imports,
    reason = "the harness of tests/it, of which this uses a part"
)]
#[path = "../it/harness/mod.rs"]
mod harness;
mod history;
mod payouts;
#[cfg(feature = "planted-bugs")]
mod planted;
mod proxy;
mod refused;
mod restored;
mod runs;
mod servers;
mod slots;
mod twin;
mod upstream;
mod wrong_clock;

use std::process::ExitCode;

fn main() -> ExitCode {
    runs::main()
}
