//! The freshness gate: nothing is released while something lies unread in the input, and where
//! reading begins and stops.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use serde_json::json;

use crate::harness::facts::{Fact, agreement, opened, order, refund};
use crate::harness::{Holdback, INPUTS, TestBed, eventually, eventually_in};

const PATIENCE: Duration = Duration::from_secs(30);

/// A due order, and the hand past its release date while the service is stopped or held back.
const STORY: &str = "
    O-1 sale holds 100.00 until 11-10
    O-1 releases 100.00 due 11-10/1
    closed 11-10/1: 1 with 100.00
";

async fn sold(hb: &Holdback) {
    hb.send(agreement("*", "AG-1"));
    hb.applied().await;
    hb.send(order("M-1", "O-1", "100", "11-03"));
    hb.applied().await;
}

/// Waits until every other partition than those of this topic is as fresh as the hand, and the
/// service says which one holds the gate back.
async fn held_back_by(hb: &Holdback, topic: &str) {
    let others = INPUTS.into_iter().filter(|other| *other != topic);
    let others: Vec<String> = others.map(|it| hb.bed.topic(it).to_owned()).collect();
    eventually("all but one topic are fresh", async || {
        let gate = hb
            .store
            .gate(&others)
            .await
            .map_err(|error| error.to_string())?;
        let fresh = gate.moment.is_some_and(|moment| moment >= hb.now());
        fresh.then_some(()).ok_or_else(|| format!("{gate:?}"))
    })
    .await;
    let name = hb.bed.topic(topic).to_owned();
    eventually("the gate is closed", async || {
        let why = hb.not_ready();
        let named = why.get("gate").is_some_and(|why| why.contains(&name));
        named.then_some(()).ok_or_else(|| format!("{why:?}"))
    })
    .await;
    assert_eq!(
        hb.number("SELECT count(*) FROM journal WHERE event = 12")
            .await,
        0
    );
}

fn upstream(hb: &Holdback) -> ThreadedProducer<DefaultProducerContext> {
    let producer: ThreadedProducer<_> = ClientConfig::new()
        .set("bootstrap.servers", &hb.bed.brokers)
        .set("transactional.id", format!("{}-upstream", hb.bed.name))
        .create()
        .expect("a producer");
    producer.init_transactions(PATIENCE).expect("initialized");
    producer.begin_transaction().expect("begun");
    producer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_upstream_transaction_keeps_the_gate_closed_until_it_ends() {
    let mut hb = Holdback::start("hanging", "11-03 12:00").await;
    sold(&hb).await;
    let producer = upstream(&hb);
    let topic = hb.bed.topic("dispute").to_owned();
    let send = |fact: Fact| {
        let data = fact.data.to_string();
        let header = Header {
            key: "ce_type",
            value: Some(fact.type_name),
        };
        let record = BaseRecord::<str, str>::to(&topic)
            .payload(&data)
            .headers(OwnedHeaders::new().insert(header))
            .timestamp(1_762_171_200_000);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.flush(PATIENCE).unwrap();
    };
    send(opened("M-2", "O-2", "D-1", "return", "11-03"));
    hb.set("11-10 00:01");
    held_back_by(&hb, "dispute").await;
    producer.abort_transaction(PATIENCE).unwrap();
    hb.due_done().await;
    hb.tells("M-1", STORY).await;
    assert_eq!(hb.number("SELECT count(*) FROM parked").await, 0);

    // One that commits is applied before the clock goes on.
    hb.send(order("M-2", "O-2", "100", "11-04"));
    hb.bed.flush();
    hb.set("11-10 00:02");
    hb.due_done().await;
    producer.begin_transaction().unwrap();
    send(opened("M-2", "O-2", "D-1", "return", "11-03"));
    hb.set("11-11 00:01");
    producer.commit_transaction(PATIENCE).unwrap();
    hb.due_done().await;
    hb.tells(
        "M-2",
        "
        O-2 sale holds 100.00 until 11-11
        O-2 blocked 100.00 of 100.00 by dispute D-1
    ",
    )
    .await;
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_that_came_in_an_outage_is_applied_before_what_fell_due() {
    let mut hb = Holdback::start("outage", "11-03 12:00").await;
    sold(&hb).await;
    hb.stop().await;
    hb.send(opened("M-1", "O-1", "D-1", "return", "11-04"));
    hb.set("11-12");
    hb.run().await;
    hb.due_done().await;
    hb.tells(
        "M-1",
        "
        O-1 sale holds 100.00 until 11-10
        O-1 blocked 100.00 of 100.00 by dispute D-1
    ",
    )
    .await;
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_bad_messages_in_a_row_halt_their_partition_and_the_gate() {
    let mut hb = Holdback::start_with(
        "breaker",
        "11-03 12:00",
        &[("INGEST_BREAKER_CONSECUTIVE", "5")],
    )
    .await;
    sold(&hb).await;
    for _ in 0..4 {
        hb.send(opened("M-3", "O-3", "D-1", "perhaps", "11-04"));
    }
    hb.send(opened("M-3", "O-3", "D-1", "return", "11-04"));
    hb.applied().await;
    assert_eq!(hb.number("SELECT count(*) FROM dead_letters").await, 4);
    for _ in 0..6 {
        hb.send(opened("M-3", "O-3", "D-1", "perhaps", "11-04"));
    }
    eventually("the partition is halted", async || {
        hb.bed.flush();
        let halted = hb
            .number("SELECT count(*) FROM positions WHERE halted IS NOT NULL")
            .await;
        (halted == 1)
            .then_some(())
            .ok_or_else(|| format!("{halted} are"))
    })
    .await;
    assert_eq!(hb.number("SELECT count(*) FROM dead_letters").await, 8);
    // The other partitions are read on; nothing is released.
    hb.send(order("M-2", "O-2", "100", "11-03"));
    hb.applied().await;
    hb.set("11-10");
    held_back_by(&hb, "dispute").await;
    assert_eq!(hb.number("SELECT count(*) FROM holds").await, 2);
    // A person lets it go on, behind the bad ones.
    sqlx::query("UPDATE positions SET halted = NULL, next_offset = next_offset + 2, last_offset = NULL, last_digest = NULL WHERE halted IS NOT NULL")
        .execute(hb.pool()).await.unwrap();
    hb.stop().await;
    hb.set("11-10 00:01");
    hb.run().await;
    hb.due_done().await;
    hb.tells("M-1", STORY).await;
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_about_money_without_a_readable_order_halts_where_that_is_wanted() {
    let halts = [("INGEST_ON_UNREADABLE", "halt")];
    let mut hb = Holdback::start_with("unreadable", "11-03 12:00", &halts).await;
    sold(&hb).await;
    // Its order can be read: a dead letter.
    hb.send(opened("M-3", "O-3", "D-1", "perhaps", "11-04"));
    hb.applied().await;
    assert_eq!(hb.reasons().await, ["schema"]);
    hb.write(
        "dispute",
        &[("ce_type", "dispute.opened.v1")],
        b"{\"dispute_id\":",
    );
    eventually("the partition is halted", async || {
        hb.bed.flush();
        let halted = "SELECT count(*) FROM positions WHERE halted LIKE '%names no order%'";
        let halted = hb.number(halted).await;
        (halted == 1)
            .then_some(())
            .ok_or_else(|| format!("{halted} are"))
    })
    .await;
    hb.set("11-10");
    held_back_by(&hb, "dispute").await;
    hb.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_made_anew_halts_its_partition() {
    for (name, again) in [("anew-shorter", 0), ("anew-longer", 3)] {
        let mut hb = Holdback::start(name, "11-03 12:00").await;
        sold(&hb).await;
        hb.send_all([1, 2].map(|n| opened("M-2", "O-9", &format!("D-{n}"), "return", "11-04")));
        hb.applied().await;
        hb.stop().await;
        hb.make_anew("dispute").await;
        // Shorter than what was read: the position lies outside. Longer: another record is there.
        hb.send_all((0..again).map(|n| opened("M-2", "O-9", &format!("E-{n}"), "return", "11-04")));
        hb.bed.flush();
        hb.set("11-10");
        hb.run().await;
        eventually("the partition is halted", async || {
            let halted = hb
                .number("SELECT count(*) FROM positions WHERE halted IS NOT NULL")
                .await;
            (halted == 1)
                .then_some(())
                .ok_or_else(|| format!("{halted} are; {:?}", hb.not_ready()))
        })
        .await;
        held_back_by(&hb, "dispute").await;
        assert_eq!(
            hb.number("SELECT count(*) FROM parked").await,
            2,
            "nothing of it is applied"
        );
        hb.checked_end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_made_anew_under_a_running_process_halts_its_partition_without_a_restart() {
    let bed = TestBed::private("anewunder", 2).await;
    let mut hb = Holdback::over(bed, "11-03 12:00", &[]).await;
    hb.run().await;
    sold(&hb).await;
    hb.send_all([1, 2].map(|n| opened("M-2", "O-9", &format!("D-{n}"), "return", "11-04")));
    hb.send_all([1, 2].map(|n| refund("M-2", "O-9", &format!("R-{n}"), "5", "11-04")));
    hb.applied().await;
    // Each partition has another leader epoch after a restart, and a topic that is made anew has the first:
    // librdkafka reads nothing of it for ever.
    hb.bed.own.as_mut().expect("servers of its own").0.restart();
    hb.send(opened("M-2", "O-9", "D-3", "return", "11-04"));
    hb.send(refund("M-2", "O-9", "R-3", "5", "11-04"));
    hb.applied().await;
    hb.replace_topic("dispute").await;
    hb.replace_topic("refund").await;
    // Shorter than what was read: the position lies outside. Longer: another record is there.
    hb.send_all((4..9).map(|n| refund("M-2", "O-9", &format!("R-{n}"), "5", "11-04")));
    hb.bed.flush();
    hb.set("11-10");
    for topic in ["dispute", "refund"] {
        eventually_in(
            Duration::from_secs(90),
            "the partition is halted",
            async || {
                let halted = "SELECT halted FROM positions WHERE topic = $1 AND halted IS NOT NULL";
                let halted = sqlx::query_scalar::<_, String>(halted);
                let halted = halted.bind(hb.bed.topic(topic)).fetch_all(hb.pool()).await;
                let halted = halted.map_err(|error| error.to_string())?;
                let known = hb.store.all_positions().await;
                (halted.len() == 1)
                    .then_some(())
                    .ok_or_else(|| format!("{topic}: {halted:?}; {known:?}; {:?}", hb.not_ready()))
            },
        )
        .await;
    }
    eventually("the gate is closed", async || {
        let why = hb.not_ready();
        let named = why.get("gate").is_some_and(|why| why.contains("halted"));
        named.then_some(()).ok_or_else(|| format!("{why:?}"))
    })
    .await;
    let waiting = "SELECT count(*) FROM parked";
    assert_eq!(hb.number(waiting).await, 6, "nothing of it is applied");
    let released = "SELECT count(*) FROM journal WHERE event = 12";
    assert_eq!(hb.number(released).await, 0);
    hb.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_begins_where_the_first_start_says() {
    let early = [("INGEST_START", "latest")];
    let mut latest = Holdback::stopped("latest", "11-03 12:00", &early).await;
    let at = [("INGEST_START", "2025-11-03T11:00:00Z")];
    let mut instant = Holdback::stopped("instant", "11-03 10:00", &at).await;
    for hb in [&latest, &instant] {
        hb.send(agreement("*", "AG-1").with(json!({ "version": 1 })));
        hb.send(order("M-1", "O-1", "100", "11-03"));
        hb.bed.flush();
    }
    instant.set("11-03 11:30");
    for hb in [&mut latest, &mut instant] {
        hb.run().await;
        hb.applied().await;
        hb.send(agreement("*", "AG-1").with(json!({ "version": 2 })));
        hb.applied().await;
        hb.send(order("M-1", "O-2", "100", "11-03"));
        hb.applied().await;
        hb.tells("M-1", "O-2 sale holds 100.00 until 11-10").await;
        assert_eq!(hb.number("SELECT count(*) FROM agreements").await, 1);
    }
    latest.checked_end().await;
    instant.checked_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_rules_refuse_counts_and_a_restart_does_not_begin_anew() {
    let breaker = [("INGEST_BREAKER_CONSECUTIVE", "5")];
    let mut hb = Holdback::start_with("rulesbreaker", "11-03 12:00", &breaker).await;
    sold(&hb).await;
    let send = async |hb: &Holdback, ids: std::ops::Range<usize>, amount: &str| {
        hb.send_all(ids.map(|n| refund("M-1", "O-1", &format!("R-{n}"), amount, "11-03")));
        hb.bed.flush();
    };
    // Three rows of three: each is ended by a refund that fits.
    for row in 0..3 {
        send(&hb, row * 10..row * 10 + 3, "1000").await;
        send(&hb, row * 10 + 3..row * 10 + 4, "1").await;
    }
    send(&hb, 30..33, "1000").await;
    hb.applied().await;
    assert_eq!(hb.number("SELECT count(*) FROM dead_letters").await, 12);
    hb.stop().await;
    hb.run().await;
    // A batch of more than the breaker lets through is applied up to it, good ones of others too.
    hb.send(order("M-2", "O-2", "100", "11-03"));
    send(&hb, 33..60, "1000").await;
    send(&hb, 60..61, "1").await;
    eventually("the partition is halted", async || {
        let halted = "SELECT count(*) FROM positions WHERE halted LIKE '%bad messages%'";
        let halted = hb.number(halted).await;
        (halted == 1)
            .then_some(())
            .ok_or_else(|| format!("{halted} are"))
    })
    .await;
    hb.applied().await;
    let letters = "SELECT count(*) FROM dead_letters WHERE reason = 'refund_exceeds_order'";
    assert_eq!(hb.number(letters).await, 13);
    assert_eq!(hb.number("SELECT count(*) FROM refunds").await, 3);
    assert_eq!(hb.number("SELECT count(*) FROM holds").await, 2);
    hb.checked_end().await;
}
