//! Real Kafka and real PostgreSQL for the tests, started once per run. In this order: servers named
//! by the environment, containers, local processes.
//!
//! Guarantees: says on stderr what it waits for, names all three ways when none works, and leaves
//! nothing running.

pub mod authority;
pub mod backup;
mod bed;
mod bench;
mod days;
mod docker;
pub mod facts;
mod holdback;
mod kafka;
pub mod process;
mod proof;
pub mod python;
mod queries;
pub mod raw;
pub mod story;
mod topics;

use std::io::Write;
use std::sync::OnceLock;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ::holdback::demo::postgres::{LocalPostgres, PostgresOptions};

pub use bed::{Message, Seen, TestBed};
pub use bench::Bench;
pub use holdback::{Holdback, INPUTS, at, eventually, eventually_in};
pub use kafka::{Listener, LocalKafka};
pub use process::Process;
pub use queries::queries;

/// Where the servers of this run are, and what keeps them running.
pub struct Services {
    pub brokers: String,
    /// A URL whose user may create databases.
    pub database_url: String,
    _alive: Vec<Box<dyn Send + Sync>>,
}

/// The servers of this run; the first caller starts them. Blocks.
pub fn services() -> &'static Services {
    static SERVICES: OnceLock<Result<Services, String>> = OnceLock::new();
    match SERVICES.get_or_init(start) {
        Ok(services) => services,
        Err(why) => panic!("{why}"),
    }
}

fn start() -> Result<Services, String> {
    let mut alive: Vec<Box<dyn Send + Sync>> = Vec::new();
    let named = |key| environment(key);
    let mut brokers = named("HOLDBACK_TEST_KAFKA_BROKERS");
    let mut database_url = named("HOLDBACK_TEST_DATABASE_URL");
    let mut docker_said = String::from("not needed");
    if brokers.is_none() || database_url.is_none() {
        match docker::start(brokers.is_none(), database_url.is_none()) {
            Ok(containers) => {
                brokers = brokers.or(containers.brokers);
                database_url = database_url.or(containers.database_url);
                alive.push(containers.alive);
            }
            Err(why) => {
                say(&format!("no containers ({why}): starting local processes"));
                docker_said = why;
            }
        }
    }
    let none = |what: &str, variable: &str, why: &str| {
        format!(
            "the integration tests need {what}; one of three ways: set {variable}; or start a \
             Docker engine that has or can pull the images ({docker_said}); or let local processes \
             run ({why})"
        )
    };
    // Both at once: each waits mostly for itself.
    let (kafka, postgres) = std::thread::scope(|scope| {
        let kafka = brokers.is_none().then(|| scope.spawn(LocalKafka::start));
        let postgres = database_url.is_none().then(|| scope.spawn(local_postgres));
        (
            kafka.map(|thread| thread.join().expect("starting Kafka panicked")),
            postgres.map(|thread| thread.join().expect("starting PostgreSQL panicked")),
        )
    });
    if let Some(started) = kafka {
        let kafka = started.map_err(|why| {
            let variable = "HOLDBACK_TEST_KAFKA_BROKERS";
            none("Apache Kafka", variable, &why)
        })?;
        brokers = Some(kafka.brokers());
        alive.push(Box::new(kafka));
    }
    if let Some(started) = postgres {
        let postgres = started.map_err(|why| {
            let variable = "HOLDBACK_TEST_DATABASE_URL";
            none("PostgreSQL", variable, &why)
        })?;
        database_url = Some(postgres.url());
        alive.push(Box::new(postgres));
    }
    Ok(Services {
        brokers: brokers.expect("named or started"),
        database_url: database_url.expect("named or started"),
        _alive: alive,
    })
}

/// A server of one's own, for tests that stop it.
pub fn local_postgres() -> Result<LocalPostgres, String> {
    waiting("PostgreSQL", || {
        LocalPostgres::start(&PostgresOptions {
            settings: &[("max_connections", "300")],
            progress: &|progress| say(&progress.to_string()),
        })
        .map_err(|error| error.to_string())
    })
}

/// Straight to stderr: the test runner would keep what is printed by the usual way to itself.
pub fn say(line: &str) {
    writeln!(std::io::stderr(), "harness: {line}").expect("stderr");
}

/// Runs `work` and says every five seconds that it still does, and at the end how long it took.
pub fn waiting<T>(what: &str, work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let started = Instant::now();
    let (done, wait) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while wait.recv_timeout(Duration::from_secs(5)) == Err(mpsc::RecvTimeoutError::Timeout)
            {
                let seconds = started.elapsed().as_secs();
                say(&format!("still waiting for {what}, {seconds} s"));
            }
        });
        let outcome = work();
        let took = started.elapsed().as_millis();
        match &outcome {
            Ok(_) => say(&format!("{what} ready after {took} ms")),
            Err(why) => say(&format!("{what} not to be had after {took} ms: {why}")),
        }
        drop(done);
        outcome
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the tests' own switches are no configuration of holdback"
)]
pub fn environment(key: &str) -> Option<String> {
    std::env::var(key).ok().filter(|value| !value.is_empty())
}
