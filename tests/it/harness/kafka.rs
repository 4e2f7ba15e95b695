//! Apache Kafka as a local process, one `KRaft` node from the jars that Maven fetches once.
//!
//! Guarantees a broker that answers, on a port of its own, which ends with the test run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use holdback::demo::child::Supervised;
use holdback::demo::postgres::free_port;
use holdback::kafka::Admin;

use super::{bed, say, waiting};

/// What a single test broker needs, whether process or container.
pub const BROKER_SETTINGS: &[(&str, &str)] = &[
    ("offsets.topic.replication.factor", "1"),
    ("offsets.topic.num.partitions", "4"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("transaction.state.log.num.partitions", "4"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.min.session.timeout.ms", "1000"),
    // A broker that was killed may register again after this long, not after 9 s.
    ("broker.session.timeout.ms", "2000"),
    ("broker.heartbeat.interval.ms", "500"),
    ("default.replication.factor", "1"),
    ("auto.create.topics.enable", "false"),
];

const HEAP: &str = "-Xmx512m";
const PATIENCE: Duration = Duration::from_secs(90);

/// Where a broker listens beside its plain listener.
pub struct Listener {
    /// `PLAINTEXT`, `SSL` or `SASL_SSL`.
    pub protocol: &'static str,
    /// The host that it tells clients.
    pub host: &'static str,
    /// The port that it tells clients, where that is another's: a proxy's.
    pub told: Option<u16>,
    /// Its own settings, by Kafka's names.
    pub settings: Vec<(&'static str, String)>,
}

/// A broker; dropping it ends it and removes its data.
pub struct LocalKafka {
    jars: PathBuf,
    folder: PathBuf,
    port: u16,
    /// The listeners beside the plain one, each with its port.
    listeners: Vec<(u16, Listener)>,
    server: Option<Supervised>,
}

impl LocalKafka {
    /// Fetches the jars if they are not here yet, starts a broker and waits until it answers.
    pub fn start() -> Result<Self, String> {
        Self::start_behind(&[])
    }

    /// The same with a listener more for each proxy that listens on one of these ports: a client
    /// that comes by a proxy is told to stay there.
    pub fn start_behind(proxies: &[u16]) -> Result<Self, String> {
        let listeners = proxies.iter().map(|proxy| Listener {
            protocol: "PLAINTEXT",
            host: "127.0.0.1",
            told: Some(*proxy),
            settings: Vec::new(),
        });
        Self::start_with(listeners.collect(), &[])
    }

    /// The same with these listeners more, and with users and their passwords for SCRAM-SHA-512.
    pub fn start_with(listeners: Vec<Listener>, users: &[(&str, &str)]) -> Result<Self, String> {
        waiting("Apache Kafka from its jars", || {
            let jars = jars()?;
            let folder =
                std::env::temp_dir().join(format!("holdback-kafka-{:016x}", rand::random::<u64>()));
            fs::create_dir(&folder).map_err(|error| error.to_string())?;
            let free = || free_port().map_err(|error| error.to_string());
            let listeners: Result<_, String> = listeners
                .into_iter()
                .map(|listener| Ok((free()?, listener)))
                .collect();
            let mut kafka = Self {
                jars,
                folder,
                port: free()?,
                listeners: listeners?,
                server: None,
            };
            kafka.format(users)?;
            kafka.launch()?;
            Ok(kafka)
        })
    }

    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The ports of the listeners beside the plain one, in their order.
    pub fn behind(&self) -> Vec<u16> {
        self.listeners.iter().map(|(port, _)| *port).collect()
    }

    /// The broker's process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.server.as_ref().map(Supervised::id)
    }

    /// Ends the broker as `kill -9` does. The data stay.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.keep_scratch();
            server.end("KILL", Duration::from_secs(10)).expect("killed");
        }
    }

    /// Starts the broker again on the same port and data, and waits until it answers.
    pub fn restart(&mut self) {
        self.kill();
        waiting("Apache Kafka to be back", || self.launch()).expect("Kafka starts again");
    }

    fn format(&self, users: &[(&str, &str)]) -> Result<(), String> {
        let Self { port, folder, .. } = self;
        let controller = free_port().map_err(|error| error.to_string())?;
        let mut listeners = String::new();
        let mut advertised = String::new();
        let mut protocols = String::new();
        let mut settings = String::new();
        for (number, (listens, listener)) in self.listeners.iter().enumerate() {
            let Listener { protocol, host, .. } = listener;
            let told = listener.told.unwrap_or(*listens);
            listeners += &format!(",MORE{number}://127.0.0.1:{listens}");
            advertised += &format!(",MORE{number}://{host}:{told}");
            protocols += &format!(",MORE{number}:{protocol}");
            for (key, value) in &listener.settings {
                settings += &format!("listener.name.more{number}.{key}={value}\n");
            }
        }
        let mut properties = format!(
            "process.roles=broker,controller\nnode.id=1\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{listeners}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}{advertised}\n\
             controller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT{protocols}\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             log.dirs={}/data\n{settings}",
            folder.display()
        );
        for (key, value) in BROKER_SETTINGS {
            properties += &format!("{key}={value}\n");
        }
        fs::write(folder.join("server.properties"), properties)
            .map_err(|error| error.to_string())?;
        let mut command = self.java("kafka.tools.StorageTool");
        command
            .args([
                "format",
                "--cluster-id",
                "aG9sZGJhY2stdGVzdHMhIQ",
                "--config",
            ])
            .arg(folder.join("server.properties"));
        for (user, password) in users {
            let scram = format!("SCRAM-SHA-512=[name=\"{user}\",password=\"{password}\"]");
            command.args(["--add-scram", &scram]);
        }
        succeeded("formatting Kafka's storage", command.output())
    }

    fn launch(&mut self) -> Result<(), String> {
        let log = fs::File::create(self.folder.join("log")).map_err(|error| error.to_string())?;
        let errors = log.try_clone().map_err(|error| error.to_string())?;
        let mut command = self.java("kafka.Kafka");
        command
            .arg(self.folder.join("server.properties"))
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors);
        let mut server = Supervised::start(&mut command, "TERM", Some(&self.folder))
            .map_err(|error| error.to_string())?;
        let admin = Admin::open(
            &bed::settings(&self.brokers(), "probe"),
            Duration::from_secs(1),
        )
        .map_err(|error| error.to_string())?;
        let until = Instant::now() + PATIENCE;
        while admin.partition_counts(&["probe"]).is_err() {
            let ended = server.ended().map_err(|error| error.to_string())?;
            if ended.is_some() || Instant::now() > until {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                return Err(format!("Kafka did not come up: {}", end_of(&log)));
            }
        }
        self.server = Some(server);
        Ok(())
    }

    fn java(&self, main: &str) -> Command {
        let mut command = Command::new("java");
        command
            // Two cores, a short life: the simplest collector, the shared class data.
            .args([
                HEAP,
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Xshare:auto",
            ])
            .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
            .arg("-cp")
            .arg(self.jars.join("*"))
            .arg(main);
        command
    }
}

impl Drop for LocalKafka {
    fn drop(&mut self) {
        self.kill();
        fs::remove_dir_all(&self.folder).unwrap_or_default();
    }
}

/// The folder with the broker's jars, kept between runs beside the build's other output.
fn jars() -> Result<PathBuf, String> {
    java_is_new_enough()?;
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kafka-4.1.0");
    if kept.exists() {
        return Ok(kept);
    }
    say("fetching Apache Kafka's jars by Maven, once, about 45 MB");
    let staging = kept.with_extension(std::process::id().to_string());
    let pom = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/kafka/pom.xml");
    let fetched = Command::new("mvn")
        .args(["--batch-mode", "--quiet", "--file"])
        .arg(pom)
        .arg("dependency:copy-dependencies")
        .arg(format!("-DoutputDirectory={}", staging.display()))
        .output();
    succeeded("fetching Kafka's jars with mvn", fetched)?;
    match fs::rename(&staging, &kept) {
        // Another run was faster; its copy is as good.
        Err(_) if kept.exists() => {
            fs::remove_dir_all(&staging).map_err(|error| error.to_string())?
        }
        other => other.map_err(|error| error.to_string())?,
    }
    Ok(kept)
}

fn java_is_new_enough() -> Result<(), String> {
    let answer = Command::new("java").arg("-version").output();
    let output = answer.map_err(|error| format!("Java 17 or later is needed: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let version = text.split('"').nth(1).unwrap_or_default();
    let major: u32 = version
        .split('.')
        .next()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_default();
    if major >= 17 {
        return Ok(());
    }
    Err(format!("Java 17 or later is needed, this is {version:?}"))
}

fn succeeded(what: &str, outcome: std::io::Result<Output>) -> Result<(), String> {
    let output = outcome.map_err(|error| format!("{what}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!(
        "{what}: {}",
        end_of(&String::from_utf8_lossy(&said))
    ))
}

fn end_of(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(8)..].join(" | ")
}
