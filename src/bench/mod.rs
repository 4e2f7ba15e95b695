//! How fast it is, on real Kafka and Postgres, beside what else could do the job on the same machine.
//!
//! holdback is a process of its own here, with its shipped settings, on a database and topics that
//! are made for the run; in each repeat its rivals follow it on the same servers and the same orders:
//! the floor, the naive consumer, and a program of the user's choice. Ratios pair what was measured
//! in the same repeat; absolute figures say as much of the machine as of the program.
//!
//! Guarantees: it loads loopback services only, is bounded by its number of orders, refuses servers
//! that would lose what they have committed, and ends with an audit of the books.

mod beside;
mod figures;
mod floor;
mod input;
mod load;
mod machine;
mod marks;
mod meter;
mod naive;
mod reader;
mod scratch;
mod show;
mod stand;
mod workloads;

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::cli::{BenchArgs, BenchWorkload};
use crate::clock::Clock;
use crate::config::Config;
use crate::preflight;

use figures::{Figures, HOLDBACK, Rate, Ratio, Run};
use input::{Input, Mix};
use machine::Servers;
use scratch::Scratch;
use stand::Stand;
use workloads::Sample;

/// What everything was measured on.
#[derive(Debug, serde::Serialize)]
struct Settings {
    version: &'static str,
    postgres: String,
    /// `None` when the broker is no process of this machine.
    broker: Option<String>,
    cores: usize,
    orders: u64,
    merchants: u32,
    spread: String,
    seed: u64,
    repeats: u32,
    /// How many wanted a core before it began, over 1, 5 and 15 minutes.
    load_before: Option<String>,
}

/// The whole answer.
#[derive(Debug, serde::Serialize)]
struct Report {
    settings: Settings,
    rates: Vec<Rate>,
    ratios: Vec<Ratio>,
    /// Why nothing follows from it, if so.
    void: Option<String>,
    runs: Vec<Run>,
    soak: Vec<Sample>,
}

/// What all parts of a bench need.
struct Bench<'a> {
    config: Config,
    file: Option<PathBuf>,
    args: &'a BenchArgs,
    servers: Servers,
    /// Names of this bench begin so.
    name: String,
    now: jiff::Timestamp,
}

/// Runs the benchmark and prints what it measured.
///
/// # Errors
/// When something is not on this machine or not durable, or the audit finds a difference.
pub async fn run(config: Config, file: Option<PathBuf>, args: &BenchArgs) -> anyhow::Result<()> {
    let servers = Servers::find(machine::only_loopback(&config)?);
    let store = preflight::connect(&config, Clock::Database).await?;
    let off = store.unsafe_settings().await?;
    if !off.is_empty() {
        bail!(
            "{} must be on: what is not durable is not measured",
            off.join(", ")
        );
    }
    let now = store.now().await?.timestamp();
    let settings = Settings {
        version: env!("CARGO_PKG_VERSION"),
        postgres: store.describe().await?,
        broker: servers.broker_version(),
        cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        orders: args.orders,
        merchants: args.merchants,
        spread: args.spread.to_string(),
        seed: args.seed,
        repeats: args.repeat,
        load_before: machine::load(),
    };
    store.pool().close().await;
    let bench = Bench {
        config,
        file,
        args,
        servers,
        name: format!("holdback-bench-{}", now.as_second()),
        now,
    };
    let (mut runs, mut soak) = (Vec::new(), Vec::new());
    for repeat in 1..=args.repeat {
        bench.repeat(repeat, &mut runs, &mut soak).await?;
    }
    let ratios = figures::ratios(&runs);
    let report = Report {
        settings,
        rates: figures::rates(&runs),
        void: figures::void(&ratios),
        ratios,
        runs,
        soak,
    };
    let text = if args.json {
        serde_json::to_string_pretty(&report)?
    } else {
        show::table(&report)?
    };
    crate::commands::say(&text);
    Ok(())
}

impl Bench<'_> {
    /// Everything that was asked for, once.
    async fn repeat(
        &self,
        repeat: u32,
        runs: &mut Vec<Run>,
        soak: &mut Vec<Sample>,
    ) -> anyhow::Result<()> {
        let args = self.args;
        let mut note = |phases| {
            let subject = HOLDBACK.to_owned();
            measured(
                runs,
                repeat,
                Run {
                    repeat,
                    subject,
                    phases,
                },
            );
        };
        let asked = |workload| args.workload.contains(&workload);
        if asked(BenchWorkload::Mixed) {
            let mut stand = self.stand(&format!("{repeat}-mixed")).await?;
            note(workloads::mixed(&mut stand, args, self.now).await?);
            stand.finish().await?;
        }
        if asked(BenchWorkload::Midnight) {
            let mut stand = self.stand(&format!("{repeat}-midnight")).await?;
            let now = preflight::connect(&self.config, Clock::Database).await?;
            let now = now.now().await?.timestamp();
            note(workloads::midnight(&mut stand, args, now).await?);
            stand.finish().await?;
        }
        if asked(BenchWorkload::Soak) {
            let mut stand = self.stand(&format!("{repeat}-soak")).await?;
            let (phases, samples) = workloads::soak(&mut stand, args, self.now).await?;
            stand.finish().await?;
            note(phases);
            soak.extend(samples);
        }
        if !asked(BenchWorkload::Ingest) && !asked(BenchWorkload::Release) {
            return Ok(());
        }
        let mut stand = self.stand(&format!("{repeat}-orders")).await?;
        let topic = stand.config.topics.order_completed.clone();
        let mut phases: Vec<Figures> = workloads::orders(&mut stand, args, self.now).await?;
        stand.finish().await?;
        if !asked(BenchWorkload::Release) {
            phases.retain(|figures| figures.phase != "release");
        }
        if !asked(BenchWorkload::Ingest) {
            phases.retain(|figures| figures.phase == "release");
        }
        note(phases);
        for run in self.rivals(repeat, &topic).await? {
            measured(runs, repeat, run);
        }
        Ok(())
    }

    /// What else could do the job, on the same servers and orders.
    async fn rivals(&self, repeat: u32, topic: &str) -> anyhow::Result<Vec<Run>> {
        let args = self.args;
        let mut runs = Vec::new();
        if let Some(program) = &args.beside {
            let brokers = &self.config.kafka.brokers;
            runs.push(beside::measure(program, brokers, topic, args.orders).await?);
        }
        if args.alone {
            return Ok(runs);
        }
        let scratch = self.scratch(&format!("{repeat}-floor")).await?;
        let input = Input::new(
            args.seed,
            args.merchants,
            args.spread,
            Mix::ORDERS,
            0,
            self.now,
        );
        runs.push(floor::measure(&scratch, self.servers, args.orders, input).await?);
        scratch.remove().await?;
        let scratch = self.scratch(&format!("{repeat}-naive")).await?;
        let mut kafka = preflight::kafka_settings(&self.config);
        kafka.group = format!("{}-{repeat}", self.name);
        // A twentieth of the orders takes as long as all of them elsewhere.
        let orders = (args.orders / 20).clamp(1_000, 10_000).min(args.orders);
        runs.push(naive::measure(&scratch, self.servers, &kafka, topic, orders).await?);
        scratch.remove().await?;
        Ok(runs)
    }

    async fn stand(&self, what: &str) -> anyhow::Result<Stand> {
        let file: Option<&Path> = self.file.as_deref();
        Stand::make(
            &self.config,
            file,
            self.servers,
            &format!("{}-{what}", self.name),
        )
        .await
    }

    async fn scratch(&self, what: &str) -> anyhow::Result<Scratch> {
        let name = format!("{}_{what}", self.name).replace('-', "_");
        Scratch::make(&self.config, &name).await
    }
}

/// Keeps what one subject has done, and tells it: whoever ends a bench early has that much.
fn measured(runs: &mut Vec<Run>, repeat: u32, run: Run) {
    let run = Run { repeat, ..run };
    if let Ok(figures) = serde_json::to_string(&run) {
        tracing::info!(figures, "measured");
    }
    runs.push(run);
}
