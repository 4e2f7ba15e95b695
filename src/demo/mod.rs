//! What `holdback demo` and the tests start by themselves: a local PostgreSQL and a broker stand-
//! in; and the demo itself, a made-up marketplace whose money the real service holds and releases.
//!
//! Guarantees that nothing started here outlives the process that started it.

pub mod binaries;
pub mod broker;
pub mod child;
mod closing;
mod figures;
mod lines;
mod market;
mod news;
pub mod postgres;
mod screen;
mod show;
mod stage;
mod traffic;

use std::io::Write as _;

pub use show::run;

/// Says a line on standard output; false when nobody listens any more, which is no error.
fn say(line: &str) -> bool {
    writeln!(std::io::stdout(), "{line}").is_ok()
}
