//! Kafka and PostgreSQL of the supervisor's own, which it may stop, and one pair of proxies per process.

use holdback::demo::postgres::{LocalPostgres, PostgresOptions};

use crate::harness::{LocalKafka, say};
use crate::proxy::{Protocol, Proxy};

/// Processes at work in a history.
pub const PROCESSES: usize = 3;
/// Few enough to be exhausted quickly; the processes take 8 each at most.
pub const CONNECTIONS: usize = 60;

/// The links of one process.
pub struct Links {
    pub kafka: Proxy,
    pub postgres: Proxy,
}

impl Links {
    /// Good weather on both.
    pub fn heal(&self) {
        self.kafka.heal();
        self.postgres.heal();
    }

    pub fn clear(&self) {
        self.kafka.clear();
        self.postgres.clear();
    }
}

/// Servers and the links to them.
pub struct Servers {
    pub kafka: LocalKafka,
    pub postgres: LocalPostgres,
    pub links: Vec<Links>,
}

impl Servers {
    /// Starts both, side by side.
    pub fn start() -> Result<Self, String> {
        let listen = |protocol| Proxy::listen(protocol).map_err(|error| error.to_string());
        let mut links = Vec::new();
        for _ in 0..PROCESSES {
            links.push(Links {
                kafka: listen(Protocol::Kafka)?,
                postgres: listen(Protocol::Postgres)?,
            });
        }
        let proxies: Vec<u16> = links.iter().map(|links| links.kafka.port).collect();
        let (kafka, postgres) = std::thread::scope(|scope| {
            let kafka = scope.spawn(|| LocalKafka::start_behind(&proxies));
            (kafka.join().expect("no panic"), start_postgres())
        });
        let (kafka, postgres) = (kafka?, postgres?);
        let database = port_of(&postgres.url());
        for (link, port) in links.iter().zip(kafka.behind()) {
            link.kafka.lead_to(port);
            link.postgres.lead_to(database);
        }
        Ok(Self {
            kafka,
            postgres,
            links,
        })
    }
}

fn start_postgres() -> Result<LocalPostgres, String> {
    LocalPostgres::start(&PostgresOptions {
        settings: &[("max_connections", &CONNECTIONS.to_string())],
        progress: &|progress| say(&progress.to_string()),
    })
    .map_err(|error| error.to_string())
}

/// `postgres://user:password@127.0.0.1:PORT/database`
fn port_of(url: &str) -> u16 {
    let (_, rest) = url.rsplit_once(':').expect("a port");
    let (port, _) = rest.split_once('/').expect("a database");
    port.parse().expect("a port")
}

/// The URL by way of a proxy.
pub fn by_way_of(url: &str, proxy: &Proxy) -> String {
    let (before, rest) = url.rsplit_once(':').expect("a port");
    let (_, database) = rest.split_once('/').expect("a database");
    format!("{before}:{}/{database}", proxy.port)
}
