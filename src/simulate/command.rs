//! The command: files in, events, a summary or a difference out.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use anyhow::{Context as _, bail};

use super::books::Sink;
use super::difference::{self, Releases};
use super::input::{Reader, agreements};
use super::lines::JsonLines;
use super::summary::{self, Summary};
use super::{End, Simulation};
use crate::cli::SimulateArgs;
use crate::message::incoming::Accepted;
use crate::rules::fact::Fact;
use crate::rules::ids::AgreementId;
use crate::rules::time::Instant;

/// The line of what comes out of a file of agreements: before the first.
const BEFORE: u64 = 0;

/// Simulates and writes what was asked for to standard output, what was refused to standard error.
///
/// # Errors
/// When a file can't be read, and with `--strict` when a message was refused.
pub fn run(args: &SimulateArgs) -> anyhow::Result<()> {
    let written = simulate(args, io::stdout().lock(), io::stderr().lock());
    let refused = match written {
        // The reader has seen enough: `| head`.
        Err(error) if is_broken_pipe(&error) => return Ok(()),
        other => other?,
    };
    if args.strict && refused > 0 {
        bail!("{refused} messages were refused");
    }
    Ok(())
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<io::Error>();
    cause.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Answers how many messages were refused.
fn simulate(args: &SimulateArgs, out: impl Write, refusals: impl Write) -> anyhow::Result<u64> {
    let mut out = BufWriter::with_capacity(1 << 16, out);
    let own = args.agreements.as_deref().map(agreements).transpose()?;
    let own = own.unwrap_or_default();
    let refused = if let Some(other) = &args.against {
        let other = agreements(other)?;
        if args.events == Path::new("-") {
            bail!("--against reads the events twice: give --events a file");
        }
        let one = follow(args, Releases::new(refusals), own, &HashSet::new())?.0;
        let ids = other.iter().filter_map(agreement_id).collect();
        // What is wrong with the input was said the first time.
        let two = follow(args, Releases::new(io::sink()), other, &ids)?.0;
        difference::show(&mut out, &one, &two)?;
        two.into_sink();
        one.into_sink().refused()
    } else if args.summary {
        let (end, messages) = follow(args, Summary::new(refusals), own, &HashSet::new())?;
        let refused = summary::show(&mut out, &end, messages)?;
        end.into_sink();
        refused
    } else {
        let sink = JsonLines::new(&mut out, refusals, &args.name);
        let (end, _) = follow(args, sink, own, &HashSet::new())?;
        end.into_sink().finish()?
    };
    out.flush()?;
    Ok(refused)
}

fn agreement_id(accepted: &Accepted) -> Option<AgreementId> {
    match &accepted.fact {
        Fact::Agreement(agreement) => Some(agreement.agreement_id.clone()),
        _ => None,
    }
}

/// Runs the events under these agreements, leaving out those of the events that `replaced` names.
/// Answers the end, and how many messages there were.
fn follow<S: Sink>(
    args: &SimulateArgs,
    sink: S,
    own: Vec<Accepted>,
    replaced: &HashSet<AgreementId>,
) -> anyhow::Result<(End<S>, u64)> {
    let mut simulation = Simulation::new(sink, args.forget_after_days);
    for agreement in own {
        simulation.take(BEFORE, Ok(agreement))?;
    }
    let mut input = open(&args.events)?;
    let mut reader = Reader::default();
    let mut bytes = Vec::new();
    let mut messages = 0;
    for line in 1.. {
        bytes.clear();
        let read = input.read_until(b'\n', &mut bytes);
        if read.with_context(|| args.events.display().to_string())? == 0 {
            break;
        }
        let Some(read) = reader.read(&bytes) else {
            continue;
        };
        let id = read.as_ref().ok().and_then(agreement_id);
        if id.is_some_and(|id| replaced.contains(&id)) {
            continue;
        }
        messages += 1;
        simulation.take(line, read)?;
    }
    let until = args.until.map(Instant::new);
    Ok((simulation.finish(until)?, messages))
}

fn open(path: &Path) -> anyhow::Result<BufReader<Box<dyn Read>>> {
    let input: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(path);
        Box::new(file.with_context(|| path.display().to_string())?)
    };
    Ok(BufReader::with_capacity(1 << 16, input))
}
