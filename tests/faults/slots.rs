//! The processes of a history: started, killed, stopped, and started again as an orchestrator would.
//!
//! Guarantees that a process that ends by itself is either explained by a fault or told as a complaint.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::counters::Counters;
use crate::harness::{Process, TestBed};
use crate::servers::{Servers, by_way_of};

const ROLES: &str = "ingest,release,publish,http";
const ABORT: i32 = 6;
const SEGMENTATION: i32 = 11;
const TERMINATED: i32 = 15;
/// What a process needs to end after SIGTERM, its deadline of 5 s included.
const ENDING: Duration = Duration::from_secs(9);

/// Timeouts short enough for a history of seconds.
const SETTINGS: &[(&str, &str)] = &[
    ("HOLDBACK_KAFKA_PROPERTY_SESSION_TIMEOUT_MS", "3000"),
    ("HOLDBACK_KAFKA_PROPERTY_HEARTBEAT_INTERVAL_MS", "500"),
    ("HOLDBACK_KAFKA_PROPERTY_SOCKET_TIMEOUT_MS", "3000"),
    ("HOLDBACK_KAFKA_PROPERTY_FETCH_WAIT_MAX_MS", "100"),
    ("HOLDBACK_INGEST_BATCH_MAX", "200"),
    ("HOLDBACK_PUBLISH_BATCH_MAX", "400"),
    ("HOLDBACK_SHUTDOWN_DEADLINE_SECONDS", "5"),
];

impl Drop for Slot {
    fn drop(&mut self) {
        self.take_back_the_order();
    }
}

/// One process, which comes back whenever it ends.
pub struct Slot {
    pub number: usize,
    pub process: Option<Process>,
    settings: Vec<(String, String)>,
    restart_at: Instant,
    pub paused: bool,
    /// The point at which it is going to crash.
    pub point: Option<String>,
    /// Where it is told at which point to stand still, and for how long it was told to.
    order: PathBuf,
    ordered: Option<Duration>,
    asked_to_end: Option<Instant>,
    pub logs: Vec<PathBuf>,
}

impl Slot {
    /// A process that goes by its own proxies.
    pub fn new(bed: &TestBed, servers: &Servers, number: usize, bug: Option<&str>) -> Self {
        let links = &servers.links[number % servers.links.len()];
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let mut settings: Vec<(String, String)> = SETTINGS.iter().map(own).collect();
        let brokers = format!("127.0.0.1:{}", links.kafka.port);
        let database = by_way_of(&bed.database_url, &links.postgres);
        settings.push(("HOLDBACK_KAFKA_BROKERS".to_owned(), brokers));
        settings.push(("HOLDBACK_DATABASE_URL".to_owned(), database));
        let unique = format!("stop-{}-{:08x}", bed.name, rand::random::<u32>());
        let order = Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique);
        settings.push(("STOP_ORDER".to_owned(), order.display().to_string()));
        if let Some(bug) = bug {
            settings.push(("PLANTED_BUG".to_owned(), bug.to_owned()));
        }
        Self {
            number,
            process: None,
            settings,
            restart_at: Instant::now(),
            paused: false,
            point: None,
            order,
            ordered: None,
            asked_to_end: None,
            logs: Vec::new(),
        }
    }

    pub fn start(&mut self, bed: &TestBed) {
        self.take_back_the_order();
        let mut settings: Vec<(&str, &str)> = self
            .settings
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        if let Some(point) = &self.point {
            settings.push(("FAULT_POINT", point));
        }
        let process = Process::start(bed, ROLES, &settings);
        self.logs.push(process.log_path().to_path_buf());
        self.process = Some(process);
        self.paused = false;
        self.asked_to_end = None;
    }

    /// Starts what should run and looks after what has ended.
    pub fn tick(&mut self, bed: &TestBed, counters: &mut Counters) -> Result<(), String> {
        let Some(process) = &mut self.process else {
            if Instant::now() >= self.restart_at {
                self.start(bed);
            }
            return Ok(());
        };
        let Some(status) = process.ended() else {
            let late = self
                .asked_to_end
                .is_some_and(|asked| asked.elapsed() > ENDING);
            if late && !self.paused {
                return Err(format!("process {} does not end on SIGTERM", self.number));
            }
            return Ok(());
        };
        self.process = None;
        self.restart_at = Instant::now() + Duration::from_millis(300);
        let point = self.point.take();
        self.take_back_the_order();
        match (status.code(), status.signal(), point) {
            (_, Some(ABORT), Some(point)) => {
                let (name, _) = point.split_once(':').unwrap_or((&point, ""));
                counters.add(&format!("point {name}"), 1);
            }
            (Some(0 | 1), ..) if self.asked_to_end.is_some() => counters.add("sigterm: ended", 1),
            // It had only just begun and did not listen yet.
            (_, Some(TERMINATED), _) if self.asked_to_end.is_some() => {
                counters.add("sigterm: ended before it listened", 1);
            }
            // librdkafka reads what it never wrote when a partition has no leader for a moment
            // (its issue 5280, open): the process is gone, what it promised is not.
            (_, Some(SEGMENTATION), _) => counters.add("known: librdkafka's segmentation fault", 1),
            // It could not reach its servers, and says so.
            (Some(1), ..) => counters.add("start refused", 1),
            (..) => return Err(format!("process {} ended by itself: {status}", self.number)),
        }
        Ok(())
    }

    /// `kill -9`, also of a process that stands still.
    pub fn kill(&mut self) -> bool {
        let Some(process) = self.process.take() else {
            return false;
        };
        self.point = None;
        self.take_back_the_order();
        self.restart_at = Instant::now() + Duration::from_millis(100);
        process.kill();
        true
    }

    /// Lets it crash at a point, which it must be started for.
    pub fn crash_at(&mut self, bed: &TestBed, point: &str) {
        self.kill();
        self.point = Some(point.to_owned());
        self.start(bed);
    }

    /// Sends SIGTERM; [`Slot::tick`] sees what comes of it.
    pub fn terminate(&mut self) -> bool {
        let Some(process) = self.process.as_mut().filter(|_| !self.paused) else {
            return false;
        };
        process.signal("TERM");
        self.asked_to_end.get_or_insert_with(Instant::now);
        true
    }

    /// Lets it stand still; true when the operating system says so.
    pub fn pause(&mut self) -> bool {
        let Some(process) = self.process.as_mut().filter(|_| !self.paused) else {
            return false;
        };
        process.pause();
        self.paused = true;
        self.stands_still()
    }

    /// Tells it to stand still for so long at a point that it comes to.
    pub fn order_to_stop(&mut self, point: &str, long: Duration) {
        self.take_back_the_order();
        std::fs::write(&self.order, point).expect("an order");
        self.ordered = Some(long);
    }

    /// For how long it stands still now, if it has just obeyed the order.
    pub fn has_obeyed(&mut self) -> Option<Duration> {
        let long = self.ordered.filter(|_| !self.order.exists())?;
        self.ordered = None;
        self.paused = self.stands_still();
        self.paused.then_some(long)
    }

    /// It may have been obeyed already.
    fn take_back_the_order(&mut self) {
        drop(std::fs::remove_file(&self.order));
        self.ordered = None;
    }

    /// Whether the operating system says so, within a moment.
    fn stands_still(&self) -> bool {
        let Some(process) = &self.process else {
            return false;
        };
        let stat = format!("/proc/{}/stat", process.id());
        let until = Instant::now() + Duration::from_secs(1);
        while Instant::now() < until {
            let stopped = std::fs::read_to_string(&stat)
                .is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|s| s.starts_with('T')));
            if stopped {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    pub fn resume(&mut self) {
        if let Some(process) = self.process.as_mut().filter(|_| self.paused) {
            process.resume();
        }
        self.paused = false;
    }

    /// What `/readyz` says, if it answers within a moment.
    pub fn readiness(&self) -> Option<String> {
        let process = self.process.as_ref().filter(|_| !self.paused)?;
        let address = process.addr()?.parse().ok()?;
        let moment = Duration::from_millis(300);
        let mut stream = TcpStream::connect_timeout(&address, moment).ok()?;
        stream.set_read_timeout(Some(moment)).ok()?;
        let request = b"GET /readyz HTTP/1.1\r\nHost: faults\r\nConnection: close\r\n\r\n";
        stream.write_all(request).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Ends it as an orchestrator does; a complaint when that is not clean.
    pub fn end(&mut self) -> Result<(), String> {
        let Some(mut process) = self.process.take() else {
            return Ok(());
        };
        match process.terminate() {
            (Some(0), _) => Ok(()),
            (code, took) => Err(format!(
                "process {} ended with {code:?} after {} ms of a quiet SIGTERM",
                self.number,
                took.as_millis()
            )),
        }
    }
}
