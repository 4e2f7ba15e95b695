//! What each command does: reads the settings, starts the logs, and calls the part that does it.

mod agreement;
mod balances;
mod calendar;
mod dead_letters;
mod explain;
mod export;
mod forecast;
mod parked;
mod rehearse;
mod statement;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::signal::unix::{SignalKind, signal};

use crate::bench;
use crate::cli::{AgreementCommand, Cli, Command, Role, TopicsArgs};
use crate::clock::Clock;
use crate::config::{self, Config, ConfigErrors};
use crate::demo;
use crate::import;
use crate::kafka::clock::{topic_beside, topic_spec};
use crate::kafka::{Admin, TopicSpec};
use crate::operator::{commands as operator, payouts, receivables};
use crate::preflight;
use crate::reconcile::command as reconcile;
use crate::rules::shadow::Mode;
use crate::service::{self, Controls, Service};
use crate::simulate::command as simulate;
use crate::store::{Store, shards};
use crate::telemetry;

/// Read when no `--config` names another and it is there.
const DEFAULT_FILE: &str = "holdback.toml";
/// How long a broker may take to answer a command.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs one command to its end.
///
/// # Errors
/// [`ConfigErrors`] when the settings are wrong; else what kept the command from doing its work.
pub async fn execute(cli: Cli) -> anyhow::Result<()> {
    let file = cli.config.clone();
    let configured = || -> anyhow::Result<Config> {
        let config = settings(cli.config)?;
        telemetry::start_logs(&config.log)?;
        Ok(config)
    };
    match cli.command {
        Command::Run(args) => run(configured()?, &args.roles()).await,
        // Needs no settings.
        Command::Migrate(args) if args.print_roles => {
            say(include_str!("../../schemas/roles.sql").trim_end());
            Ok(())
        }
        Command::Migrate(args) if args.dry_run => {
            say(shards::script().trim_end());
            Ok(())
        }
        Command::Migrate(args) => migrate(&configured()?, args.distribute.is_some()).await,
        Command::Topics(args) => topics(&configured()?, &args).await,
        Command::Check => check(&configured()?).await,
        Command::Explain(args) => explain::run(&configured()?, &args).await,
        Command::Pause(args) => operator::pause(configured()?, &args).await,
        Command::Resume(args) => operator::resume(configured()?, &args).await,
        Command::Pauses => operator::pauses(&configured()?).await,
        Command::Block(args) => operator::block(configured()?, &args).await,
        Command::Unblock(args) => operator::unblock(configured()?, &args).await,
        Command::Release(args) => match args.on {
            Some(on) => rehearse::run(&configured()?, &args, on).await,
            None => operator::release(configured()?, &args).await,
        },
        Command::Extend(args) => operator::extend(configured()?, &args).await,
        Command::Receivable(command) => receivables::run(configured()?, &command).await,
        Command::Payout(command) => payouts::run(configured()?, &command).await,
        Command::Approve(args) => operator::approve(configured()?, &args).await,
        Command::Proposals => operator::proposals(&configured()?).await,
        Command::Review(what) => operator::review(configured()?, &what).await,
        Command::DeadLetters(command) => dead_letters::run(configured()?, command).await,
        Command::Parked(command) => parked::run(configured()?, command).await,
        Command::Bench(args) => bench::run(configured()?, file, &args).await,
        // Needs no settings, and says nothing but its answer.
        Command::Simulate(args) => simulate::run(&args),
        Command::Agreement(AgreementCommand::Check { file, from }) => agreement::check(&file, from),
        Command::Agreement(AgreementCommand::Reapply(args)) => {
            operator::reapply(configured()?, args).await
        }
        Command::Import(args) => import::run(configured()?, &args).await,
        Command::Reconcile(args) => reconcile::run(configured()?, &args).await,
        Command::Audit => audit(&configured()?).await,
        Command::Export(args) => export::run(&configured()?, args).await,
        Command::Statement(args) => statement::run(&configured()?, args).await,
        Command::Balances(args) => balances::run(&configured()?, &args).await,
        Command::Forecast(args) => forecast::run(&configured()?, &args).await,
        // Needs settings only to send.
        Command::Calendar(args) => calendar::run(args, configured).await,
        // Needs no settings, and keeps its logs out of the view.
        Command::Demo(args) => demo::run(&args).await,
    }
}

/// The settings out of the named file, or out of the default one if it is there, and the
/// environment.
fn settings(named: Option<PathBuf>) -> Result<Config, ConfigErrors> {
    let default = || {
        Path::new(DEFAULT_FILE)
            .is_file()
            .then(|| PathBuf::from(DEFAULT_FILE))
    };
    Config::load(named.or_else(default).as_deref(), config::environment())
}

/// Says a line on standard output; a reader that has gone away is no error.
pub fn say(line: &str) {
    drop(writeln!(std::io::stdout(), "{line}"));
}

async fn run(config: Config, roles: &BTreeSet<Role>) -> anyhow::Result<()> {
    let controls = Controls::new(service::start_metrics()?, roles);
    let service = Service::prepare(config, Clock::Database).await?;
    let stop = controls.stop.clone();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    });
    service.run(roles, controls).await
}

async fn migrate(config: &Config, distribute: bool) -> anyhow::Result<()> {
    let store = preflight::connect(config, Clock::Database).await?;
    if distribute && !store.has_citus().await? {
        bail!(
            "this database has no Citus, nothing was done: install it on each machine and run \
             CREATE EXTENSION citus in this database as a superuser first"
        );
    }
    store.migrate().await?;
    let (_, taken) = store.schema_version().await?;
    say(&format!(
        "the schema is at version {}",
        taken.unwrap_or_default()
    ));
    if distribute {
        match store.distribute().await?.as_slice() {
            [] => say("every table was laid out before"),
            laid => say(&format!("laid out: {}", laid.join(", "))),
        }
    }
    Ok(())
}

async fn topics(config: &Config, args: &TopicsArgs) -> anyhow::Result<()> {
    let admin = open_admin(config)?;
    let missing = preflight::missing_topics(&admin, config).await?;
    let names = config
        .topics
        .inputs()
        .into_iter()
        .chain(config.topics.outputs());
    let mut specs: Vec<TopicSpec> = missing
        .iter()
        .map(|name| TopicSpec {
            name: name.clone(),
            partitions: args.partitions,
            replicas: Some(args.replication),
            config: vec![("cleanup.policy".to_owned(), "delete".to_owned())],
        })
        .collect();
    let clock = topic_beside(&config.topics.events);
    let asker = Arc::clone(&admin);
    let beside = clock.clone();
    let counts =
        tokio::task::spawn_blocking(move || asker.partition_counts(&[beside.as_str()])).await??;
    match counts.get(&clock).copied().flatten() {
        Some(_) => say(&format!("{clock}: is there")),
        None => specs.push(topic_spec(clock.clone(), Some(args.replication))),
    }
    for name in names.filter(|name| !missing.iter().any(|gone| gone == name)) {
        say(&format!("{name}: is there"));
    }
    let maker = Arc::clone(&admin);
    let created = tokio::task::spawn_blocking(move || maker.create_topics(&specs))
        .await?
        .context("the broker would not create the topics")?;
    for name in created {
        let partitions = if name == clock { 1 } else { args.partitions };
        say(&format!("{name}: created with {partitions} partitions"));
    }
    Ok(())
}

fn open_admin(config: &Config) -> anyhow::Result<Arc<Admin>> {
    let kafka = preflight::kafka_settings(config);
    kafka.check()?;
    Ok(Arc::new(Admin::open(&kafka, PATIENCE)?))
}

/// Checks everything and says all that is wrong, not only the first thing.
async fn check(config: &Config) -> anyhow::Result<()> {
    let mut wrong = 0_u32;
    let mut tell = |what: &str, state: anyhow::Result<()>| match state {
        Ok(()) => say(&format!("ok     {what}")),
        Err(error) => {
            wrong += 1;
            say(&format!("wrong  {what}: {error:#}"));
        }
    };
    tell(
        "settings",
        preflight::kafka_settings(config)
            .check()
            .map_err(Into::into),
    );
    match preflight::connect(config, Clock::Database).await {
        Ok(store) => {
            tell("database", Ok(()));
            let schema = preflight::check_schema(&store).await;
            let there = schema.is_ok();
            tell("tables", schema);
            if there {
                tell("durability", durable(&store).await);
                tell("input", halted(&store).await);
                match store.release_mode().await {
                    Ok(mode) => tell(&format!("releases: {mode}"), Ok(())),
                    Err(error) => tell("releases", Err(error.into())),
                }
            }
        }
        Err(error) => tell("database", Err(error)),
    }
    match open_admin(config) {
        Ok(admin) => tell(
            "broker and topics",
            preflight::check_topics(&admin, config).await,
        ),
        Err(error) => tell("broker", Err(error)),
    }
    if wrong > 0 {
        bail!("{wrong} of the checks failed");
    }
    Ok(())
}

async fn durable(store: &crate::store::Store) -> anyhow::Result<()> {
    let off = store.unsafe_settings().await?;
    if off.is_empty() {
        return Ok(());
    }
    bail!(
        "{} must be on: without it a crash of Postgres loses decisions that were published",
        off.join(", ")
    )
}

async fn halted(store: &crate::store::Store) -> anyhow::Result<()> {
    let halted: Vec<String> = store
        .all_positions()
        .await?
        .into_iter()
        .filter_map(|((topic, partition), position)| {
            Some(format!(
                "{topic}/{partition} is halted: {}",
                position.halted?
            ))
        })
        .collect();
    if halted.is_empty() {
        return Ok(());
    }
    bail!("{}", halted.join("; "))
}

/// The store of a command that only reads.
async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let store = preflight::connect(config, Clock::Database).await?;
    preflight::check_schema(&store).await?;
    Ok(store)
}

/// Says that not all that is released is paid by holdback, if so.
fn say_shadow(mode: Mode) {
    if mode != Mode::Live {
        say(&format!("This deployment is {mode}."));
    }
}

async fn audit(config: &Config) -> anyhow::Result<()> {
    let store = open_store(config).await?;
    let audit = store.audit().await?;
    for difference in &audit.differences {
        say(&serde_json::to_string(difference)?);
    }
    say(&format!(
        "{} merchants, {} holds, {} journal lines, {} not yet published: {} differences",
        audit.merchants,
        audit.holds,
        audit.journal_lines,
        audit.unpublished,
        audit.differences.len()
    ));
    if audit.differences.is_empty() {
        return Ok(());
    }
    bail!("the journal and the tables do not agree")
}
