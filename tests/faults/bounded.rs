//! Loads that no sane upstream sends, and how much memory and time one process takes for them.
//!
//! Guarantees: one process with its default settings works off each load, and stays below
//! [`LIMIT_MIB`] of resident memory; what it took is told.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection, Row};
use tokio::runtime::Runtime;

use crate::generator::wall_us;
use crate::harness::process::migrate;
use crate::harness::{Message, Process, TestBed, say};
use crate::proxy::Proxy;
use crate::servers::{Servers, by_way_of};

/// What a process may take.
const LIMIT_MIB: u64 = 512;
const PATIENCE: Duration = Duration::from_secs(240);

/// What is sent, and how often.
struct Load {
    name: &'static str,
    count: usize,
    /// Topic, type and message of a number.
    message: fn(&Facts, usize) -> (&'static str, &'static str, Value),
    /// Bytes per second that reach the database, for the first seconds; 0: as many as can.
    rate: u64,
}

const LOADS: &[Load] = &[
    Load {
        name: "facts that wait, each for another order",
        count: 60_000,
        message: Facts::orphan,
        rate: 0,
    },
    Load {
        name: "facts that wait for one order",
        count: 3_000,
        message: Facts::of_one_order,
        rate: 0,
    },
    Load {
        name: "one merchant with everything",
        count: 30_000,
        message: Facts::of_one_merchant,
        rate: 0,
    },
    Load {
        name: "messages of 128 KiB",
        count: 1_500,
        message: Facts::large,
        rate: 0,
    },
    Load {
        name: "messages of 128 KiB, and a database that takes 32 KiB/s",
        count: 1_500,
        message: Facts::large,
        rate: 32 << 10,
    },
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
        let (peak, took) = match play(&runtime, &servers, load, count) {
            Ok(measured) => measured,
            Err(why) => {
                over.push(why);
                continue;
            }
        };
        let line = format!(
            "{}: {} messages, {peak} MiB at most, {} s",
            load.name,
            count,
            took.as_secs()
        );
        say(&line);
        if peak > LIMIT_MIB {
            over.push(line);
        }
    }
    if over.is_empty() {
        return Ok(());
    }
    Err(format!("more than {LIMIT_MIB} MiB, or not done: {over:#?}"))
}

fn play(
    runtime: &Runtime,
    servers: &Servers,
    load: &Load,
    count: usize,
) -> Result<(u64, Duration), String> {
    let (brokers, url) = (servers.kafka.brokers(), servers.postgres.url());
    let bed = runtime.block_on(TestBed::on("bounded", brokers, url, 2));
    migrate(&bed);
    let facts = Facts {
        count,
        now: Timestamp::from_microsecond(wall_us()).expect("an instant"),
    };
    send(&bed, "merchant", "agreement.published.v1", &agreement());
    for number in 0..count {
        let (topic, kind, value) = (load.message)(&facts, number);
        send(&bed, topic, kind, &value);
        if number % 500 == 0 {
            bed.flush();
        }
    }
    bed.flush();
    let link: &Proxy = &servers.links[0].postgres;
    link.slow(Duration::ZERO, load.rate);
    let database = by_way_of(&bed.database_url, link);
    let process = Process::start(
        &bed,
        "ingest,release,publish,http",
        &[("HOLDBACK_DATABASE_URL", &database)],
    );
    let began = Instant::now();
    let healed = began + Duration::from_secs(20);
    let mut peak = 0;
    let mut asked = Instant::now();
    loop {
        peak = peak.max(resident_mib(process.id()));
        if Instant::now() > healed {
            link.heal();
        }
        if asked.elapsed() > Duration::from_secs(1) {
            asked = Instant::now();
            if runtime.block_on(is_done(&bed, count))? {
                break;
            }
        }
        if began.elapsed() > PATIENCE {
            let seconds = PATIENCE.as_secs();
            return Err(format!(
                "{}: not done after {seconds} s, {peak} MiB",
                load.name
            ));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    link.heal();
    process.kill();
    Ok((peak, began.elapsed()))
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
                     FROM merchants)",
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

fn send(bed: &TestBed, topic: &str, kind: &str, value: &Value) {
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

    /// The order itself comes last.
    fn of_one_order(&self, number: usize) -> (&'static str, &'static str, Value) {
        if number + 1 == self.count {
            return ("order-completed", "order.completed.v1", self.order(0));
        }
        self.refund(number, "O-0")
    }

    fn of_one_merchant(&self, number: usize) -> (&'static str, &'static str, Value) {
        ("order-completed", "order.completed.v1", self.order(number))
    }

    fn large(&self, number: usize) -> (&'static str, &'static str, Value) {
        let mut order = self.order(number);
        let text = "x".repeat(1000);
        let attributes = (0..125).map(|number| (format!("a{number}"), json!(text)));
        order["attributes"] = Value::Object(attributes.collect());
        ("order-completed", "order.completed.v1", order)
    }
}
