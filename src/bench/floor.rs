//! The floor: the fewest and narrowest rows that could do the job at all, by the best bare SQL.
//!
//! Fixed, so that what is measured against it can be compared over versions: statements over batches
//! of 5,000 by UNNEST, two connections split by merchant, a key on the order and no other, what is
//! due in a table of its own and deleted by ctid, one outbox row per batch. No Kafka, no rules.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant as Moment;

use sqlx::{Connection as _, PgConnection};

use super::figures::{FLOOR, Figures, Run};
use super::input::Input;
use super::machine::Servers;
use super::meter::Meter;
use super::scratch::Scratch;

const BATCH: usize = 5_000;
const CONNECTIONS: i16 = 2;

const SCHEMA: &str = "
CREATE SCHEMA bench_floor;
CREATE TABLE bench_floor.holds (merchant_id text, order_id text, amount bigint NOT NULL,
    release_on date NOT NULL, PRIMARY KEY (merchant_id, order_id));
CREATE TABLE bench_floor.due (shard smallint NOT NULL, release_on date NOT NULL,
    merchant_id text NOT NULL, order_id text NOT NULL, amount bigint NOT NULL);
CREATE INDEX ON bench_floor.due (shard, release_on);
CREATE TABLE bench_floor.balances (merchant_id text PRIMARY KEY, held bigint NOT NULL,
    released bigint NOT NULL) WITH (fillfactor = 70);
CREATE TABLE bench_floor.outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    events text NOT NULL)";

const INGEST: &str = "
WITH orders AS MATERIALIZED (
         SELECT * FROM unnest($2::text[], $3::text[], $4::bigint[]) AS o (merchant, id, amount)),
     held AS (
         INSERT INTO bench_floor.holds SELECT merchant, id, amount, '2020-01-01' FROM orders),
     due AS (
         INSERT INTO bench_floor.due
         SELECT $1::smallint, '2020-01-01', merchant, id, amount FROM orders),
     balances AS (
         INSERT INTO bench_floor.balances AS b
         SELECT merchant, held, 0 FROM unnest($5::text[], $6::bigint[]) AS s (merchant, held)
         ON CONFLICT (merchant_id) DO UPDATE SET held = b.held + excluded.held)
INSERT INTO bench_floor.outbox (events) VALUES ($7)";

const RELEASE: &str = "
WITH locked AS MATERIALIZED (
         SELECT ctid AS place FROM bench_floor.due
         WHERE shard = $1 AND release_on <= '2020-01-01' LIMIT $2 FOR UPDATE SKIP LOCKED),
     gone AS (
         DELETE FROM bench_floor.due WHERE ctid = ANY (ARRAY(SELECT place FROM locked))
         RETURNING merchant_id, order_id, amount),
     balances AS (
         UPDATE bench_floor.balances b
         SET held = b.held - s.amount, released = b.released + s.amount
         FROM (SELECT merchant_id, sum(amount)::bigint AS amount FROM gone GROUP BY merchant_id) s
         WHERE b.merchant_id = s.merchant_id),
     events AS (
         INSERT INTO bench_floor.outbox (events)
         SELECT string_agg(format('{\"release\":\"%s/%s\",\"amount\":%s}', merchant_id, order_id,
             amount), E'\\n') FROM gone HAVING count(*) > 0)
SELECT count(*) FROM gone";

/// What one connection does.
struct Share {
    number: i16,
    connection: PgConnection,
    orders: Vec<(String, String, i64)>,
}

/// Measures it in a schema of its own.
pub(super) async fn measure(
    scratch: &Scratch,
    servers: Servers,
    orders: u64,
    mut input: Input,
) -> anyhow::Result<Run> {
    sqlx::raw_sql(SCHEMA).execute(scratch.pool()).await?;
    // Where the server has it, the faster compression of long values.
    let faster = "ALTER TABLE bench_floor.outbox ALTER events SET COMPRESSION lz4";
    if let Err(error) = sqlx::raw_sql(faster).execute(scratch.pool()).await {
        tracing::debug!(%error, "the outbox of the floor is compressed by pglz");
    }
    let mut shares = Vec::new();
    for number in 0..CONNECTIONS {
        shares.push(Share {
            number,
            connection: PgConnection::connect_with(scratch.options()).await?,
            orders: Vec::new(),
        });
    }
    for number in 0..orders {
        let merchant = input.message().merchant;
        // By merchant, so that two never meet on a balance.
        let digit = merchant.bytes().last().unwrap_or_default();
        let share = usize::from(digit) % shares.len();
        let amount = i64::try_from(number % 100_000 + 100)?;
        shares[share]
            .orders
            .push((merchant, format!("O-{number:010}"), amount));
    }
    let mut run = Run {
        repeat: 0,
        subject: FLOOR.to_owned(),
        phases: Vec::new(),
    };
    for phase in ["ingest", "release"] {
        let meter = Meter::start(scratch, servers, std::process::id()).await?;
        let began = Moment::now();
        let work = shares.into_iter().map(|share| {
            tokio::spawn(async move {
                match phase {
                    "ingest" => hold(share).await,
                    _ => release(share).await,
                }
            })
        });
        let work: Vec<_> = work.collect();
        shares = Vec::new();
        for share in work {
            shares.push(share.await??);
        }
        let took = began.elapsed();
        run.phases.push(Figures {
            phase: phase.to_owned(),
            events: orders,
            committed_per_second: super::marks::per_second(orders, took),
            ..meter.stop(scratch, servers, orders).await?
        });
    }
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM bench_floor.due")
        .fetch_one(scratch.pool())
        .await?;
    anyhow::ensure!(left == 0, "the floor has left {left} due rows");
    Ok(run)
}

async fn hold(mut share: Share) -> anyhow::Result<Share> {
    for batch in share.orders.chunks(BATCH) {
        let (mut merchants, mut ids, mut amounts) = (Vec::new(), Vec::new(), Vec::new());
        let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
        let mut events = String::new();
        for (merchant, id, amount) in batch {
            merchants.push(merchant.as_str());
            ids.push(id.as_str());
            amounts.push(*amount);
            *sums.entry(merchant).or_default() += amount;
            writeln!(
                events,
                r#"{{"hold":"{merchant}/{id}","amount":{amount},"release_on":"2020-01-01"}}"#
            )?;
        }
        let (held_by, held): (Vec<&str>, Vec<i64>) = sums.into_iter().unzip();
        sqlx::query(INGEST)
            .bind(share.number)
            .bind(&merchants)
            .bind(&ids)
            .bind(&amounts)
            .bind(&held_by)
            .bind(&held)
            .bind(&events)
            .execute(&mut share.connection)
            .await?;
    }
    Ok(share)
}

async fn release(mut share: Share) -> anyhow::Result<Share> {
    loop {
        let gone: i64 = sqlx::query_scalar(RELEASE)
            .bind(share.number)
            .bind(i64::try_from(BATCH)?)
            .fetch_one(&mut share.connection)
            .await?;
        if gone == 0 {
            return Ok(share);
        }
    }
}
