//! The workloads: which messages, in which order of steps, and what of it is measured.

use std::time::{Duration, Instant as Moment};

use anyhow::{bail, ensure};
use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::figures::{Cpu, Figures, Sizes};
use super::input::{Input, Mix};
use super::load::{Pace, progress};
use super::machine::resident_kib;
use super::marks::per_second;
use super::reader::Seen;
use super::stand::{Goal, Program, Stand};
use crate::cli::BenchArgs;

/// For how long latencies are taken at half of the rate, at most.
const PACED: Duration = Duration::from_secs(10);
/// What every machine ingests per second, so that midnight is not too near.
const SLOWEST: u64 = 3_000;
/// What starting and stopping may take until midnight.
const BEFORE_MIDNIGHT: i64 = 45;
/// By how much orders come before the midnight that they are to disturb.
const RUN_UP: Duration = Duration::from_secs(2);
const ALL_ROLES: &str = "ingest,release,publish";

/// One week, released daily: what was completed long ago is due as soon as anything is released.
const WEEK: &str = r#"{"agreement_id":"bench","version":1,"merchant_id":"*","effective_from":"2020-01-01T00:00:00Z","time_zone":"Asia/Shanghai","terms":[{"name":"sale","rate_bps":10000,"days":7}],"settlement":{"cycle":"daily"}}"#;

/// All that is completed before a time of the day is due then.
fn until(cut_off: &str) -> String {
    format!(
        r#"{{"agreement_id":"bench","version":1,"merchant_id":"*","effective_from":"2020-01-01T00:00:00Z","time_zone":"UTC","terms":[{{"name":"sale","rate_bps":10000,"days":0,"count":"instant"}}],"settlement":{{"cycle":"daily","cut_off":"{cut_off}"}}}}"#
    )
}

fn input(args: &BenchArgs, mix: Mix, now: jiff::Timestamp) -> Input {
    Input::new(args.seed, args.merchants, args.spread, mix, 0, now)
}

/// *ingest*, and *release* of what it brought.
pub(super) async fn orders(
    stand: &mut Stand,
    args: &BenchArgs,
    now: jiff::Timestamp,
) -> anyhow::Result<Vec<Figures>> {
    stand.agree(WEEK.to_owned()).await?;
    let input = stand
        .produce(input(args, Mix::ORDERS, now), args.orders)
        .await?;
    let mut program = stand.start("ingest,publish")?;
    let mut ingest = stand
        .work("ingest", &mut program, args.orders, Goal::Applied)
        .await?;
    let created = stand.reader.seen().created.level();
    ensure!(
        created == args.orders,
        "{created} holds of {} orders",
        args.orders
    );
    let paced = paced(stand, &mut program, args, input, &ingest).await?;
    ingest.latency_us = paced.latency_us;
    let held = stand.reader.seen().created.level();
    program.stop()?;
    let mut program = stand.start(ALL_ROLES)?;
    let release = stand
        .work("release", &mut program, held, Goal::Released(held))
        .await?;
    program.stop()?;
    Ok(vec![ingest, paced, release])
}

/// *mixed*.
pub(super) async fn mixed(
    stand: &mut Stand,
    args: &BenchArgs,
    now: jiff::Timestamp,
) -> anyhow::Result<Vec<Figures>> {
    stand.agree(WEEK.to_owned()).await?;
    let input = stand
        .produce(input(args, Mix::MIXED, now), args.orders)
        .await?;
    let mut program = stand.start(ALL_ROLES)?;
    let mut mixed = stand
        .work("mixed", &mut program, args.orders, Goal::Applied)
        .await?;
    let paced = paced(stand, &mut program, args, input, &mixed).await?;
    program.stop()?;
    mixed.latency_us = paced.latency_us;
    Ok(vec![mixed, paced])
}

/// More of the same at half of the rate: how long until it is visible.
async fn paced(
    stand: &mut Stand,
    program: &mut Program,
    args: &BenchArgs,
    input: Input,
    full: &Figures,
) -> anyhow::Result<Figures> {
    let rate = args
        .rate
        .or_else(|| Some(full.per_second()? / 2))
        .unwrap_or(1)
        .max(1);
    let events = (rate * PACED.as_secs()).min(args.orders);
    let producing = stand.begin_timed(input, events, rate);
    let phase = match full.phase.as_str() {
        "mixed" => "mixed at half",
        _ => "ingest at half",
    };
    let figures = stand.work(phase, program, events, Goal::Applied).await?;
    drop(producing.await??);
    let (latency_us, _) = stand.reader.seen().latencies();
    Ok(Figures {
        latency_us,
        ..figures
    })
}

/// *midnight*: everything due at one instant, while as many orders come.
pub(super) async fn midnight(
    stand: &mut Stand,
    args: &BenchArgs,
    now: jiff::Timestamp,
) -> anyhow::Result<Vec<Figures>> {
    let seconds = i64::try_from(args.orders / SLOWEST)? + BEFORE_MIDNIGHT;
    // The next full minute after that, by the database's clock.
    let earliest = now.as_second() + seconds;
    let midnight = jiff::Timestamp::from_second(earliest - earliest.rem_euclid(60) + 60)?;
    let began = Moment::now();
    let until_midnight = Duration::try_from(midnight.duration_since(now))?;
    let cut_off = midnight
        .to_zoned(TimeZone::UTC)
        .strftime("%H:%M")
        .to_string();
    stand.agree(until(&cut_off)).await?;
    drop(
        stand
            .produce(input(args, Mix::NEW_ORDERS, now), args.orders)
            .await?,
    );
    let mut program = stand.start(ALL_ROLES)?;
    let alone = stand
        .work("midnight alone", &mut program, args.orders, Goal::Applied)
        .await?;
    let Some(left) = until_midnight.checked_sub(began.elapsed() + RUN_UP) else {
        bail!("midnight came before all was held: take fewer --orders");
    };
    wait("waiting for midnight", left).await;
    let after = midnight + SignedDuration::from_secs(1);
    let more = Input::new(
        args.seed,
        args.merchants,
        args.spread,
        Mix::NEW_ORDERS,
        args.orders,
        after,
    );
    let due = began + until_midnight;
    stand.reader.seen().time_releases(due);
    let producing = stand.begin(more, args.orders, Pace::AtOnce);
    let midnight = stand
        .work(
            "midnight",
            &mut program,
            args.orders,
            Goal::Released(args.orders),
        )
        .await?;
    let (latency_us, merchants_first_us) = stand.reader.seen().latencies();
    let orders = meanwhile(&stand.reader.seen(), args.orders, due);
    drop(producing.await??);
    if stand.lag().await? > 0 {
        let left = Goal::Applied;
        stand
            .work("what is left", &mut program, args.orders, left)
            .await?;
    }
    program.stop()?;
    let midnight = Figures {
        latency_us,
        merchants_first_us,
        // The orders' and the releases' can't be told apart.
        committed_per_second: None,
        cpu_ns_per_event: Cpu::default(),
        wal_bytes_per_event: None,
        growth: None,
        ..midnight
    };
    Ok(vec![alone, midnight, orders])
}

/// What came of the orders while midnight's releases went.
fn meanwhile(seen: &Seen, orders: u64, due: Moment) -> Figures {
    let released = seen.released.reached(orders).unwrap_or(due);
    let created = seen.created.reached(orders * 2).unwrap_or(released);
    let end = released.min(created);
    let events = seen.created.level_at(end) - seen.created.level_at(due);
    Figures {
        phase: "midnight orders".to_owned(),
        events,
        read_back_per_second: per_second(events, end.saturating_duration_since(due)),
        ..Figures::default()
    }
}

async fn wait(what: &'static str, left: Duration) {
    let bar = progress(what, left.as_secs());
    let until = Moment::now() + left;
    while let Some(left) = until.checked_duration_since(Moment::now()) {
        bar.set_position(bar.length().unwrap_or_default() - left.as_secs());
        tokio::time::sleep(left.min(Duration::from_secs(1))).await;
    }
    bar.finish_and_clear();
}

/// One look at a soak.
#[derive(Debug, Clone, serde::Serialize)]
pub(super) struct Sample {
    pub minute: u64,
    pub produced: u64,
    pub read_back: u64,
    pub resident_kib: Option<u64>,
    pub size: Sizes,
    pub dead_rows: i64,
}

/// *soak*: everything at once, for long, at a rate that is no strain. A minute in which more comes than
/// is done lasts longer.
pub(super) async fn soak(
    stand: &mut Stand,
    args: &BenchArgs,
    now: jiff::Timestamp,
) -> anyhow::Result<(Vec<Figures>, Vec<Sample>)> {
    let rate = args.rate.unwrap_or(1_000);
    stand.agree(WEEK.to_owned()).await?;
    let mut program = stand.start(ALL_ROLES)?;
    let mut input = stand.produce(input(args, Mix::SOAK, now), 1).await?;
    stand
        .work("soak begins", &mut program, 1, Goal::Applied)
        .await?;
    let (mut samples, mut minutes) = (Vec::new(), Vec::new());
    for minute in 1..=args.minutes {
        let events = rate * 60;
        let producing = stand.begin_timed(input, events, rate);
        let figures = stand
            .work("soak", &mut program, events, Goal::Applied)
            .await?;
        input = producing.await??;
        let (latency_us, _) = stand.reader.seen().latencies();
        let read_back = stand.reader.seen().all.level();
        samples.push(Sample {
            minute,
            produced: minute * events + 1,
            read_back,
            resident_kib: resident_kib(program.id()).map(|(now, _)| now),
            size: stand.scratch.sizes().await?,
            dead_rows: stand.scratch.dead_rows().await?,
        });
        minutes.push(Figures {
            latency_us,
            ..figures
        });
    }
    program.stop()?;
    Ok((minutes, samples))
}
