//! The program itself as child processes, against a test's own database and topics.
//!
//! Guarantees that no process outlives the test run, and that the end of a process's log is shown
//! when its test fails.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use holdback::demo::child::Supervised;

use super::{TestBed, environment, say};

/// How long a process may take to be ready; a machine busy with other tests is slow.
const PATIENCE: Duration = Duration::from_secs(90);

/// A running `holdback run`.
pub struct Process {
    name: String,
    server: Supervised,
    log: PathBuf,
    started: Instant,
}

/// How a command ended.
pub struct Ended {
    pub code: Option<i32>,
    pub said: String,
    pub took: Duration,
}

/// The program with the settings of this test; `more` is added, an empty value takes away.
pub fn holdback(bed: &TestBed, arguments: &[&str], more: &[(&str, &str)]) -> Command {
    // Another build of it, to keep while this one changes.
    let program = environment("HOLDBACK_TEST_PROGRAM");
    let mut command =
        Command::new(program.unwrap_or_else(|| env!("CARGO_BIN_EXE_holdback").to_owned()));
    command
        .args(arguments)
        // No settings file lies here.
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::null())
        .env("HOLDBACK_NAME", &bed.name)
        .env("HOLDBACK_DATABASE_URL", &bed.database_url)
        .env("HOLDBACK_KAFKA_BROKERS", &bed.brokers)
        .env("HOLDBACK_INGEST_START", "earliest")
        .env("HOLDBACK_RELEASE_NOT_BEFORE", "2020-01-01T00:00:00Z")
        .env("HOLDBACK_HTTP_ADDR", "127.0.0.1:0");
    for (topic, actual) in &bed.topics {
        let key = topic.strip_prefix("holdback-").unwrap_or(topic);
        let key = key.replace('-', "_").to_ascii_uppercase();
        command.env(format!("HOLDBACK_TOPICS_{key}"), actual);
    }
    for (key, value) in more {
        if value.is_empty() {
            command.env_remove(key);
        } else {
            command.env(key, value);
        }
    }
    command
}

/// Runs a command of the program to its end.
pub fn run_to_end(mut command: Command) -> Ended {
    let started = Instant::now();
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the program starts");
    Ended {
        code: status.code(),
        said: String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned(),
        took: started.elapsed(),
    }
}

/// Makes the tables by the command for it.
pub fn migrate(bed: &TestBed) {
    let ended = run_to_end(holdback(bed, &["migrate"], &[]));
    assert_eq!(ended.code, Some(0), "migrate: {}", ended.said);
}

impl Process {
    /// Starts the service with these roles; `more` are further settings.
    pub fn start(bed: &TestBed, roles: &str, more: &[(&str, &str)]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("logs");
        std::fs::create_dir_all(&folder).expect("a folder for logs");
        let name = format!("{}-{number}", bed.name);
        let log = folder.join(format!("{name}.log"));
        let file = std::fs::File::create(&log).expect("a log file");
        let mut command = holdback(bed, &["run", "--roles", roles], more);
        command
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file);
        let server = Supervised::start(&mut command, "KILL", None).expect("the program starts");
        Self {
            name,
            server,
            log,
            started: Instant::now(),
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.server.id()
    }

    /// Where its log is.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.server.ended().expect("a state")
    }

    /// Sends a signal by its name without `SIG`, without waiting for what comes of it.
    pub fn signal(&mut self, name: &str) {
        self.server.signal(name).expect("a signal");
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("the log can be read")
    }

    /// The log's lines with this message, as JSON.
    pub fn logged(&self, message: &str) -> Vec<serde_json::Value> {
        let lines = self.log();
        let lines = lines
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines
            .filter(|line: &serde_json::Value| line["message"] == message)
            .collect()
    }

    /// Waits until it answers that it is ready; how long that took since its start.
    pub fn ready(&mut self) -> Duration {
        self.wait_for("/readyz to answer 200", |process| {
            process
                .get("/readyz")
                .is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
        });
        self.started.elapsed()
    }

    /// Waits until something is true of it, and fails with its log if it ends or takes too long.
    pub fn wait_for(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !done(self) {
            let ended = self.server.ended().expect("a state");
            assert!(ended.is_none(), "{} ended: {ended:?}", self.name);
            assert!(Instant::now() < until, "{}: no {what} in time", self.name);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Where it listens, once it does.
    pub fn addr(&self) -> Option<String> {
        let listens = self.logged("http listens").pop()?;
        Some(listens["addr"].as_str()?.to_owned())
    }

    /// The answer to a GET, head and body; none while nobody listens.
    pub fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.addr()?).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: it\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Asks it to end, as an orchestrator does; the exit code and how long it took.
    pub fn terminate(&mut self) -> (Option<i32>, Duration) {
        let asked = Instant::now();
        self.server.signal("TERM").expect("a signal");
        let until = asked + PATIENCE;
        loop {
            if let Some(status) = self.server.ended().expect("a state") {
                return (status.code(), asked.elapsed());
            }
            assert!(Instant::now() < until, "{} does not end", self.name);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Lets it stand still, as a machine does that swaps or is moved.
    pub fn pause(&mut self) {
        self.server.signal("STOP").expect("a signal");
    }

    /// Lets it go on.
    pub fn resume(&mut self) {
        self.server.signal("CONT").expect("a signal");
    }

    /// Ends it as `kill -9` does.
    pub fn kill(mut self) {
        let ended = self.server.end("KILL", Duration::from_secs(10));
        ended.expect("killed");
        self.must_not_have_panicked();
    }

    fn must_not_have_panicked(&self) {
        assert!(
            !self.log().contains("panicked at"),
            "{} panicked",
            self.name
        );
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            say(&format!("the end of {}:", self.log.display()));
            for line in &lines[lines.len().saturating_sub(25)..] {
                say(line);
            }
        } else {
            self.must_not_have_panicked();
        }
    }
}
