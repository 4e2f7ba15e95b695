//! What the Kafka clients and the local servers promise, against the real ones.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdback::kafka::{Admin, Error, Input, Limits, OutRecord, OutputProducer, Polled, ReadBack};
use holdback::message::Record;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use sqlx::{Connection, PgConnection};

use crate::harness::{Message, TestBed};

const PATIENCE: Duration = Duration::from_secs(30);

const LIMITS: Limits = Limits {
    max_records: 1000,
    max_bytes: 1 << 20,
    wait: Duration::from_millis(100),
    linger: Duration::from_millis(5),
};

fn out<'a>(topic: &'a str, key: &'a str, payload: &'a str) -> OutRecord<'a> {
    OutRecord {
        topic,
        key: Some(key.as_bytes()),
        headers: vec![("ce_id", Some(b"1")), ("empty", None)],
        payload: Some(payload.as_bytes()),
        timestamp_ms: Some(1_780_000_000_000),
    }
}

/// Polls until `done`, answering assignments at offset `from`.
fn poll_until(
    input: &mut Input,
    from: i64,
    mut done: impl FnMut(&Input, &[Record]) -> bool,
) -> Vec<Record> {
    let until = Instant::now() + PATIENCE;
    let mut records = Vec::new();
    while !done(input, &records) {
        assert!(Instant::now() < until, "not done; so far {}", records.len());
        match input.poll_batch(&LIMITS) {
            Ok(Polled::Records(batch)) => records.extend(batch),
            Ok(Polled::Assigned(partitions)) => {
                let starts: Vec<_> = partitions.into_iter().map(|key| (key, from)).collect();
                input.assign_at(&starts).expect("an assignment");
            }
            Ok(Polled::Revoked) => input.unassign().expect("unassigned"),
            Err(Error::Retry(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    records
}

fn foreign_transaction(brokers: &str, id: &str) -> ThreadedProducer<DefaultProducerContext> {
    let producer: ThreadedProducer<_> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("transactional.id", id)
        .create()
        .expect("a producer");
    producer.init_transactions(PATIENCE).expect("initialized");
    producer.begin_transaction().expect("begun");
    producer
}

#[tokio::test]
async fn each_test_has_a_database_of_its_own() {
    let bed = TestBed::new("database").await;
    let mut connection = PgConnection::connect(&bed.database_url).await.unwrap();
    let (name, durable): (String, String) =
        sqlx::query_as("SELECT current_database()::text, current_setting('synchronous_commit')")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    assert!(bed.database_url.ends_with(&name) && name.starts_with("h_database_"));
    assert_eq!(durable, "on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_read_back_whole_by_own_and_foreign_readers() {
    let bed = TestBed::with_partitions("batch", 1).await;
    let topic = bed.topic("holdback-events");
    let producer = OutputProducer::open(&bed.settings(), PATIENCE).unwrap();
    let keys: Vec<String> = (0..500).map(|n| format!("M-{n}")).collect();
    let sent = producer
        .send_batch(keys.iter().map(|key| out(topic, key, "{}")))
        .unwrap();
    assert_eq!(sent.records, 500);

    let foreign = bed.read_all("holdback-events");
    let seen: Vec<&str> = foreign.iter().filter_map(|r| r.key.as_deref()).collect();
    assert_eq!(seen, keys);
    assert_eq!(foreign[7].headers["ce_id"], "1");
    assert_eq!(foreign[7].json(), serde_json::json!({}));

    let partition = (Arc::from(topic), 0);
    let admin = Admin::open(&bed.settings(), PATIENCE).unwrap();
    let ends = admin.ends(std::slice::from_ref(&partition)).unwrap();
    let mut reader = ReadBack::open(&bed.settings(), &[(partition.clone(), 0)]).unwrap();
    let mut own = Vec::new();
    assert!(reader.read_until(&ends, PATIENCE, |r| own.push(r)).unwrap());
    assert_eq!(own.len(), 500);
    assert_eq!(own[7].key.as_deref(), Some(b"M-7".as_slice()));
    let millis = own[7].timestamp.map(|at| at.timestamp().as_millisecond());
    assert_eq!(millis, Some(1_780_000_000_000));
    assert_eq!(
        own[7].headers,
        [
            ("ce_id".to_owned(), Some(b"1".to_vec())),
            ("empty".to_owned(), None)
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merchants_key_goes_to_the_partition_that_java_clients_compute() {
    let bed = TestBed::with_partitions("murmur", 12).await;
    let producer = OutputProducer::open(&bed.settings(), PATIENCE).unwrap();
    let topic = bed.topic("holdback-events");
    producer.send_batch([out(topic, "M-1", "{}")]).unwrap();
    // toPositive(murmur2("M-1")) % 12, by org.apache.kafka.common.utils.Utils.
    assert_eq!(bed.read_all("holdback-events")[0].partition, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_producer_of_the_deployment_fences_the_first() {
    let bed = TestBed::new("fence").await;
    let topic = bed.topic("holdback-events");
    let first = OutputProducer::open(&bed.settings(), PATIENCE).unwrap();
    first.send_batch([out(topic, "M", "1")]).unwrap();
    let second = OutputProducer::open(&bed.settings(), PATIENCE).unwrap();
    let refused = first.send_batch([out(topic, "M", "2")]).unwrap_err();
    assert!(matches!(refused, Error::Fatal(_)), "{refused}");
    second.send_batch([out(topic, "M", "3")]).unwrap();
    let values: Vec<_> = bed
        .read_all("holdback-events")
        .into_iter()
        .map(|r| r.value)
        .collect();
    assert_eq!(values, [b"1".to_vec(), b"3".to_vec()]);
}

/// What the freshness gate rests on.
#[tokio::test(flavor = "multi_thread")]
async fn the_position_reaches_the_end_past_markers_and_aborted_records_but_not_open_ones() {
    let bed = TestBed::with_partitions("position", 1).await;
    let topic = bed.topic("dispute");
    let partition = (Arc::<str>::from(topic), 0);
    let admin = Admin::open(&bed.settings(), PATIENCE).unwrap();
    let end = || admin.ends(std::slice::from_ref(&partition)).unwrap()[&partition];
    // The broker writes the marker after it has answered the commit.
    let ends_at = |wanted: i64| {
        let until = Instant::now() + PATIENCE;
        while end() != wanted {
            assert!(
                Instant::now() < until,
                "the end stays at {}, not {wanted}",
                end()
            );
        }
    };
    let position = |input: &Input| input.positions().unwrap().get(&partition).copied();
    let mut input = Input::open(&bed.settings(), &[topic]).unwrap();

    // Empty: where it was started is its end.
    poll_until(&mut input, 0, |input, _| position(input) == Some(0));
    assert_eq!(end(), 0);

    let id = format!("{}-upstream", bed.name);
    let upstream = foreign_transaction(&bed.brokers, &id);
    let write = |value: &str| {
        let record = BaseRecord::<str, str>::to(topic).payload(value);
        upstream.send(record).map_err(|(error, _)| error).unwrap();
        upstream.flush(PATIENCE).unwrap();
    };
    write("committed");
    upstream.commit_transaction(PATIENCE).unwrap();
    ends_at(2);
    let read = poll_until(&mut input, 0, |input, _| position(input) == Some(2));
    assert_eq!(read.len(), 1);

    upstream.begin_transaction().unwrap();
    write("aborted");
    upstream.abort_transaction(PATIENCE).unwrap();
    ends_at(4);
    let read = poll_until(&mut input, 0, |input, _| position(input) == Some(4));
    assert!(read.is_empty(), "{read:?}");

    upstream.begin_transaction().unwrap();
    write("open");
    assert_eq!(
        end(),
        5,
        "the high watermark counts what is not committed yet"
    );
    // Something later, outside of the transaction, is held back with it.
    bed.produce(
        "dispute",
        &Message {
            value: Some(b"later"),
            ..Message::default()
        },
    );
    bed.flush();
    assert_eq!(end(), 6);
    for _ in 0..10 {
        let polled = input.poll_batch(&LIMITS).unwrap();
        assert!(
            matches!(&polled, Polled::Records(none) if none.is_empty()),
            "{polled:?}"
        );
    }
    assert_eq!(position(&input), Some(4));
    upstream.commit_transaction(PATIENCE).unwrap();
    let read = poll_until(&mut input, 0, |input, _| position(input) == Some(7));
    assert_eq!(read.len(), 2);
    assert!(input.close(PATIENCE));
}

#[tokio::test(flavor = "multi_thread")]
async fn assigning_again_starts_anew_at_the_given_offset() {
    let bed = TestBed::with_partitions("again", 1).await;
    let topic = bed.topic("refund");
    for n in 0..100 {
        let value = format!("{n}");
        bed.produce(
            "refund",
            &Message {
                value: Some(value.as_bytes()),
                ..Message::default()
            },
        );
    }
    bed.flush();
    let mut input = Input::open(&bed.settings(), &[topic]).unwrap();
    let all = poll_until(&mut input, 0, |_, records| records.len() >= 100);
    assert_eq!(all.len(), 100);
    let partition = (Arc::<str>::from(topic), 0);
    input.assign_at(&[(partition.clone(), 40)]).unwrap();
    assert_eq!(input.positions().unwrap()[&partition], 40);
    let rest = poll_until(&mut input, 0, |_, records| records.len() >= 60);
    let offsets: Vec<i64> = rest.iter().map(|record| record.offset).collect();
    assert_eq!(offsets, (40..100).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_share_the_partitions_and_one_takes_over_when_the_other_closes() {
    let bed = TestBed::with_partitions("share", 4).await;
    let topic = bed.topic("order-completed");
    let owned = |input: &Input| input.positions().unwrap().len();
    let mut first = Input::open(&bed.settings(), &[topic]).unwrap();
    poll_until(&mut first, 0, |input, _| owned(input) == 4);
    let mut second = Input::open(&bed.settings(), &[topic]).unwrap();
    let until = Instant::now() + PATIENCE;
    while (owned(&first), owned(&second)) != (2, 2) {
        assert!(Instant::now() < until, "not shared");
        for input in [&mut first, &mut second] {
            let mut once = false;
            poll_until(input, 0, |_, _| std::mem::replace(&mut once, true));
        }
    }
    assert!(second.close(PATIENCE));
    poll_until(&mut first, 0, |input, _| owned(input) == 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_outside_of_the_log_is_an_error_and_never_a_skip() {
    let bed = TestBed::with_partitions("outside", 1).await;
    let topic = bed.topic("refund");
    bed.produce(
        "refund",
        &Message {
            value: Some(b"{}"),
            ..Message::default()
        },
    );
    bed.flush();
    let mut input = Input::open(&bed.settings(), &[topic]).unwrap();
    let until = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < until, "no error came");
        match input.poll_batch(&LIMITS) {
            Ok(Polled::Assigned(keys)) => input.assign_at(&[(keys[0].clone(), 5000)]).unwrap(),
            Ok(Polled::Records(records)) => assert!(records.is_empty(), "{records:?}"),
            Err(Error::OutOfRange(_)) => break,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_tells_ends_beginnings_times_and_what_is_missing() {
    let bed = TestBed::with_partitions("admin", 2).await;
    let topic = bed.topic("refund");
    for (n, time) in [1000, 2000, 3000].into_iter().enumerate() {
        let key = if n == 2 { "other" } else { "one" };
        bed.produce(
            "refund",
            &Message {
                key: Some(key),
                timestamp_ms: Some(time),
                value: Some(b"{}"),
                ..Message::default()
            },
        );
    }
    bed.flush();
    let admin = Admin::open(&bed.settings(), PATIENCE).unwrap();
    let counts = admin.partition_counts(&[topic, "no-such-topic"]).unwrap();
    assert_eq!(
        counts,
        HashMap::from([
            (topic.to_owned(), Some(2)),
            ("no-such-topic".to_owned(), None)
        ])
    );
    let partitions: Vec<_> = (0..2).map(|n| (Arc::<str>::from(topic), n)).collect();
    assert_eq!(admin.ends(&partitions).unwrap().values().sum::<i64>(), 3);
    assert_eq!(admin.lows(&partitions).unwrap().values().sum::<i64>(), 0);
    let records = bed.read_all("refund");
    let times = admin.offsets_at(&partitions, 1500).unwrap();
    let after: Vec<_> = records
        .iter()
        .filter(|r| {
            times[&partitions[usize::try_from(r.partition).unwrap()]].is_some_and(|o| r.offset >= o)
        })
        .collect();
    assert_eq!(after.len(), 2, "{times:?} {records:?}");
    let late = admin.offsets_at(&partitions, 9000).unwrap();
    assert!(late.values().all(Option::is_none), "{late:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_of_a_tests_own_can_be_killed_and_come_back_with_their_data() {
    let mut bed = TestBed::private("private", 1).await;
    bed.produce(
        "refund",
        &Message {
            value: Some(b"{}"),
            ..Message::default()
        },
    );
    bed.flush();
    let mut connection = PgConnection::connect(&bed.database_url).await.unwrap();
    sqlx::query("CREATE TABLE kept AS SELECT 1 AS one")
        .execute(&mut connection)
        .await
        .unwrap();
    let (kafka, postgres) = bed.own.as_mut().unwrap();
    kafka.kill();
    postgres.kill_immediate().unwrap();
    assert!(
        sqlx::query("SELECT 1")
            .execute(&mut connection)
            .await
            .is_err()
    );
    kafka.restart();
    postgres.restart().unwrap();
    let mut connection = PgConnection::connect(&bed.database_url).await.unwrap();
    let one: i32 = sqlx::query_scalar("SELECT one FROM kept")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(one, 1);
    assert_eq!(bed.read_all("refund").len(), 1);
}
