//! `holdback reconcile`: shows what the output topics and the database do not have in common; with
//! `--import` takes over what the database has lost, with `--accept` ends what can't be decided again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant as Moment};

use anyhow::{Context, bail};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Difference, topics};
use crate::cli::ReconcileArgs;
use crate::clock::Clock;
use crate::commands::say;
use crate::config::Config;
use crate::kafka::{Admin, KafkaSettings, OutputProducer};
use crate::message::outgoing::{self, EventType};
use crate::operator::By;
use crate::preflight::{self, kafka_settings};
use crate::store::Store;
use crate::store::elsewhere::Published;
use crate::store::operations::{About, Operation};

/// How long a broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the publisher's lease is waited for, which a process that died may still have.
const WAIT: Duration = Duration::from_secs(20);
/// How long the command keeps the lease.
const LEASE_SECONDS: i32 = 900;
/// How many events are shown one by one.
const SHOWN: usize = 20;

/// Runs the command.
///
/// # Errors
/// When topics and database disagree and nothing was done about it, or it could not be done.
pub async fn run(config: Config, args: &ReconcileArgs) -> anyhow::Result<()> {
    let by = match (&args.actor, &args.reason) {
        (Some(actor), Some(reason)) => Some(By::new(actor, reason)?),
        _ => None,
    };
    let store = preflight::connect(&config, Clock::Database).await?;
    preflight::check_schema(&store).await?;
    if args.accept {
        let accepted = accept(&store, &config, &by.context("who accepts, and why?")?).await?;
        say(&format!("{accepted} events accepted"));
        return match show_left(&store).await? {
            0 => Ok(()),
            left => bail!("{left} published releases are not booked and can't be accepted"),
        };
    }
    let config = Arc::new(config);
    if !args.import {
        let (difference, _) = compare(&store, &config).await?;
        show(&difference);
        let left = show_left(&store).await?;
        let fault = store.fault().await?;
        if let Some(fault) = &fault {
            say(&format!("fault: {fault}"));
        }
        if difference.is_none() && left == 0 && fault.is_none() {
            say("the output topics and the database agree");
            return Ok(());
        }
        bail!("the output topics and the database disagree");
    }
    let imported = import(&store, &config, &by.context("who imports, and why?")?).await?;
    say(&format!(
        "{imported} events imported: start holdback, which decides them again; nothing is released until all are"
    ));
    Ok(())
}

/// Takes over what the topics hold and the database has lost; answers how many events.
///
/// # Errors
/// When it can't be taken over, or somebody publishes.
pub async fn import(store: &Store, config: &Arc<Config>, by: &By) -> anyhow::Result<usize> {
    let owner = Uuid::from_u128(rand::random());
    let lease = lease(store, owner).await?;
    let done = take_over(store, config, by, &lease).await;
    store.leave_publisher(owner).await?;
    done
}

/// Takes the place of the publisher.
async fn lease(store: &Store, owner: Uuid) -> anyhow::Result<(i64, String)> {
    let until = Moment::now() + WAIT;
    loop {
        if let Some(lease) = store.lease_publisher(owner, LEASE_SECONDS).await? {
            return Ok(lease);
        }
        if Moment::now() > until {
            bail!("another process publishes: nothing is wrong, or holdback must be stopped first");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn compare(
    store: &Store,
    config: &Arc<Config>,
) -> anyhow::Result<(Difference, Vec<((String, i32), i64)>)> {
    let known = store.read_back_positions().await?;
    let settings = Arc::clone(config);
    let mut found = tokio::task::spawn_blocking(move || {
        let kafka = kafka_settings(&settings);
        let admin = Admin::open(&kafka, PATIENCE)?;
        let source = outgoing::source(&kafka.name);
        topics::read(&kafka, &admin, &settings.topics, &known, &source)
    })
    .await??;
    let positions = std::mem::take(&mut found.positions);
    Ok((Difference::of(store, found).await?, positions))
}

/// Opens a producer, which ends every transaction that an earlier publisher may have under way.
async fn fence(kafka: KafkaSettings) -> anyhow::Result<()> {
    tokio::task::spawn_blocking(move || OutputProducer::open(&kafka, PATIENCE).map(drop)).await??;
    Ok(())
}

async fn take_over(
    store: &Store,
    config: &Arc<Config>,
    by: &By,
    lease: &(i64, String),
) -> anyhow::Result<usize> {
    fence(kafka_settings(config)).await?;
    let (difference, positions) = compare(store, config).await?;
    show(&difference);
    if let Some(obstacle) = difference.obstacle() {
        bail!("{obstacle}; nothing was imported");
    }
    let events: Vec<Published> = difference.lost.values().flatten().cloned().collect();
    let mut tx = store.begin().await?;
    let operation = tx.operation_id().await?;
    tx.take_over(&events, &difference.last(), operation).await?;
    tx.take_over_settlements(&difference.parts()).await?;
    let lease = (lease.0, lease.1.as_str());
    tx.end_fault(lease, &difference.buried, &positions).await?;
    let request = json!({ "kind": "reconcile", "events": events.len() });
    tx.keep_operation(&operation_of(operation, by, request))
        .await?;
    tx.commit().await?;
    Ok(events.len())
}

/// A person's word that what is left is seen to; answers how many events that ended.
///
/// # Errors
/// When the database fails.
pub async fn accept(store: &Store, config: &Config, by: &By) -> anyhow::Result<u64> {
    let topics = config.topics.inputs().map(str::to_owned);
    let mut tx = store.begin().await?;
    let operation = tx.operation_id().await?;
    let accepted = super::accept::accept(&mut tx, &topics, operation).await?;
    let request = json!({ "kind": "accept", "events": accepted });
    tx.keep_operation(&operation_of(operation, by, request))
        .await?;
    tx.commit().await?;
    Ok(accepted)
}

fn operation_of(id: Uuid, by: &By, request: Value) -> Operation<'_> {
    Operation {
        id,
        kind: "reconcile",
        actor: &by.actor,
        reason: &by.reason,
        request,
        about: About::default(),
        needs_approval: false,
        approves: None,
    }
}

fn show(difference: &Difference) {
    for (merchant, events) in &difference.lost {
        say(&format!(
            "merchant {merchant}: {} events are in the topics and not in the database{}",
            events.len(),
            sums(events)
        ));
    }
    for event in difference.other.iter().take(SHOWN) {
        say(&format!("{}: the journal has another one", named(event)));
    }
    let others = difference.other.len();
    if others > SHOWN {
        say(&format!("{others} such events"));
    }
    for place in difference.foreign.iter().take(SHOWN) {
        say(&format!("{place}: no event of this deployment"));
    }
    for (merchant, sequence) in &difference.gaps {
        say(&format!("merchant {merchant}: event {sequence} is nowhere"));
    }
    for (merchant, count) in &difference.unpublished {
        say(&format!(
            "merchant {merchant}: {count} events are in the database and not in the topics; the publisher sends them"
        ));
    }
}

/// The releases among these events, counted and summed up.
fn sums(events: &[Published]) -> String {
    let mut sums: BTreeMap<&str, (u64, Decimal)> = BTreeMap::new();
    for event in events {
        if EventType::from_number(event.event) == Some(EventType::ReleaseIssued) {
            let json: Value = serde_json::from_str(&event.data).unwrap_or_default();
            let amount = json.get("amount").and_then(Value::as_str);
            let amount: Option<Decimal> = amount.and_then(|it| it.parse().ok());
            let sum = sums.entry(event.currency.as_deref().unwrap_or_default());
            let sum = sum.or_default();
            sum.0 += 1;
            sum.1 += amount.unwrap_or_default();
        }
    }
    let says = |(currency, (count, sum)): (&&str, &(u64, Decimal))| {
        format!(", {count} releases of {sum} {currency}")
    };
    sums.iter().map(says).collect()
}

fn named(event: &Published) -> String {
    let kind = EventType::from_number(event.event).map_or("?", EventType::as_str);
    format!(
        "merchant {} event {} {kind} {}",
        event.merchant_id, event.sequence, event.event_id
    )
}

/// Shows what was imported and is not decided again; answers how many events.
async fn show_left(store: &Store) -> anyhow::Result<i64> {
    let limit = i64::try_from(SHOWN)?;
    for event in store.still_published(limit).await? {
        let says = match &event.contradiction {
            Some(made) => format!("published as {}, decided as {made}", event.data),
            None => format!("published as {}, not decided again", event.data),
        };
        say(&format!("{}: {says}", named(&event)));
    }
    let left = store.count_still_published().await?;
    if left > 0 {
        say(&format!(
            "{left} imported events are not decided again; nothing is released until they are"
        ));
    }
    Ok(left)
}
