//! Loads that no sane upstream sends, and how much memory, disk and time one process takes for them.
//!
//! Guarantees: one process with its default settings works off each load, stays below
//! [`LIMIT_MIB`] of resident memory, and the database below [`disk_limit`]; what it took is told.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection, Row};
use tokio::runtime::Runtime;

use crate::generator::wall_us;
use crate::harness::process::migrate;
use crate::harness::{Message, Process, TestBed, say};
use crate::servers::{Servers, by_way_of};

/// What a process may take.
const LIMIT_MIB: u64 = 512;

/// What the database may grow by: for these messages of these bytes in all.
fn disk_limit(messages: u64, bytes: u64) -> u64 {
    messages * DISK_PER_MESSAGE + 2 * bytes
}

const DISK_PER_MESSAGE: u64 = 8 << 10;
/// How long one load may take, and again for each time that it is larger.
const PATIENCE: Duration = Duration::from_secs(240);
/// Bytes per second by a slow link.
const SLOW: u64 = 32 << 10;
/// For so long a link is slow.
const SLOW_FOR: Duration = Duration::from_secs(20);

/// What is sent, and how often.
struct Load {
    name: &'static str,
    count: usize,
    /// Topic, type and message of a number.
    message: fn(&Facts, usize) -> (&'static str, &'static str, Value),
    /// To whom the link is slow at first.
    slow: Option<Slow>,
    settings: &'static [(&'static str, &'static str)],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Slow {
    Database,
    Broker,
}

impl Load {
    const fn new(
        name: &'static str,
        count: usize,
        message: fn(&Facts, usize) -> (&'static str, &'static str, Value),
    ) -> Self {
        Self {
            name,
            count,
            message,
            slow: None,
            settings: &[],
        }
    }

    const fn slow(self, slow: Slow) -> Self {
        Self {
            slow: Some(slow),
            ..self
        }
    }

    const fn with(self, settings: &'static [(&'static str, &'static str)]) -> Self {
        Self { settings, ..self }
    }
}

/// So that one order may have as many facts as a load has.
const ANY_NUMBER: &[(&str, &str)] = &[("HOLDBACK_INGEST_FACTS_PER_ORDER", "1000000")];
/// What one order has no room for must not halt its partition here.
const FULL: &[(&str, &str)] = &[
    ("HOLDBACK_INGEST_FACTS_PER_ORDER", "1000"),
    ("HOLDBACK_INGEST_BREAKER_CONSECUTIVE", "1000000"),
];

const LOADS: &[Load] = &[
    Load::new(
        "facts that wait, each for another order",
        60_000,
        Facts::orphan,
    ),
    Load::new(
        "facts that wait for one order",
        3_000,
        Facts::before_their_order,
    )
    .with(ANY_NUMBER),
    Load::new(
        "facts of one order that is there",
        3_000,
        Facts::after_their_order,
    )
    .with(ANY_NUMBER),
    Load::new(
        "more facts than one order may have",
        5_000,
        Facts::after_their_order,
    )
    .with(FULL),
    Load::new(
        "one merchant with everything",
        30_000,
        Facts::of_one_merchant,
    ),
    Load::new(
        "one merchant with everything, and a broker that takes 32 KiB/s",
        10_000,
        Facts::of_one_merchant,
    )
    .slow(Slow::Broker),
    Load::new("messages of 128 KiB", 1_500, Facts::large),
    Load::new(
        "messages of 128 KiB, and a database that takes 32 KiB/s",
        1_500,
        Facts::large,
    )
    .slow(Slow::Database),
    Load::new("bad messages of 128 KiB", 1_500, Facts::large_and_bad).with(FULL),
];

/// Makes messages.
struct Facts {
    now: Timestamp,
    count: usize,
}

/// Plays every load, so many times as large, or the one whose name this is part of, each in a deployment of its own.
pub fn all(scale: usize, name: Option<&str>) -> Result<(), String> {
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    let servers = Servers::start()?;
    let mut over = Vec::new();
    let wanted = |load: &&Load| name.is_none_or(|name| load.name.contains(name));
    for load in LOADS.iter().filter(wanted) {
        let count = load.count * scale;
        let patience = PATIENCE.saturating_mul(u32::try_from(scale).unwrap_or(u32::MAX));
        let Took {
            peak,
            time,
            disk,
            bytes,
        } = match play(&runtime, &servers, load, count, patience) {
            Ok(measured) => measured,
            Err(why) => {
                over.push(why);
                continue;
            }
        };
        let line = format!(
            "{}: {count} messages of {} KiB in all, {peak} MiB of memory at most, {} KiB of disk, {} s",
            load.name,
            bytes / 1024,
            disk / 1024,
            time.as_secs()
        );
        say(&line);
        let messages = u64::try_from(count).expect("few");
        if peak > LIMIT_MIB || disk > disk_limit(messages, bytes) {
            over.push(line);
        }
    }
    if over.is_empty() {
        return Ok(());
    }
    Err(format!("more than it may, or not done: {over:#?}"))
}

fn play(
    runtime: &Runtime,
    servers: &Servers,
    load: &Load,
    count: usize,
    patience: Duration,
) -> Result<Took, String> {
    let (brokers, url) = (servers.kafka.brokers(), servers.postgres.url());
    let bed = runtime.block_on(TestBed::on("bounded", brokers, url, 2));
    migrate(&bed);
    let facts = Facts {
        count,
        now: Timestamp::from_microsecond(wall_us()).expect("an instant"),
    };
    let empty = runtime.block_on(size_of(&bed))?;
    let mut bytes = send(&bed, "merchant", "agreement.published.v1", &agreement());
    for number in 0..count {
        let (topic, kind, value) = (load.message)(&facts, number);
        bytes += send(&bed, topic, kind, &value);
        if number % 500 == 0 {
            bed.flush();
        }
    }
    bed.flush();
    let links = &servers.links[0];
    match load.slow {
        Some(Slow::Database) => links.postgres.slow(Duration::ZERO, SLOW),
        Some(Slow::Broker) => links.kafka.slow(Duration::ZERO, SLOW),
        None => {}
    }
    let database = by_way_of(&bed.database_url, &links.postgres);
    let brokers = format!("127.0.0.1:{}", links.kafka.port);
    let ways = [
        ("HOLDBACK_DATABASE_URL", database.as_str()),
        ("HOLDBACK_KAFKA_BROKERS", &brokers),
    ];
    let settings = [&ways[..], load.settings].concat();
    let process = Process::start(&bed, "ingest,release,publish,http", &settings);
    let began = Instant::now();
    let healed = began + SLOW_FOR;
    let mut peak = 0;
    let mut asked = Instant::now();
    loop {
        peak = peak.max(resident_mib(process.id()));
        if Instant::now() > healed {
            links.heal();
        }
        if asked.elapsed() > Duration::from_secs(1) {
            asked = Instant::now();
            if runtime.block_on(is_done(&bed, count))? {
                break;
            }
        }
        if began.elapsed() > patience {
            let seconds = patience.as_secs();
            return Err(format!(
                "{}: not done after {seconds} s, {peak} MiB",
                load.name
            ));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    links.heal();
    process.kill();
    let full = runtime.block_on(size_of(&bed))?;
    Ok(Took {
        peak,
        time: began.elapsed(),
        disk: full.saturating_sub(empty),
        bytes,
    })
}

/// What a load took.
struct Took {
    /// MiB of memory.
    peak: u64,
    time: Duration,
    /// Bytes by which the database has grown.
    disk: u64,
    /// Bytes of the messages.
    bytes: u64,
}

/// Bytes of the database's tables and indexes.
async fn size_of(bed: &TestBed) -> Result<u64, String> {
    let text = |error: sqlx::Error| error.to_string();
    let mut connection = PgConnection::connect(&bed.database_url)
        .await
        .map_err(text)?;
    let row = connection
        .fetch_one("SELECT pg_database_size(current_database())")
        .await
        .map_err(text)?;
    u64::try_from(row.get::<i64, _>(0)).map_err(|error| error.to_string())
}

fn agreement() -> Value {
    json!({"agreement_id": "AG-1", "version": 1, "merchant_id": "*",
        "effective_from": "2020-01-01T00:00:00Z", "time_zone": "UTC",
        "terms": [{"name": "sale", "rate_bps": 10000, "days": 0, "count": "instant"}],
        "settlement": {"cycle": "daily"}})
}

/// Everything read, everything due gone, everything published.
async fn is_done(bed: &TestBed, count: usize) -> Result<bool, String> {
    let text = |error: sqlx::Error| error.to_string();
    let mut connection = PgConnection::connect(&bed.database_url)
        .await
        .map_err(text)?;
    let row = connection
        .fetch_one(
            "SELECT (SELECT coalesce(sum(next_offset), 0)::bigint FROM positions),
                    (SELECT count(*) FROM due WHERE due_at <= now()),
                    (SELECT coalesce(sum(last_sequence - published_sequence), 0)::bigint
                     FROM merchants)
                  + (SELECT count(*) FROM dead_letters WHERE NOT published)",
        )
        .await
        .map_err(text)?;
    let (read, due, unpublished): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    let count = i64::try_from(count).expect("few") + 1;
    Ok((read, due, unpublished) == (count, 0, 0))
}

/// What the kernel says that a process has in memory.
fn resident_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}

/// Answers how many bytes that was.
fn send(bed: &TestBed, topic: &str, kind: &str, value: &Value) -> u64 {
    let text = value.to_string();
    bed.produce(
        topic,
        &Message {
            key: value["order_id"].as_str(),
            headers: &[("ce_type", kind)],
            value: Some(text.as_bytes()),
            timestamp_ms: None,
        },
    );
    u64::try_from(text.len()).expect("few")
}

/// A thousand letters that nothing compresses.
fn noise(seed: usize) -> String {
    let mut state = u64::try_from(seed).expect("small") | 1;
    let letters = (0..1000).map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(99);
        let letter = u8::try_from((state >> 33) % 64).expect("below 64");
        char::from(b'0' + letter)
    });
    letters.collect()
}

impl Facts {
    fn hours_ago(&self, hours: i64) -> String {
        (self.now - SignedDuration::from_hours(hours)).to_string()
    }

    fn refund(&self, number: usize, order: &str) -> (&'static str, &'static str, Value) {
        let value = json!({"refund_id": format!("RF-{number}"), "order_id": order,
            "merchant_id": "M-1", "amount": "1.00", "currency": "EUR",
            "refunded_at": self.hours_ago(2)});
        ("refund", "refund.succeeded.v1", value)
    }

    fn order(&self, number: usize) -> Value {
        json!({"order_id": format!("O-{number}"), "merchant_id": "M-1", "currency": "EUR",
            "amount": "100000.00", "completed_at": self.hours_ago(200)})
    }

    fn orphan(&self, number: usize) -> (&'static str, &'static str, Value) {
        self.refund(number, &format!("never-{number}"))
    }

    fn before_their_order(&self, number: usize) -> (&'static str, &'static str, Value) {
        if number + 1 == self.count {
            return ("order-completed", "order.completed.v1", self.order(0));
        }
        self.refund(number, "O-0")
    }

    fn after_their_order(&self, number: usize) -> (&'static str, &'static str, Value) {
        if number == 0 {
            return ("order-completed", "order.completed.v1", self.order(0));
        }
        self.refund(number, "O-0")
    }

    fn of_one_merchant(&self, number: usize) -> (&'static str, &'static str, Value) {
        ("order-completed", "order.completed.v1", self.order(number))
    }

    fn large(&self, number: usize) -> (&'static str, &'static str, Value) {
        let mut order = self.order(number);
        let text = |name: usize| json!(noise(number * 1000 + name));
        let attributes = (0..125).map(|name| (format!("a{name}"), text(name)));
        order["attributes"] = Value::Object(attributes.collect());
        ("order-completed", "order.completed.v1", order)
    }

    fn large_and_bad(&self, number: usize) -> (&'static str, &'static str, Value) {
        let (topic, kind, mut order) = self.large(number);
        order["amount"] = json!("a lot");
        (topic, kind, order)
    }
}
