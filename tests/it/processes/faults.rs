//! What must survive: `kill -9`, a broker that goes away, a database that crashes.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sqlx::PgConnection;

use super::books;
use super::traffic::{Sent, Traffic};
use crate::harness::process::migrate;
use crate::harness::{Process, TestBed, say};

const ALL: &str = "ingest,release,publish,http";
/// A killed member is missed after 2 s; the default would make this test wait only.
const QUICK: &[(&str, &str)] = &[
    ("HOLDBACK_KAFKA_PROPERTY_SESSION_TIMEOUT_MS", "2000"),
    ("HOLDBACK_KAFKA_PROPERTY_HEARTBEAT_INTERVAL_MS", "500"),
    ("HOLDBACK_INGEST_BATCH_MAX", "500"),
    ("HOLDBACK_PUBLISH_BATCH_MAX", "1000"),
];
const PATIENCE: Duration = Duration::from_secs(150);

/// What a kill waits for.
#[derive(Clone, Copy)]
enum Progress {
    Ingest,
    Publish,
}

/// Two processes that are killed while facts flow.
struct Victims<'a> {
    bed: &'a TestBed,
    random: StdRng,
    processes: [Option<Process>; 2],
    connection: PgConnection,
}

impl Victims<'_> {
    fn start(&mut self) {
        for process in &mut self.processes {
            process.get_or_insert_with(|| Process::start(self.bed, ALL, QUICK));
        }
    }

    /// Waits for some progress, kills one or both, and starts them again.
    async fn kill(&mut self, after: Progress, traffic: &mut Traffic<'_>, orders: usize) {
        let begin = books::progress(&mut self.connection).await;
        let enough = self.random.random_range(1..3000);
        let until = Instant::now() + PATIENCE;
        loop {
            let now = books::progress(&mut self.connection).await;
            let moved = match after {
                Progress::Ingest => now.0 - begin.0,
                Progress::Publish => now.1 - begin.1,
            };
            let all_sent = traffic.expected.len() >= orders;
            if moved >= enough || all_sent && traffic.ahead_of(now.0) == 0 && moved > 0 {
                break;
            }
            assert!(Instant::now() < until, "no progress: {now:?}");
            if !all_sent && traffic.ahead_of(now.0) < 3000 {
                traffic.orders(500);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let moment = Duration::from_millis(self.random.random_range(0..300));
        tokio::time::sleep(moment).await;
        let which = self.random.random_range(1..4_u8);
        say(&format!(
            "{}: kill -9, processes {which:02b}",
            self.bed.name
        ));
        for (place, process) in self.processes.iter_mut().enumerate() {
            if which & (1 << place) != 0 {
                process.take().expect("running").kill();
            }
        }
        self.start();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_orders_come_through_kill_9_with_everything_once() {
    const ORDERS: usize = 20_000;
    let seed = rand::random();
    say(&format!("kill -9 with seed {seed}"));
    let bed = TestBed::with_partitions("kill", 4).await;
    migrate(&bed);
    let mut traffic = Traffic::new(&bed, seed, 8);
    let mut victims = Victims {
        bed: &bed,
        random: StdRng::seed_from_u64(seed),
        processes: [None, None],
        connection: books::connect(&bed).await,
    };
    victims.start();
    use Progress::{Ingest, Publish};
    let rounds = [Ingest, Ingest, Publish, Ingest, Ingest, Publish];
    for (done, after) in (1..).zip(rounds) {
        let orders = ORDERS * done / (rounds.len() + 1);
        victims.kill(after, &mut traffic, orders).await;
    }
    let missing = ORDERS - traffic.expected.len();
    traffic.orders(missing);
    traffic.again(7);
    books::settled(&bed, PATIENCE).await;
    books::are_right(&bed, &traffic).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_crashes_and_comes_back_costs_time_only() {
    let mut bed = TestBed::private("broker", 2).await;
    migrate(&bed);
    let mut process = Process::start(&bed, ALL, QUICK);
    process.ready();
    let seed = rand::random();
    say(&format!("broker restart with seed {seed}"));
    let mut sent = Traffic::new(&bed, seed, 4).into_sent();
    for _ in 0..2 {
        sent = at_work(&bed, sent).await;
        bed.own.as_mut().expect("servers of its own").0.kill();
        not_ready(&mut process);
        bed.own.as_mut().expect("servers of its own").0.restart();
    }
    let mut facts = Traffic::resume(&bed, sent);
    facts.orders(500);
    books::settled(&bed, PATIENCE).await;
    books::are_right(&bed, &facts).await;
    process.ready();
    assert_eq!(process.terminate().0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_crashes_and_comes_back_costs_time_only() {
    let mut bed = TestBed::private("database", 2).await;
    migrate(&bed);
    let mut process = Process::start(&bed, ALL, QUICK);
    process.ready();
    let seed = rand::random();
    say(&format!("database restart with seed {seed}"));
    let mut sent = Traffic::new(&bed, seed, 4).into_sent();
    for _ in 0..2 {
        sent = at_work(&bed, sent).await;
        let postgres = &mut bed.own.as_mut().expect("servers of its own").1;
        postgres.kill_immediate().expect("killed");
        not_ready(&mut process);
        let postgres = &mut bed.own.as_mut().expect("servers of its own").1;
        postgres.restart().expect("started again");
    }
    let mut facts = Traffic::resume(&bed, sent);
    facts.orders(500);
    books::settled(&bed, PATIENCE).await;
    books::are_right(&bed, &facts).await;
    process.ready();
    assert_eq!(process.terminate().0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_slept_through_its_lease_does_no_harm_when_it_wakes() {
    let bed = TestBed::new("sleep").await;
    migrate(&bed);
    let seed = rand::random();
    say(&format!("sleep with seed {seed}"));
    let mut traffic = Traffic::new(&bed, seed, 4);
    traffic.orders(1500);
    let mut sleeper = Process::start(&bed, ALL, QUICK);
    let mut connection = books::connect(&bed).await;
    until_published(&mut connection, 100).await;
    let mut other = Process::start(&bed, ALL, QUICK);
    other.ready();
    let (_, published) = books::progress(&mut connection).await;
    traffic.orders(1500);
    until_published(&mut connection, published + 100).await;
    sleeper.pause();
    let (_, published) = books::progress(&mut connection).await;
    traffic.orders(1000);
    other.wait_for("its turn at publishing", |other| {
        !other.logged("publishing").is_empty()
    });
    until_published(&mut connection, published + 100).await;
    sleeper.resume();
    traffic.orders(1000);
    books::settled(&bed, PATIENCE).await;
    books::are_right(&bed, &traffic).await;
    assert_eq!(sleeper.terminate().0, Some(0));
    assert_eq!(other.terminate().0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_ends_in_time_also_when_its_servers_are_away() {
    let mut bed = TestBed::private("ending", 2).await;
    migrate(&bed);
    let deadline = [("HOLDBACK_SHUTDOWN_DEADLINE_SECONDS", "5")];
    let settings = [QUICK, &deadline].concat();
    let seed = rand::random();
    say(&format!("ending with seed {seed}"));
    let mut facts = Traffic::new(&bed, seed, 4);
    facts.orders(1000);
    let sent = facts.into_sent();
    let mut process = Process::start(&bed, ALL, &settings);
    until_published(&mut books::connect(&bed).await, 100).await;
    bed.own.as_mut().expect("servers of its own").0.kill();
    ends_in_time(&mut process, "without a broker");
    bed.own.as_mut().expect("servers of its own").0.restart();

    let mut facts = Traffic::resume(&bed, sent);
    facts.orders(1000);
    let sent = facts.into_sent();
    let mut process = Process::start(&bed, ALL, &settings);
    process.ready();
    let postgres = &mut bed.own.as_mut().expect("servers of its own").1;
    postgres.kill_immediate().expect("killed");
    ends_in_time(&mut process, "without a database");
    let postgres = &mut bed.own.as_mut().expect("servers of its own").1;
    postgres.restart().expect("started again");

    let facts = Traffic::resume(&bed, sent);
    let _process = Process::start(&bed, ALL, &settings);
    books::settled(&bed, PATIENCE).await;
    books::are_right(&bed, &facts).await;
}

/// SIGTERM ends it within its deadline of 5 s, give or take; when that was too short for it, it
/// says so by its exit code.
fn ends_in_time(process: &mut Process, when: &str) {
    let (code, took) = process.terminate();
    say(&format!(
        "{when}: code {code:?} after {} ms",
        took.as_millis()
    ));
    assert!(matches!(code, Some(0 | 1)), "{when}: {code:?}");
    assert!(took < Duration::from_secs(8), "{when}: took {took:?}");
}

/// An outage shows: the process says what it misses, and that it needs no restart.
fn not_ready(process: &mut Process) {
    process.wait_for("/readyz to answer 503", |process| {
        process
            .get("/readyz")
            .is_some_and(|answer| answer.starts_with("HTTP/1.1 503"))
    });
    let alive = process.get("/livez").expect("an answer");
    assert!(alive.starts_with("HTTP/1.1 200"), "{alive}");
}

/// Sends 1500 orders and waits until some of what they cause is published.
async fn at_work(bed: &TestBed, sent: Sent) -> Sent {
    let mut connection = books::connect(bed).await;
    let (_, published) = books::progress(&mut connection).await;
    let mut facts = Traffic::resume(bed, sent);
    facts.orders(1500);
    until_published(&mut connection, published + 300).await;
    facts.into_sent()
}

async fn until_published(connection: &mut PgConnection, target: i64) {
    let until = Instant::now() + PATIENCE;
    loop {
        let (_, published) = books::progress(connection).await;
        if published >= target {
            return;
        }
        assert!(Instant::now() < until, "published {published} of {target}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
