//! Kafka and PostgreSQL as containers, where a Docker engine answers.
//!
//! Guarantees that the containers are removed when the test run ends, however it ends.

use std::time::Duration;

use holdback::demo::child::Watchdog;
use holdback::demo::postgres::free_port;
use testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, ContainerRequest, GenericImage, ImageExt};

use super::kafka::BROKER_SETTINGS;
use super::{environment, waiting};

/// What was started, and what ends it.
pub struct Containers {
    pub brokers: Option<String>,
    pub database_url: Option<String>,
    pub alive: Box<dyn Send + Sync>,
}

/// Long enough to pull an image.
const PATIENCE: Duration = Duration::from_secs(300);
/// The run's end, also by `kill -9`, closes the pipe that this waits at.
const REMOVE: &str = "while read -r line; do :; done; docker rm --force --volumes \"$1\"";

/// Starts what is wanted. Blocks.
pub fn start(kafka: bool, postgres: bool) -> Result<Containers, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(reachable())?;
    let mut alive: Vec<Box<dyn Send + Sync>> = Vec::new();
    let mut brokers = None;
    let mut database_url = None;
    if kafka {
        let port = free_port().map_err(|error| error.to_string())?;
        let container = waiting("the Kafka container", || {
            runtime.block_on(run(broker(port)))
        })?;
        brokers = Some(format!("127.0.0.1:{port}"));
        alive.push(container);
    }
    if postgres {
        let port = free_port().map_err(|error| error.to_string())?;
        let container = waiting("the PostgreSQL container", || {
            runtime.block_on(run(database(port)))
        })?;
        database_url = Some(format!(
            "postgres://postgres:holdback@127.0.0.1:{port}/postgres"
        ));
        alive.push(container);
    }
    alive.push(Box::new(runtime));
    Ok(Containers {
        brokers,
        database_url,
        alive: Box::new(alive),
    })
}

async fn reachable() -> Result<(), String> {
    let docker = testcontainers::bollard::Docker::connect_with_defaults()
        .map_err(|error| format!("no Docker engine: {error}"))?;
    match tokio::time::timeout(Duration::from_secs(3), docker.ping()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("no Docker engine answers: {error}")),
        Err(_) => Err("the Docker engine does not answer within 3 s".into()),
    }
}

async fn run(request: ContainerRequest<GenericImage>) -> Result<Box<dyn Send + Sync>, String> {
    let started: Result<ContainerAsync<GenericImage>, _> = request.start().await;
    let container = started.map_err(|error| error.to_string())?;
    let watchdog = Watchdog::start(REMOVE, &[container.id()]).map_err(|error| error.to_string())?;
    Ok(Box::new((container, watchdog)))
}

fn broker(port: u16) -> ContainerRequest<GenericImage> {
    let mut request = image("HOLDBACK_TEST_KAFKA_IMAGE", "apache/kafka:4.1.0")
        // The broker calls itself by the advertised address too, so inside it is the same port.
        .with_exposed_port(port.tcp())
        .with_wait_for(WaitFor::message_on_stdout("Kafka Server started"))
        .with_mapped_port(port, port.tcp())
        .with_startup_timeout(PATIENCE)
        .with_env_var("KAFKA_NODE_ID", "1")
        .with_env_var("KAFKA_PROCESS_ROLES", "broker,controller")
        .with_env_var(
            "KAFKA_LISTENERS",
            format!("PLAINTEXT://0.0.0.0:{port},CONTROLLER://localhost:9093"),
        )
        .with_env_var(
            "KAFKA_ADVERTISED_LISTENERS",
            format!("PLAINTEXT://127.0.0.1:{port}"),
        )
        .with_env_var("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER")
        .with_env_var(
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        )
        .with_env_var("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@localhost:9093");
    for (key, value) in BROKER_SETTINGS {
        let name = format!("KAFKA_{}", key.to_uppercase().replace('.', "_"));
        request = request.with_env_var(name, *value);
    }
    request
}

fn database(port: u16) -> ContainerRequest<GenericImage> {
    image("HOLDBACK_TEST_POSTGRES_IMAGE", "postgres:17")
        .with_exposed_port(5432.tcp())
        // The first of the two is of the server that the image initializes itself with.
        .with_wait_for(WaitFor::message_on_stdout(
            "PostgreSQL init process complete",
        ))
        .with_wait_for(WaitFor::message_on_stderr(
            "database system is ready to accept connections",
        ))
        .with_mapped_port(port, 5432.tcp())
        .with_startup_timeout(PATIENCE)
        .with_env_var("POSTGRES_PASSWORD", "holdback")
        .with_cmd(["-c", "max_connections=300"])
}

fn image(variable: &str, default: &str) -> GenericImage {
    let named = environment(variable).unwrap_or_else(|| default.to_owned());
    let (name, tag) = named.rsplit_once(':').unwrap_or((&named, "latest"));
    GenericImage::new(name, tag)
}
