//! What each input costs in instructions: `.ci/instructions` runs this under callgrind.
//!
//! Each stage of each message runs a thousand times inside [`counted_by_callgrind`], with everything
//! that it needs made before. Standard output names the stages in the order in which they ran: message,
//! stage, how often, and of a decision how many events came of it.

mod cases;
mod messages;
mod stages;

use std::hint::black_box;
use std::io::{self, Write as _};

use stages::{Before, Books, Encoder};

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often each stage runs.
const TIMES: usize = 1_000;

/// Callgrind counts what runs in here, and nothing else.
#[inline(never)]
fn counted_by_callgrind(work: &mut dyn FnMut()) {
    work();
    // The call must not be the last thing here: a jump would not be seen to return.
    black_box(());
}

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for case in cases::all() {
        let mut say = |stage: &str| writeln!(out, "{} {stage}", case.name);
        if let Some(record) = &case.record {
            counted_by_callgrind(&mut || {
                for _ in 0..TIMES {
                    drop(black_box(stages::parse(black_box(record))));
                }
            });
            say(&format!("parse {TIMES}"))?;
        }
        let entries = decide(&case.books, &case.before);
        say(&format!("decide {TIMES} {}", entries.len()))?;
        if entries.is_empty() {
            continue;
        }
        let mut encoder = Encoder::default();
        counted_by_callgrind(&mut || {
            for _ in 0..TIMES {
                for entry in &entries {
                    drop(black_box(encoder.encode(black_box(entry))));
                }
            }
        });
        say(&format!("encode {TIMES}"))?;
    }
    Ok(())
}

/// Decides so often from the same state on; answers what came of it each time.
fn decide(books: &Books, before: &Before) -> Vec<holdback::rules::entry::Entry> {
    let entries = stages::decide(&mut before.clone(), books);
    let mut all = vec![before.clone(); TIMES];
    counted_by_callgrind(&mut || {
        for before in &mut all {
            drop(black_box(stages::decide(black_box(before), books)));
        }
    });
    entries
}
