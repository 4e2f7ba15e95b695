//! The demo from its first line to its last: sets the stage, runs the real service on it while the
//! marketplace talks, shows what happens, and proves at the end that the books are right.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};

use jiff::{SignedDuration, Timestamp};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::market::Market;
use super::news::News;
use super::stage::{PARTITIONS, Stage};
use super::traffic::{self, Traffic};
use super::{closing, lines, say, screen};
use crate::cli::DemoArgs;
use crate::clock::ManualClock;
use crate::http::Readiness;
use crate::rules::time::Instant;
use crate::store::Store;

/// The marketplace's first instant, a Monday.
const FROM: &str = "2026-03-02T00:00:00Z";

/// What a view looks at.
pub struct Scene {
    pub store: Store,
    pub readiness: Arc<Readiness>,
    pub traffic: Traffic,
    pub news: Receiver<News>,
    /// Ends the demo.
    pub stop: CancellationToken,
    pub from: Timestamp,
    pub days: Option<u32>,
    pub addresses: [(&'static str, String); 4],
}

impl Scene {
    /// Whether the marketplace has fallen silent or someone wants to go.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.stop.is_cancelled() || self.traffic.has_ended()
    }

    /// Complete days since the beginning.
    #[must_use]
    pub fn day(&self, now: Timestamp) -> i64 {
        now.duration_since(self.from).as_hours().div_euclid(24)
    }
}

/// Runs the demo to its end.
///
/// # Errors
/// What kept it from starting; a difference that the audit found, or an event that was not
/// published in the end.
pub async fn run(args: &DemoArgs) -> anyhow::Result<()> {
    say(
        "holdback demo: a made-up marketplace; the service that holds and releases is the real one.",
    );
    say(
        "The broker is a stand-in inside this process, without transactions: good to look at, no proof for your Kafka.",
    );
    let stage = tokio::task::spawn_blocking(Stage::build).await??;
    let from: Timestamp = FROM.parse()?;
    let clock = ManualClock::at(Instant::new(from));
    let cast = stage.cast(&clock, from).await?;
    let addresses = stage.addresses();
    for (what, how) in &addresses {
        say(&format!("  {what:<9} {how}"));
    }
    let stop = CancellationToken::new();
    stop_on_signals(&stop)?;
    let (sender, news) = mpsc::channel();
    let traffic = Traffic::start(traffic::Setup {
        market: Market::open(args.seed, from),
        from,
        until: args
            .days
            .map(|days| from + SignedDuration::from_hours(i64::from(days) * 24)),
        seconds_a_day: args.speed,
        clock,
        kafka: cast.kafka,
        topics: cast.topics.clone(),
        partitions: PARTITIONS,
        news: sender,
        readiness: cast.controls.readiness.clone(),
        stop: stop.clone(),
    });
    let mut scene = Scene {
        store: cast.service.store().clone(),
        readiness: cast.controls.readiness.clone(),
        traffic,
        news,
        stop: stop.clone(),
        from,
        days: args.days,
        addresses,
    };
    let roles = cast.roles;
    let controls = cast.controls.clone();
    let ended = stop.clone();
    let running = tokio::spawn(async move {
        let ran = cast.service.run(&roles, controls).await;
        ended.cancel();
        ran
    });
    let shown = if std::io::stdout().is_terminal() && !args.plain {
        screen::show(&mut scene).await
    } else {
        lines::show(&mut scene).await
    };
    stop.cancel();
    let Scene { store, traffic, .. } = scene;
    let said = tokio::task::spawn_blocking(move || traffic.join()).await?;
    let settled = closing::settle(&store, &cast.topics, &running).await;
    cast.controls.stop.cancel();
    let ran = running.await?;
    shown.and(said).and(settled).and(ran)?;
    closing::report(&store).await
}

/// Ctrl-C and SIGTERM end the demo as `q` does.
fn stop_on_signals(stop: &CancellationToken) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stop.cancel();
    });
    Ok(())
}
