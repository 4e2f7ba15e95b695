//! The command line, and what a run is: one or more histories, then what really happened.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use tokio::runtime::Runtime;

use crate::counters::Counters;
use crate::faults::Fault;
use crate::harness::say;
use crate::history::{Outcome, Script, play};
use crate::servers::Servers;

/// After so many histories the servers are made anew: their topics only grow.
const SERVERS_LAST: u64 = 10;

/// How long after the last fault everything may take: a lease of 15 s, a Kafka transaction of 30 s
/// that was left open, back-offs, and a busy machine.
const DRAIN: Duration = Duration::from_secs(150);

/// The short set: (seed, seconds, faults).
const SHORT: &[(u64, u64, &str)] = &[
    (1, 12, "kill,cut,commit,backends"),
    (2, 12, "pause,endtxn,hang"),
    (3, 12, "broker,postgres,lag"),
];

/// Plays histories with faults; without arguments a short set.
#[derive(Debug, Parser)]
struct Arguments {
    /// The first seed.
    #[arg(long)]
    seed: Option<u64>,
    /// How many histories, each with the next seed.
    #[arg(long, default_value_t = 1)]
    histories: u64,
    /// How long facts flow and faults happen in each.
    #[arg(long, default_value_t = 45)]
    seconds: u64,
    /// Which faults, separated by commas; all without it, "none" for none.
    #[arg(long)]
    fault: Option<String>,
    /// A bug of src/planted.rs, which must turn the checker red.
    #[arg(long)]
    bug: Option<String>,
    /// Plants every bug of planted.rs (with --bug: one), a history each; each must turn the checker red.
    #[arg(long)]
    planted: bool,
    /// Plays loads that no sane upstream sends, and measures.
    #[arg(long)]
    bounded: bool,
    /// A part of the name of the one load that --bounded sends.
    #[arg(long)]
    load: Option<String>,
    /// How many times as much --bounded sends.
    #[arg(long, default_value_t = 1)]
    scale: usize,
    /// Orders per second.
    #[arg(long, default_value_t = 40)]
    orders: u64,
    /// What cargo hands to every test program; only a part of this one's name lets it run.
    filter: Vec<String>,
    #[arg(long, hide = true)]
    list: bool,
    #[arg(long, hide = true)]
    nocapture: bool,
    #[arg(long, hide = true)]
    exact: bool,
    #[arg(long, hide = true)]
    ignored: bool,
    #[arg(long, hide = true)]
    include_ignored: bool,
    #[arg(long, hide = true)]
    test_threads: Option<u32>,
}

/// Faults by their names.
pub fn faults(names: Option<&str>) -> Result<Vec<Fault>, String> {
    let Some(names) = names else {
        let built = cfg!(feature = "planted-bugs");
        let all = Fault::ALL.into_iter();
        let small = crate::disk::is_small();
        // Processes without the feature have no points to crash at.
        let possible = all.filter(|it| built || *it != Fault::Point);
        return Ok(possible.filter(|it| small || *it != Fault::Disk).collect());
    };
    let known = |name: &str| {
        let fault = Fault::ALL.into_iter().find(|fault| fault.name() == name);
        let all: Vec<&str> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        fault.ok_or_else(|| format!("{name} is no fault; there are {}", all.join(",")))
    };
    let names = names.split(',').filter(|name| *name != "none");
    names.map(known).collect()
}

pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let meant = arguments.filter.is_empty()
        || arguments
            .filter
            .iter()
            .any(|it| "faults".contains(it.as_str()));
    if arguments.list || arguments.ignored || !meant {
        return ExitCode::SUCCESS;
    }
    let outcome = if arguments.planted {
        planted(arguments.bug.as_deref())
    } else if arguments.bounded {
        crate::bounded::all(arguments.scale, arguments.load.as_deref())
    } else {
        scripts(&arguments).and_then(|scripts| run(&scripts, &arguments))
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            say(&why);
            ExitCode::FAILURE
        }
    }
}

#[cfg(feature = "planted-bugs")]
fn planted(only: Option<&str>) -> Result<(), String> {
    crate::planted::all(only)
}

#[cfg(not(feature = "planted-bugs"))]
fn planted(_: Option<&str>) -> Result<(), String> {
    Err("bugs are planted only with --features planted-bugs".to_owned())
}

fn scripts(arguments: &Arguments) -> Result<Vec<Script>, String> {
    let script = |seed, seconds, names: Option<&str>| {
        Ok(Script {
            seed,
            seconds,
            faults: faults(names)?,
            bug: arguments.bug.clone(),
            orders_per_second: arguments.orders,
            drain: DRAIN,
        })
    };
    match arguments.seed {
        None => SHORT
            .iter()
            .map(|(seed, seconds, names)| script(*seed, *seconds, Some(names)))
            .collect(),
        Some(first) => (first..first + arguments.histories)
            .map(|seed| script(seed, arguments.seconds, arguments.fault.as_deref()))
            .collect(),
    }
}

fn run(scripts: &[Script], arguments: &Arguments) -> Result<(), String> {
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    let mut counters = Counters::default();
    let mut failed = Vec::new();
    let mut servers = None;
    let began = Instant::now();
    for (number, script) in (0_u64..).zip(scripts) {
        if number % SERVERS_LAST == 0 {
            drop(servers.take());
        }
        let mut running = match servers.take() {
            Some(servers) => servers,
            None => Servers::start()?,
        };
        let folder = folder(script.seed)?;
        let played = std::panic::catch_unwind(AssertUnwindSafe(|| {
            play(&runtime, &mut running, script, &folder)
        }));
        match played {
            Ok(outcome) => {
                tell(script, &outcome);
                counters.merge(&outcome.counters);
                if outcome.complaints.is_empty() {
                    std::fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
                    servers = Some(running);
                } else {
                    failed.push(script.seed);
                }
            }
            Err(_) => {
                say(&format!(
                    "seed {}: the supervisor panicked, see above",
                    script.seed
                ));
                failed.push(script.seed);
            }
        }
    }
    let minutes = began.elapsed().as_secs() / 60;
    say(&format!(
        "{} histories in {minutes} min; what happened in them:\n{counters}",
        scripts.len()
    ));
    if arguments.bug.is_none() {
        never_happened(scripts, &counters)?;
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(format!("these seeds failed: {failed:?}"))
}

fn tell(script: &Script, outcome: &Outcome) {
    let Outcome {
        complaints,
        events,
        took,
        ..
    } = outcome;
    let seconds = took.as_secs();
    let seed = script.seed;
    if complaints.is_empty() {
        return say(&format!("seed {seed}: right, {events} events, {seconds} s"));
    }
    say(&format!(
        "seed {seed}: WRONG after {seconds} s, {events} events"
    ));
    for complaint in complaints {
        say(&format!("seed {seed}:   {complaint}"));
    }
}

/// A fault that is asked for and does not happen proves nothing.
fn never_happened(scripts: &[Script], counters: &Counters) -> Result<(), String> {
    let asked = scripts.iter().flat_map(|script| &script.faults);
    let missing: BTreeSet<&str> = asked
        .map(|fault| fault.name())
        .filter(|name| counters.of(name) == 0)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!("asked for and never happened: {missing:?}"))
}

/// Where a history keeps what it writes.
pub fn folder(seed: u64) -> Result<PathBuf, String> {
    let name = format!("faults-{}-{seed}", std::process::id());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    Ok(folder)
}
