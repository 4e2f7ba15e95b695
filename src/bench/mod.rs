//! How fast it is, on real Kafka and Postgres: orders in, then everything due at one instant.
//!
//! A first mark; it loads loopback services only, is bounded by its number of
//! orders, and ends with an audit.
//!
//! The database must be a scratch one without a deployment; topics are made for the run.

mod load;
mod machine;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant as Moment};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::{BenchArgs, Role};
use crate::clock::Clock;
use crate::config::{Config, IngestStart};
use crate::kafka::{Admin, KafkaSettings, Limits, Partition, ReadBack, TopicSpec};
use crate::preflight;
use crate::rules::time::Instant;
use crate::service::{self, Controls, Service};
use crate::store::Store;

use load::produce;
use machine::{cpu_time, only_loopback, resident_max_kib};

/// Partitions of each topic of the run.
const PARTITIONS: i32 = 4;
/// How long a phase may take before the run is given up.
const DEADLINE: Duration = Duration::from_secs(900);

/// One phase's figures.
#[derive(Debug, serde::Serialize)]
struct Phase {
    name: &'static str,
    events: u64,
    /// From the start of the roles until the last event was read back by a `read_committed` reader.
    milliseconds: u128,
    per_second: u128,
    /// CPU of this process, microseconds per event.
    cpu_us_per_event: u128,
    /// WAL written meanwhile, bytes per event.
    wal_bytes_per_event: i64,
}

/// The whole run.
#[derive(Debug, serde::Serialize)]
struct Report {
    orders: u64,
    merchants: u32,
    postgres: String,
    cores: usize,
    /// The most memory that this process had resident, KiB.
    resident_max_kib: u64,
    phases: Vec<Phase>,
    audit_differences: usize,
}

/// Runs the benchmark and prints what it measured.
///
/// # Errors
/// When the database is not a scratch one, something is not on this machine, or the audit fails.
pub async fn run(mut config: Config, args: &BenchArgs) -> anyhow::Result<()> {
    only_loopback(&config)?;
    let metrics = service::start_metrics()?;
    let store = preflight::connect(&config, Clock::Database).await?;
    store.migrate().await?;
    if store.deployment().await?.is_some() {
        bail!("the database is in use by a deployment: bench needs an empty one of its own");
    }
    let now = store.now().await?;
    let run = format!("bench-{}", now.timestamp().as_second());
    prepare(&mut config, &run);
    let kafka = preflight::kafka_settings(&config);
    let admin = Arc::new(Admin::open(&kafka, Duration::from_secs(10))?);
    make_topics(&admin, &config).await?;
    let due_from = now;
    let topic = config.topics.order_completed.clone();
    let merchant_topic = config.topics.merchant.clone();
    let producing = kafka.clone();
    let input = args.clone();
    tokio::task::spawn_blocking(move || {
        produce(&producing, &topic, &merchant_topic, &input, due_from)
    })
    .await?
    .context("could not produce the orders")?;

    let config = Arc::new(config);
    let mut phases = Vec::new();
    let ingest = BTreeSet::from([Role::Ingest, Role::Publish]);
    phases.push(
        phase(
            "ingest",
            &config,
            &store,
            &kafka,
            &metrics,
            ingest,
            &config.topics.events,
            args,
        )
        .await?,
    );
    let release = BTreeSet::from([Role::Ingest, Role::Release, Role::Publish]);
    phases.push(
        phase(
            "release",
            &config,
            &store,
            &kafka,
            &metrics,
            release,
            &config.topics.releases,
            args,
        )
        .await?,
    );
    let audit = store.audit().await?;
    let report = Report {
        orders: args.orders,
        merchants: args.merchants,
        postgres: store.describe().await?,
        cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        resident_max_kib: resident_max_kib(),
        phases,
        audit_differences: audit.differences.len(),
    };
    show(&report, args.json)?;
    if report.audit_differences > 0 {
        bail!("the audit found differences");
    }
    Ok(())
}

/// Names and settings of the run's own.
fn prepare(config: &mut Config, run: &str) {
    config.name = run.to_owned();
    config.kafka.group = run.to_owned();
    let topics = &mut config.topics;
    for name in [
        &mut topics.order_completed,
        &mut topics.refund,
        &mut topics.dispute,
        &mut topics.merchant,
        &mut topics.payout_result,
        &mut topics.releases,
        &mut topics.events,
        &mut topics.dead_letters,
    ] {
        *name = format!("{run}-{name}");
    }
    config.ingest.start = Some(IngestStart::Earliest);
    config.release.not_before = Some(Instant::new(jiff::Timestamp::UNIX_EPOCH));
}

async fn make_topics(admin: &Arc<Admin>, config: &Config) -> anyhow::Result<()> {
    let names = config
        .topics
        .inputs()
        .into_iter()
        .chain(config.topics.outputs());
    let specs: Vec<TopicSpec> = names
        .map(|name| TopicSpec {
            name: name.to_owned(),
            partitions: PARTITIONS,
            replicas: None,
            config: Vec::new(),
        })
        .collect();
    let maker = Arc::clone(admin);
    tokio::task::spawn_blocking(move || maker.create_topics(&specs)).await??;
    Ok(())
}

/// Runs roles until as many events as orders have been read back from a topic.
#[expect(
    clippy::too_many_arguments,
    reason = "one call site, each argument its own thing"
)]
async fn phase(
    name: &'static str,
    config: &Arc<Config>,
    store: &Store,
    kafka: &KafkaSettings,
    metrics: &metrics_exporter_prometheus::PrometheusHandle,
    roles: BTreeSet<Role>,
    topic: &str,
    args: &BenchArgs,
) -> anyhow::Result<Phase> {
    let wal = store.wal_position().await?;
    let service = Service::prepare(Config::clone(config), Clock::Database).await?;
    let controls = Controls::new(metrics.clone(), &roles);
    let stop = controls.stop.clone();
    let running = tokio::spawn(async move { service.run(&roles, controls).await });
    let reading = kafka.clone();
    let watched = topic.to_owned();
    let wanted = args.orders;
    let read =
        tokio::task::spawn_blocking(move || read_all(&reading, &watched, wanted, name)).await?;
    stop.cancel();
    running.await??;
    let (took, cpu) = read?;
    let milliseconds = took.as_millis().max(1);
    let events = u128::from(args.orders);
    Ok(Phase {
        name,
        events: args.orders,
        milliseconds,
        per_second: events * 1_000 / milliseconds,
        cpu_us_per_event: cpu.as_micros() / events.max(1),
        wal_bytes_per_event: (store.wal_position().await? - wal)
            / i64::try_from(args.orders)?.max(1),
    })
}

/// Reads a topic until it held this many events of one kind; answers how long that took from the
/// first one on, and this process's CPU time in between.
fn read_all(
    kafka: &KafkaSettings,
    topic: &str,
    wanted: u64,
    name: &'static str,
) -> anyhow::Result<(Duration, Duration)> {
    let name_of: Arc<str> = Arc::from(topic);
    let starts: Vec<(Partition, i64)> = (0..PARTITIONS)
        .map(|partition| ((Arc::clone(&name_of), partition), 0))
        .collect();
    let mut reader = ReadBack::open(kafka, &starts)?;
    let limits = Limits {
        max_records: 5_000,
        max_bytes: 4 << 20,
        wait: Duration::from_millis(100),
        linger: Duration::ZERO,
    };
    let kind = match name {
        "release" => "holdback.release.issued.v1",
        _ => "holdback.hold.created.v1",
    };
    let bar = progress(name, wanted);
    let until = Moment::now() + DEADLINE;
    let mut first: Option<(Moment, Duration)> = None;
    let mut seen = 0;
    while seen < wanted {
        if Moment::now() > until {
            bail!(
                "only {seen} of {wanted} events of the phase {name} came within {} s",
                DEADLINE.as_secs()
            );
        }
        for record in reader.poll_batch(&limits)? {
            if record.header("ce_type") == Some(kind) {
                seen += 1;
                first.get_or_insert_with(|| (Moment::now(), cpu_time()));
            }
        }
        bar.set_position(seen);
    }
    bar.finish_and_clear();
    let (began, cpu) = first.context("nothing was read")?;
    Ok((began.elapsed(), cpu_time().saturating_sub(cpu)))
}

fn progress(what: &'static str, length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:10} {bar:40} {pos}/{len} {per_sec}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length)
        .with_style(style)
        .with_message(what)
}

fn show(report: &Report, json: bool) -> anyhow::Result<()> {
    let mut text = String::new();
    if json {
        text = serde_json::to_string_pretty(report)?;
    } else {
        writeln!(
            text,
            "{} orders of {} merchants, {} cores, {}",
            report.orders, report.merchants, report.cores, report.postgres
        )?;
        writeln!(
            text,
            "{:10} {:>12} {:>12} {:>16} {:>16}",
            "phase", "events/s", "ms", "CPU us/event", "WAL B/event"
        )?;
        for phase in &report.phases {
            writeln!(
                text,
                "{:10} {:>12} {:>12} {:>16} {:>16}",
                phase.name,
                phase.per_second,
                phase.milliseconds,
                phase.cpu_us_per_event,
                phase.wal_bytes_per_event
            )?;
        }
        write!(
            text,
            "resident at most {} MiB (generator and reader included); audit: {} differences",
            report.resident_max_kib / 1024,
            report.audit_differences
        )?;
    }
    crate::commands::say(&text);
    Ok(())
}
