//! Where holdback itself is measured: a database and topics of its own, a reader of what becomes
//! visible, and the program as a process of its own, so that its CPU and memory are its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant as Moment};

use anyhow::{Context as _, bail, ensure};

use super::figures::Figures;
use super::input::Input;
use super::load::{self, Pace, Sender};
use super::machine::Servers;
use super::marks::{Marks, share};
use super::meter::Meter;
use super::reader::Reader;
use super::scratch::{Progress, Scratch};
use crate::clock::Clock;
use crate::config::Config;
use crate::demo::child::Supervised;
use crate::kafka::clock::{topic_beside, topic_spec};
use crate::kafka::{Admin, TopicSpec};
use crate::preflight;

/// Partitions of each topic of a run.
const PARTITIONS: i32 = 4;
/// How long nothing may happen before a run is given up.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// How often is looked how far the work is.
const LOOK: Duration = Duration::from_millis(50);

/// Until when a stretch of work lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// All input is applied, and all that was decided is read back.
    Applied,
    /// So many releases more are read back.
    Released(u64),
}

/// The deployment of one run.
pub(super) struct Stand {
    pub scratch: Scratch,
    pub config: Config,
    pub reader: Reader,
    sender: Arc<Sender>,
    servers: Servers,
    /// Records in all input topics.
    produced: u64,
    file: Option<PathBuf>,
}

/// Messages on their way; answers the input, for more.
type Producing = tokio::task::JoinHandle<anyhow::Result<Input>>;

/// The program at work.
pub(super) struct Program {
    server: Supervised,
    log: PathBuf,
}

impl Stand {
    /// Makes a database and topics of this name.
    pub(super) async fn make(
        config: &Config,
        file: Option<&Path>,
        servers: Servers,
        name: &str,
    ) -> anyhow::Result<Self> {
        let scratch = Scratch::make(config, &name.replace('-', "_")).await?;
        let config = named(config, name, &scratch.url());
        let store = preflight::connect(&config, Clock::Database).await?;
        store.migrate().await?;
        store.pool().close().await;
        let kafka = preflight::kafka_settings(&config);
        make_topics(&config).await?;
        Ok(Self {
            reader: Reader::start(&kafka, &config.topics, PARTITIONS)?,
            sender: Arc::new(Sender::open(&kafka, &config.topics)?),
            scratch,
            config,
            servers,
            produced: 0,
            file: file.map(Path::to_path_buf),
        })
    }

    /// Publishes an agreement for all merchants.
    pub(super) async fn agree(&mut self, agreement: String) -> anyhow::Result<()> {
        let sender = Arc::clone(&self.sender);
        tokio::task::spawn_blocking(move || sender.agree(&agreement)).await??;
        self.produced += 1;
        Ok(())
    }

    /// Produces messages all at once; answers the input, for more.
    pub(super) async fn produce(&mut self, input: Input, count: u64) -> anyhow::Result<Input> {
        self.begin(input, count, Pace::AtOnce).await?
    }

    /// Begins to produce messages at a pace, each order timed.
    pub(super) fn begin_timed(&mut self, input: Input, count: u64, rate: u64) -> Producing {
        self.reader.seen().time_orders(input.next_order());
        let pace = Pace::Timed(rate.max(1), self.reader.share());
        self.begin(input, count, pace)
    }

    /// Begins to produce messages; whoever waits for [`Goal::Applied`] waits for all of them.
    pub(super) fn begin(&mut self, mut input: Input, count: u64, pace: Pace) -> Producing {
        let sender = Arc::clone(&self.sender);
        self.produced += count;
        tokio::task::spawn_blocking(move || {
            sender.produce(&mut input, count, &pace)?;
            Ok(input)
        })
    }

    /// Records that were produced and are not applied.
    pub(super) async fn lag(&self) -> anyhow::Result<u64> {
        let applied = self.scratch.progress().await?.applied;
        Ok(self.produced.saturating_sub(applied))
    }

    /// Starts holdback with these roles.
    pub(super) fn start(&self, roles: &str) -> anyhow::Result<Program> {
        let log = std::env::temp_dir().join(format!("holdback-{}.log", self.config.name));
        let to_log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)?;
        let mut command = Command::new(std::env::current_exe()?);
        if let Some(file) = &self.file {
            command.arg("--config").arg(file);
        }
        command.args(["run", "--roles", roles]);
        for (key, value) in settings_of(&self.config, &self.scratch.url()) {
            command.env(key, value);
        }
        command
            .env_remove("HOLDBACK_DATABASE_URL_FILE")
            .stdin(Stdio::null())
            .stdout(to_log.try_clone()?)
            .stderr(to_log);
        let server = Supervised::start(&mut command, "TERM", None)?;
        Ok(Program { server, log })
    }

    /// Waits for the goal; what was done on the way stands for this many events.
    pub(super) async fn work(
        &self,
        phase: &'static str,
        program: &mut Program,
        events: u64,
        goal: Goal,
    ) -> anyhow::Result<Figures> {
        let before = self.scratch.progress().await?;
        let (all_before, released_before) = {
            let seen = self.reader.seen();
            (seen.all.level(), seen.released.level())
        };
        let level = |progress: Progress| match goal {
            Goal::Applied => progress.applied,
            Goal::Released(_) => progress.lines,
        };
        let bar = load::progress(phase, events);
        let mut committed = Marks::default();
        let mut meter = None;
        let mut last = (Moment::now(), 0, 0);
        let visible_end = loop {
            let asked = Moment::now();
            let progress = self.scratch.progress().await?;
            committed.note(Moment::now(), level(progress));
            if meter.is_none() && level(progress) > level(before) {
                let started =
                    Meter::start(&self.scratch, self.servers, program.server.id()).await?;
                meter = Some((started, level(progress)));
            }
            let seen = self.seen(program)?;
            if seen != (last.1, last.2) {
                last = (Moment::now(), seen.0, seen.1);
            } else if last.0.elapsed() > SILENCE_MAX {
                bail!(
                    "{phase} stands still at {progress:?}: see {}",
                    program.log.display()
                );
            }
            let (position, reached, end) = match goal {
                Goal::Applied => (
                    progress.applied - before.applied,
                    progress.applied >= self.produced && seen.0 >= progress.lines,
                    progress.lines,
                ),
                Goal::Released(count) => (
                    seen.1 - released_before,
                    seen.1 >= released_before + count,
                    released_before + count,
                ),
            };
            bar.set_position(position);
            if reached {
                break end;
            }
            // With very many merchants a look takes time: it must not become the load.
            tokio::time::sleep(LOOK.max(asked.elapsed() * 10)).await;
        };
        bar.finish_and_clear();
        let (meter, first) = meter.context("nothing was done")?;
        let (start, end) = (level(before), committed.level());
        let counted = share(events, end - first, end - start);
        let figures = meter.stop(&self.scratch, self.servers, counted).await?;
        let seen = self.reader.seen();
        let read_back = match goal {
            Goal::Applied => seen.all.rate(events, all_before, visible_end),
            Goal::Released(_) => seen.released.rate(events, released_before, visible_end),
        };
        Ok(Figures {
            phase: phase.to_owned(),
            events,
            committed_per_second: committed.rate(events, start, end),
            read_back_per_second: read_back,
            ..figures
        })
    }

    /// How many events and releases were seen.
    fn seen(&self, program: &mut Program) -> anyhow::Result<(u64, u64)> {
        program.must_run()?;
        let seen = self.reader.seen();
        if let Some(failed) = &seen.failed {
            bail!("the output topics can't be read: {failed}");
        }
        Ok((seen.all.level(), seen.released.level()))
    }

    /// Proves the books, and drops the database. The topics stay: a twin may read them yet.
    pub(super) async fn finish(self) -> anyhow::Result<()> {
        let store = preflight::connect(&self.config, Clock::Database).await?;
        let audit = store.audit().await?;
        store.pool().close().await;
        ensure!(
            audit.differences.is_empty(),
            "the audit found differences in {}: {:?}",
            self.config.name,
            audit.differences
        );
        self.scratch.remove().await
    }
}

impl Program {
    pub(super) fn id(&self) -> u32 {
        self.server.id()
    }

    fn must_run(&mut self) -> anyhow::Result<()> {
        match self.server.ended()? {
            None => Ok(()),
            Some(status) => bail!("holdback ended ({status}): see {}", self.log.display()),
        }
    }

    /// Asks it to end, and waits until it has.
    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        self.must_run()?;
        self.server.end("TERM", Duration::from_secs(60))?;
        std::fs::remove_file(&self.log)?;
        Ok(())
    }
}

/// The configuration with names of the run's own.
fn named(config: &Config, name: &str, url: &str) -> Config {
    let mut config = config.clone();
    name.clone_into(&mut config.name);
    name.clone_into(&mut config.kafka.group);
    config.database.url = url.to_owned().into();
    let topics = &mut config.topics;
    for topic in [
        &mut topics.order_completed,
        &mut topics.refund,
        &mut topics.dispute,
        &mut topics.merchant,
        &mut topics.payout_result,
        &mut topics.releases,
        &mut topics.events,
        &mut topics.dead_letters,
    ] {
        *topic = format!("{name}-{topic}");
    }
    config
}

/// What the program is told beside the settings that the bench itself was given.
fn settings_of(config: &Config, url: &str) -> Vec<(&'static str, String)> {
    let topics = &config.topics;
    vec![
        ("HOLDBACK_NAME", config.name.clone()),
        ("HOLDBACK_KAFKA_GROUP", config.kafka.group.clone()),
        ("HOLDBACK_DATABASE_URL", url.to_owned()),
        (
            "HOLDBACK_TOPICS_ORDER_COMPLETED",
            topics.order_completed.clone(),
        ),
        ("HOLDBACK_TOPICS_REFUND", topics.refund.clone()),
        ("HOLDBACK_TOPICS_DISPUTE", topics.dispute.clone()),
        ("HOLDBACK_TOPICS_MERCHANT", topics.merchant.clone()),
        (
            "HOLDBACK_TOPICS_PAYOUT_RESULT",
            topics.payout_result.clone(),
        ),
        ("HOLDBACK_TOPICS_RELEASES", topics.releases.clone()),
        ("HOLDBACK_TOPICS_EVENTS", topics.events.clone()),
        ("HOLDBACK_TOPICS_DEAD_LETTERS", topics.dead_letters.clone()),
        ("HOLDBACK_INGEST_START", "earliest".to_owned()),
        (
            "HOLDBACK_RELEASE_NOT_BEFORE",
            "1970-01-01T00:00:00Z".to_owned(),
        ),
        ("HOLDBACK_RELEASE_MODE", "live".to_owned()),
        ("HOLDBACK_LOG_LEVEL", "warn".to_owned()),
    ]
}

async fn make_topics(config: &Config) -> anyhow::Result<()> {
    let inputs = config.topics.inputs().into_iter();
    let mut specs: Vec<TopicSpec> = inputs
        .chain(config.topics.outputs())
        .map(|name| TopicSpec {
            name: name.to_owned(),
            partitions: PARTITIONS,
            replicas: None,
            config: Vec::new(),
        })
        .collect();
    specs.push(topic_spec(topic_beside(&config.topics.events), None));
    let kafka = preflight::kafka_settings(config);
    tokio::task::spawn_blocking(move || {
        Admin::open(&kafka, Duration::from_secs(10))?.create_topics(&specs)
    })
    .await?
    .with_context(|| format!("is Kafka running at {}?", config.kafka.brokers))?;
    Ok(())
}
