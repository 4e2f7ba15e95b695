//! The naive consumer: what a team writes first. A real Kafka consumer, a transaction per message.
//!
//! Fixed, as the floor is. Two members of one group, each with a connection of its own; an order is
//! a hold row, a balance and an outbox row. What would send the outbox on is left out, in its favour.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant as Moment};

use rust_decimal::Decimal;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};

use super::figures::{Figures, NAIVE, Run};
use super::machine::Servers;
use super::marks::per_second;
use super::meter::Meter;
use super::scratch::Scratch;
use crate::kafka::{Error, Input, KafkaSettings, Limits, Partition, Polled};
use crate::message::Record;

const MEMBERS: usize = 2;
/// How long no message may come before it is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the group is told how far a member is.
const COMMIT: Duration = Duration::from_secs(1);
const LIMITS: Limits = Limits {
    max_records: 500,
    max_bytes: 1 << 20,
    wait: Duration::from_millis(100),
    linger: Duration::ZERO,
};

const SCHEMA: &str = "
CREATE SCHEMA bench_naive;
CREATE TABLE bench_naive.holds (merchant_id text, order_id text, amount numeric NOT NULL,
    release_at timestamptz NOT NULL, state text NOT NULL, PRIMARY KEY (merchant_id, order_id));
CREATE INDEX ON bench_naive.holds (release_at) WHERE state = 'held';
CREATE TABLE bench_naive.balances (merchant_id text PRIMARY KEY, held numeric NOT NULL,
    released numeric NOT NULL);
CREATE TABLE bench_naive.outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event jsonb NOT NULL)";

/// What it reads of an order.
#[derive(Debug, serde::Deserialize)]
struct Order {
    order_id: String,
    merchant_id: String,
    amount: Decimal,
    completed_at: String,
}

/// What the members share.
struct Shared {
    wanted: u64,
    done: AtomicU64,
    began: Mutex<Option<Moment>>,
    positions: Mutex<HashMap<Partition, i64>>,
}

/// Measures it on the first of the orders in this topic.
pub(super) async fn measure(
    scratch: &Scratch,
    servers: Servers,
    kafka: &KafkaSettings,
    topic: &str,
    orders: u64,
) -> anyhow::Result<Run> {
    sqlx::raw_sql(SCHEMA).execute(scratch.pool()).await?;
    let kafka = KafkaSettings {
        group: format!("{}-naive", kafka.group),
        ..kafka.clone()
    };
    let shared = Arc::new(Shared {
        wanted: orders,
        done: AtomicU64::new(0),
        began: Mutex::new(None),
        positions: Mutex::new(HashMap::new()),
    });
    let meter = Meter::start(scratch, servers, std::process::id()).await?;
    let mut members = Vec::new();
    for _ in 0..MEMBERS {
        let input = Input::open(&kafka, &[topic])?;
        let connection = PgConnection::connect_with(scratch.options()).await?;
        let (shared, handle) = (Arc::clone(&shared), tokio::runtime::Handle::current());
        members.push(tokio::task::spawn_blocking(move || {
            consume(input, connection, &shared, &handle)
        }));
    }
    for member in members {
        member.await??;
    }
    let took = shared
        .began
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .map_or(Duration::ZERO, |began| began.elapsed());
    let done = shared.done.load(Ordering::Relaxed);
    let ingest = Figures {
        phase: "ingest".to_owned(),
        events: done,
        committed_per_second: per_second(done, took),
        ..meter.stop(scratch, servers, done).await?
    };
    let release = release_all(scratch, servers, done).await?;
    Ok(Run {
        repeat: 0,
        subject: NAIVE.to_owned(),
        phases: vec![ingest, release],
    })
}

/// One member of the group, until all are done that were wanted.
fn consume(
    mut input: Input,
    mut connection: PgConnection,
    shared: &Shared,
    handle: &tokio::runtime::Handle,
) -> anyhow::Result<()> {
    let until = Moment::now() + PATIENCE;
    let mut told = Moment::now();
    while shared.done.load(Ordering::Relaxed) < shared.wanted {
        anyhow::ensure!(
            Moment::now() < until || shared.done.load(Ordering::Relaxed) > 0,
            "the naive consumer got nothing"
        );
        let polled = match input.poll_batch(&LIMITS) {
            Err(Error::Retry(_)) => continue,
            other => other?,
        };
        let positions = || {
            let positions = shared.positions.lock();
            positions.unwrap_or_else(PoisonError::into_inner)
        };
        match polled {
            Polled::Assigned(partitions) => {
                let known = positions();
                let start = |key: Partition| {
                    let offset = known.get(&key).copied().unwrap_or_default();
                    (key, offset)
                };
                let starts: Vec<_> = partitions.into_iter().map(start).collect();
                drop(known);
                input.assign_at(&starts)?;
            }
            Polled::Revoked => input.unassign()?,
            Polled::Records(records) => {
                for record in records {
                    shared
                        .began
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .get_or_insert_with(Moment::now);
                    handle.block_on(hold(&mut connection, &record))?;
                    let key = (Arc::clone(&record.topic), record.partition);
                    positions().insert(key, record.offset + 1);
                    if shared.done.fetch_add(1, Ordering::Relaxed) + 1 >= shared.wanted {
                        break;
                    }
                }
                if told.elapsed() > COMMIT {
                    told = Moment::now();
                    input.commit_for_lag_tools(&positions().clone());
                }
            }
        }
    }
    Ok(())
}

/// A transaction per message.
async fn hold(connection: &mut PgConnection, record: &Record) -> anyhow::Result<()> {
    let order: Order = serde_json::from_slice(record.value.as_deref().unwrap_or_default())?;
    let mut tx = connection.begin().await?;
    let held = sqlx::query(
        "INSERT INTO bench_naive.holds
         VALUES ($1, $2, $3, $4::timestamptz + interval '7 days', 'held') ON CONFLICT DO NOTHING",
    )
    .bind(&order.merchant_id)
    .bind(&order.order_id)
    .bind(order.amount)
    .bind(&order.completed_at)
    .execute(&mut *tx)
    .await?;
    if held.rows_affected() == 1 {
        sqlx::query(
            "INSERT INTO bench_naive.balances AS b VALUES ($1, $2, 0)
             ON CONFLICT (merchant_id) DO UPDATE SET held = b.held + excluded.held",
        )
        .bind(&order.merchant_id)
        .bind(order.amount)
        .execute(&mut *tx)
        .await?;
        tell(
            &mut tx,
            "hold.created",
            &order.merchant_id,
            &order.order_id,
            order.amount,
        )
        .await?;
    }
    tx.commit().await?;
    Ok(())
}

async fn tell(
    connection: &mut PgConnection,
    event: &str,
    merchant: &str,
    order: &str,
    amount: Decimal,
) -> anyhow::Result<()> {
    let event = serde_json::json!({
        "event": event, "merchant_id": merchant, "order_id": order, "amount": amount,
    });
    sqlx::query("INSERT INTO bench_naive.outbox (event) VALUES ($1)")
        .bind(event)
        .execute(connection)
        .await?;
    Ok(())
}

/// Releases everything, a transaction each.
async fn release_all(scratch: &Scratch, servers: Servers, orders: u64) -> anyhow::Result<Figures> {
    let meter = Meter::start(scratch, servers, std::process::id()).await?;
    let began = Moment::now();
    let members = (0..MEMBERS).map(|_| tokio::spawn(release(scratch.options().clone())));
    let members: Vec<_> = members.collect();
    let mut released = 0;
    for member in members {
        released += member.await??;
    }
    let took = began.elapsed();
    anyhow::ensure!(released == orders, "{released} of {orders} were released");
    Ok(Figures {
        phase: "release".to_owned(),
        events: orders,
        committed_per_second: per_second(orders, took),
        ..meter.stop(scratch, servers, orders).await?
    })
}

async fn release(options: PgConnectOptions) -> anyhow::Result<u64> {
    let mut connection = PgConnection::connect_with(&options).await?;
    let mut released = 0;
    loop {
        let mut tx = connection.begin().await?;
        let due: Option<(String, String, Decimal)> = sqlx::query_as(
            "SELECT merchant_id, order_id, amount FROM bench_naive.holds
             WHERE state = 'held' AND release_at <= now() ORDER BY release_at LIMIT 1
             FOR UPDATE SKIP LOCKED",
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some((merchant, order, amount)) = due else {
            tx.rollback().await?;
            return Ok(released);
        };
        sqlx::query(
            "UPDATE bench_naive.holds SET state = 'released'
             WHERE merchant_id = $1 AND order_id = $2",
        )
        .bind(&merchant)
        .bind(&order)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "UPDATE bench_naive.balances SET held = held - $2, released = released + $2
             WHERE merchant_id = $1",
        )
        .bind(&merchant)
        .bind(amount)
        .execute(&mut *tx)
        .await?;
        tell(&mut tx, "release.issued", &merchant, &order, amount).await?;
        tx.commit().await?;
        released += 1;
    }
}
