//! The load of a benchmark: seeded orders, written before any clock starts.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use super::progress;
use crate::cli::BenchArgs;
use crate::kafka::{KafkaSettings, OutRecord, OutputProducer};
use crate::rules::time::Instant;

/// Orders per produce batch.
const PRODUCE_BATCH: u64 = 10_000;

/// Writes one agreement and the orders, before any clock starts.
pub(super) fn produce(
    kafka: &KafkaSettings,
    topic: &str,
    merchant_topic: &str,
    args: &BenchArgs,
    due_from: Instant,
) -> Result<(), crate::kafka::Error> {
    let plain = KafkaSettings {
        transactional: false,
        ..kafka.clone()
    };
    let producer = OutputProducer::open(&plain, Duration::from_secs(30))?;
    let agreement = r#"{"agreement_id":"bench","version":1,"merchant_id":"*","effective_from":"2020-01-01T00:00:00Z","time_zone":"Asia/Shanghai","terms":[{"name":"sale","rate_bps":10000,"days":7}],"settlement":{"cycle":"daily"}}"#;
    producer.send_batch([OutRecord {
        topic: merchant_topic,
        key: Some(b"*"),
        headers: vec![
            ("ce_specversion", Some(b"1.0")),
            ("ce_id", Some(b"1")),
            ("ce_source", Some(b"/bench")),
            ("ce_type", Some(b"agreement.published.v1")),
        ],
        payload: Some(agreement.as_bytes()),
        timestamp_ms: None,
    }])?;
    let mut random = SmallRng::seed_from_u64(args.seed);
    let completed = due_from.timestamp() - jiff::SignedDuration::from_hours(40 * 24);
    let bar = progress("producing", args.orders);
    let mut number = 0;
    while number < args.orders {
        let count = PRODUCE_BATCH.min(args.orders - number);
        let orders: Vec<(String, String)> = (number..number + count)
            .map(|number| order(number, args.merchants, &mut random, completed))
            .collect();
        producer.send_batch(orders.iter().map(|(merchant, json)| OutRecord {
            topic,
            key: Some(merchant.as_bytes()),
            headers: Vec::new(),
            payload: Some(json.as_bytes()),
            timestamp_ms: None,
        }))?;
        number += count;
        bar.set_position(number);
    }
    bar.finish_and_clear();
    Ok(())
}

fn order(
    number: u64,
    merchants: u32,
    random: &mut SmallRng,
    completed: jiff::Timestamp,
) -> (String, String) {
    let merchant = format!("M-{:06}", random.random_range(0..merchants));
    let cents: u32 = random.random_range(100..100_000);
    let json = format!(
        r#"{{"order_id":"O-{number:010}","merchant_id":"{merchant}","amount":"{}.{:02}","fees":"0.30","currency":"EUR","completed_at":"{completed}"}}"#,
        cents / 100,
        cents % 100,
    );
    (merchant, json)
}
