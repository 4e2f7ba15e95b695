//! The final reckoning: reads only the topics, as a `read_committed` consumer, and the tables, and
//! holds both against what was sent.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use holdback::kafka::Admin;
use serde_json::Value;
use sqlx::{Connection, PgConnection, Row};

use super::traffic::{Expected, Kind, Traffic, cents};
use crate::harness::process::{holdback, run_to_end};
use crate::harness::{TestBed, say};

const INPUTS: [&str; 5] = [
    "order-completed",
    "refund",
    "dispute",
    "merchant",
    "payout-result",
];

/// What is still under way, as counts: input records, due holds, open settlements, unpublished.
const UNDER_WAY: &str = "SELECT
    (SELECT count(*) FROM due WHERE due_at <= now()),
    (SELECT count(*) FROM settlements WHERE releases > 0 AND settled_at <= now()),
    (SELECT coalesce(sum(last_sequence - published_sequence), 0)::bigint FROM merchants)
        + (SELECT count(*) FROM dead_letters WHERE NOT published)";

/// One event of the output topics.
struct Event {
    topic: &'static str,
    partition: i32,
    merchant: String,
    sequence: i64,
    previous: i64,
    id: String,
    kind: String,
    body: Value,
}

impl Event {
    fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_default()
    }

    fn cents(&self, field: &str) -> i64 {
        cents(self.text(field))
    }
}

/// Waits until every input record is applied, everything due released and everything published.
pub async fn settled(bed: &TestBed, patience: Duration) {
    let admin = Admin::open(&bed.settings(), Duration::from_secs(20)).expect("admin");
    let mut connection = connect(bed).await;
    let (until, mut said) = (Instant::now() + patience, Instant::now());
    loop {
        let unread = unread(bed, &admin, &mut connection).await;
        let row = sqlx::query(UNDER_WAY).fetch_one(&mut connection).await;
        let row = row.expect("counts");
        let (due, open, unpublished): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
        if (unread, due, open, unpublished) == (0, 0, 0, 0) {
            return;
        }
        let state = format!(
            "{}: {unread} unread, {due} due, {open} settlements open, {unpublished} unpublished",
            bed.name
        );
        assert!(Instant::now() < until, "not settled in time: {state}");
        if said.elapsed() > Duration::from_secs(5) {
            say(&state);
            said = Instant::now();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub async fn connect(bed: &TestBed) -> PgConnection {
    let connection = PgConnection::connect(&bed.database_url).await;
    connection.expect("the test's database")
}

/// Input records that no position has passed.
async fn unread(bed: &TestBed, admin: &Admin, connection: &mut PgConnection) -> i64 {
    let counts = admin.partition_counts(&INPUTS.map(|topic| bed.topic(topic)));
    let partitions: Vec<_> = counts
        .expect("counts")
        .into_iter()
        .flat_map(|(topic, count)| {
            let count = i32::try_from(count.expect("a topic")).expect("few");
            (0..count).map(move |partition| (topic.as_str().into(), partition))
        })
        .collect();
    let ends = admin.ends(&partitions).expect("ends");
    let rows = sqlx::query("SELECT topic, partition, coalesce(next_offset, 0) FROM positions")
        .fetch_all(connection)
        .await
        .expect("positions");
    let positions: HashMap<(String, i32), i64> = rows
        .iter()
        .map(|row| ((row.get(0), row.get(1)), row.get(2)))
        .collect();
    ends.iter()
        .map(|((topic, partition), end)| {
            let key = (topic.to_string(), *partition);
            end - positions.get(&key).copied().unwrap_or(0)
        })
        .sum()
}

/// Holds topics and tables against the facts, after [`settled`].
pub async fn are_right(bed: &TestBed, traffic: &Traffic<'_>) {
    let events = read_events(bed);
    say(&format!(
        "{}: {} events in the topics",
        bed.name,
        events.len()
    ));
    sequences_have_no_gaps(&events);
    the_journal_says_the_same(bed, &events).await;
    every_order_has_its_holds_once(&events, &traffic.expected);
    releases_are_there_once(&events, &traffic.expected);
    settlements_add_up(&events);
    money_is_where_it_belongs(bed, &traffic.expected).await;
    nothing_was_refused(bed).await;
    let audit = run_to_end(holdback(bed, &["audit"], &[]));
    assert_eq!(audit.code, Some(0), "audit: {}", audit.said);
    assert!(
        audit.said.contains(" 0 not yet published"),
        "{}",
        audit.said
    );
}

fn read_events(bed: &TestBed) -> Vec<Event> {
    let mut events = Vec::new();
    for topic in ["holdback-releases", "holdback-events"] {
        for record in bed.read_all(topic) {
            let body = record.json();
            let merchant = body["merchant_id"].as_str().expect("a merchant").to_owned();
            assert_eq!(record.key.as_ref(), Some(&merchant), "keyed by merchant");
            events.push(Event {
                topic,
                partition: record.partition,
                merchant,
                sequence: body["sequence"].as_i64().expect("a sequence"),
                previous: body["previous"].as_i64().expect("a previous"),
                id: record.headers["ce_id"].clone(),
                kind: record.headers["ce_type"].clone(),
                body,
            });
        }
    }
    events
}

/// Per merchant 1, 2, 3, … over both topics, in order within each, chained by `previous`.
fn sequences_have_no_gaps(events: &[Event]) {
    let mut all: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    let mut last: HashMap<(&str, &str), (i32, i64)> = HashMap::new();
    for event in events {
        all.entry(&event.merchant).or_default().push(event.sequence);
        let (partition, before) = last
            .insert(
                (event.topic, &event.merchant),
                (event.partition, event.sequence),
            )
            .unwrap_or((event.partition, 0));
        let place = format!("{} {} {}", event.topic, event.merchant, event.sequence);
        assert_eq!(partition, event.partition, "{place}: one partition");
        assert_eq!(before, event.previous, "{place}: previous");
    }
    for (merchant, mut sequences) in all {
        sequences.sort_unstable();
        let whole: Vec<i64> = (1..).take(sequences.len()).collect();
        assert!(sequences == whole, "{merchant}: {sequences:?}");
    }
    let ids: BTreeSet<&str> = events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids.len(), events.len(), "every ce_id once");
}

async fn the_journal_says_the_same(bed: &TestBed, events: &[Event]) {
    let rows = sqlx::query("SELECT merchant_id, sequence, event_id::text FROM journal")
        .fetch_all(&mut connect(bed).await)
        .await
        .expect("the journal");
    let journal: BTreeSet<(String, i64, String)> = rows
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    let topics: BTreeSet<(String, i64, String)> = events
        .iter()
        .map(|event| (event.merchant.clone(), event.sequence, event.id.clone()))
        .collect();
    let lost: Vec<_> = journal.difference(&topics).take(5).collect();
    let foreign: Vec<_> = topics.difference(&journal).take(5).collect();
    assert!(
        lost.is_empty() && foreign.is_empty(),
        "in the journal only {lost:?}, in the topics only {foreign:?}"
    );
}

fn every_order_has_its_holds_once(
    events: &[Event],
    expected: &BTreeMap<(String, String), Expected>,
) {
    let mut holds: BTreeMap<(String, String), Vec<(String, i64)>> = BTreeMap::new();
    for event in events
        .iter()
        .filter(|event| event.kind == "holdback.hold.created.v1")
    {
        let key = (event.merchant.clone(), event.text("order_id").to_owned());
        let hold = (event.text("term").to_owned(), event.cents("original"));
        holds.entry(key).or_default().push(hold);
    }
    assert_eq!(holds.len(), expected.len(), "orders with holds");
    for ((merchant, order), expected) in expected {
        let key = (merchant.clone(), order.clone());
        let made = holds.remove(&key).unwrap_or_default();
        let due: Vec<(String, i64)> = expected
            .holds(merchant)
            .into_iter()
            .map(|(term, cents)| (term.to_owned(), cents))
            .collect();
        assert_eq!(made, due, "{merchant} {order}");
    }
}

fn releases_are_there_once(events: &[Event], expected: &BTreeMap<(String, String), Expected>) {
    let mut attempts = BTreeSet::new();
    let mut released: BTreeMap<(String, String), i64> = BTreeMap::new();
    for event in events
        .iter()
        .filter(|event| event.kind == "holdback.release.issued.v1")
    {
        let attempt = event.body["attempt"].as_i64().expect("an attempt");
        let release = event.text("release_id").to_owned();
        assert!(
            attempts.insert((release.clone(), attempt)),
            "release {release} twice"
        );
        let key = (event.merchant.clone(), event.text("order_id").to_owned());
        *released.entry(key).or_default() += event.cents("gross");
    }
    for ((merchant, order), expected) in expected {
        let key = (merchant.clone(), order.clone());
        let sum = released.get(&key).copied().unwrap_or_default();
        let (least, most) = match Kind::of(merchant) {
            Kind::Rolling => (expected.amount / 10 * 9, expected.amount / 10 * 9),
            Kind::Waiting => (0, 0),
            // A refund that came after the release is owed instead.
            Kind::Mixed => (expected.amount - expected.refunded, expected.amount),
        };
        assert!(
            (least..=most).contains(&sum),
            "{merchant} {order}: released {sum}, expected {least} to {most}"
        );
    }
}

/// Each part's count and sum are those of the releases that name it, which came before it.
fn settlements_add_up(events: &[Event]) {
    let part = |event: &Event, field: &str| {
        let part = event.body[field].as_i64().expect("a part");
        (event.text("settlement_id").to_owned(), part)
    };
    let mut open: BTreeMap<(String, i64), (i64, i64)> = BTreeMap::new();
    for event in events {
        match event.kind.as_str() {
            "holdback.release.issued.v1" => {
                let sums = open.entry(part(event, "settlement_part")).or_default();
                sums.0 += 1;
                sums.1 += event.cents("gross");
            }
            "holdback.settlement.closed.v1" => {
                let part = part(event, "part");
                let said = (
                    event.body["releases"].as_i64().expect("a count"),
                    event.cents("gross"),
                );
                assert_eq!(open.remove(&part), Some(said), "settlement part {part:?}");
            }
            _ => {}
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
}

/// Per order what is left and blocked; per merchant held + payable − receivable.
async fn money_is_where_it_belongs(bed: &TestBed, expected: &BTreeMap<(String, String), Expected>) {
    let mut connection = connect(bed).await;
    let rows = sqlx::query(
        "SELECT merchant_id, order_id, (sum(left_now) * 100)::bigint, (sum(blocked) * 100)::bigint
         FROM holds GROUP BY merchant_id, order_id",
    )
    .fetch_all(&mut connection)
    .await
    .expect("holds");
    let mut net: BTreeMap<String, i64> = BTreeMap::new();
    for row in rows {
        let key: (String, String) = (row.get(0), row.get(1));
        let (left, blocked): (i64, i64) = (row.get(2), row.get(3));
        let order = expected.get(&key).unwrap_or_else(|| panic!("{key:?}"));
        let due_left = match Kind::of(&key.0) {
            Kind::Rolling => order.amount / 10,
            Kind::Waiting => order.amount - order.refunded,
            Kind::Mixed => 0,
        };
        assert_eq!(left, due_left, "left of {key:?}: {order:?}");
        let due_blocked = if order.blocked { due_left } else { 0 };
        assert_eq!(blocked, due_blocked, "blocked of {key:?}: {order:?}");
        *net.entry(key.0).or_default() += order.amount - order.refunded;
    }
    // Accounts by number: 2 held, 3 payable, 6 receivable.
    let rows = sqlx::query(
        "SELECT merchant_id, (sum(moved) * 100)::bigint FROM (
             SELECT merchant_id, amount AS moved FROM journal WHERE credit IN (2, 3, 6)
             UNION ALL SELECT merchant_id, -amount FROM journal WHERE debit IN (2, 3, 6)) moves
         GROUP BY merchant_id",
    )
    .fetch_all(&mut connection)
    .await
    .expect("accounts");
    let journal: BTreeMap<String, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(journal, net, "held + payable - receivable");
}

async fn nothing_was_refused(bed: &TestBed) {
    let row = sqlx::query(
        "SELECT (SELECT count(*) FROM dead_letters), (SELECT count(*) FROM parked),
                (SELECT fault FROM publisher)",
    )
    .fetch_one(&mut connect(bed).await)
    .await
    .expect("counts");
    let found: (i64, i64, Option<String>) = (row.get(0), row.get(1), row.get(2));
    assert_eq!(found, (0, 0, None), "dead letters, parked facts, fault");
    assert!(bed.read_all("holdback-dead-letters").is_empty());
}

/// How far input and output have come, as sums of positions and of published sequences.
pub async fn progress(connection: &mut PgConnection) -> (i64, i64) {
    let row = sqlx::query(
        "SELECT (SELECT coalesce(sum(next_offset), 0)::bigint FROM positions),
                (SELECT coalesce(sum(published_sequence), 0)::bigint FROM merchants)",
    )
    .fetch_one(connection)
    .await
    .expect("progress");
    (row.get(0), row.get(1))
}
