//! A PostgreSQL server of one's own, for the demo and the tests.
//!
//! Guarantees: durable settings unless told otherwise, reachable from this machine only and by
//! password, gone without a trace when dropped or when this process ends.

use std::fmt;
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::Connection;

use super::binaries::{self, RunAs};
use super::child::Supervised;

/// What [`LocalPostgres::start`] is busy with, for whoever waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Only at the first start on a machine without PostgreSQL.
    Downloading {
        major: u32,
    },
    Initializing,
    Starting,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Progress::Downloading { major } => {
                write!(f, "downloading PostgreSQL {major}, once, about 15 MB")
            }
            Progress::Initializing => write!(f, "making a PostgreSQL database"),
            Progress::Starting => write!(f, "starting PostgreSQL"),
        }
    }
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// No programs, or nobody to run them as; one sentence that says what to do.
    #[error("{0}")]
    Unavailable(String),
    /// A program failed; the end of what it printed is in the text.
    #[error("{what} failed: {output}")]
    Failed { what: &'static str, output: String },
    #[error("PostgreSQL: {0}")]
    Io(#[from] std::io::Error),
}

/// How to start a server.
pub struct PostgresOptions<'a> {
    /// Server settings beside the defaults, which are durable (`fsync`, `synchronous_commit`).
    pub settings: &'a [(&'a str, &'a str)],
    /// Told what it is that takes time.
    pub progress: &'a dyn Fn(Progress),
}

/// A running server; dropping it stops it and removes its data.
pub struct LocalPostgres {
    bin: PathBuf,
    folder: PathBuf,
    user: Option<RunAs>,
    settings: Vec<(String, String)>,
    password: String,
    port: u16,
    server: Option<Supervised>,
}

const SUPERUSER: &str = "holdback";
/// A cold start with a crash recovery on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

impl LocalPostgres {
    /// Finds or downloads the programs, makes a database and waits until it takes connections.
    /// Blocks, for about two seconds when nothing has to be downloaded.
    ///
    /// # Errors
    /// [`PostgresError::Unavailable`] when there is no way to a server here, else what failed.
    pub fn start(options: &PostgresOptions<'_>) -> Result<Self, PostgresError> {
        let folder = make_folder()?;
        let started = Self::start_in(&folder, options);
        if started.is_err() && folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        started
    }

    fn start_in(folder: &Path, options: &PostgresOptions<'_>) -> Result<Self, PostgresError> {
        let user = RunAs::choose(folder)?;
        if let Some(RunAs { uid, gid }) = user {
            std::os::unix::fs::chown(folder, Some(uid), Some(gid))?;
        }
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let mut postgres = Self {
            bin: binaries::find(user, options.progress)?,
            folder: folder.to_path_buf(),
            user,
            settings: options.settings.iter().map(owned).collect(),
            password: format!("{:032x}", rand::random::<u128>()),
            port: 0,
            server: None,
        };
        (options.progress)(Progress::Initializing);
        postgres.initialize()?;
        (options.progress)(Progress::Starting);
        postgres.launch_on_a_free_port()?;
        Ok(postgres)
    }

    /// The superuser's connection URL, on the database `postgres`. It holds the password.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The superuser's connection URL on another database of this server.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        let Self { password, port, .. } = self;
        format!("postgres://{SUPERUSER}:{password}@127.0.0.1:{port}/{database}")
    }

    /// Stops the server without a checkpoint or a farewell, as a crash would, and waits until it
    /// has ended. The data stay.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn kill_immediate(&mut self) -> Result<(), PostgresError> {
        if let Some(mut server) = self.server.take() {
            server.keep_scratch();
            server.end("QUIT", Duration::from_secs(10))?;
        }
        Ok(())
    }

    /// Starts the server again on the same port and data, and waits until it takes connections.
    ///
    /// # Errors
    /// As [`LocalPostgres::start`].
    pub fn restart(&mut self) -> Result<(), PostgresError> {
        self.kill_immediate()?;
        self.launch()
    }

    fn initialize(&self) -> Result<(), PostgresError> {
        let password_file = self.folder.join("password");
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&password_file)?;
        writeln!(file, "{}", self.password)?;
        if let Some(RunAs { uid, gid }) = self.user {
            std::os::unix::fs::chown(&password_file, Some(uid), Some(gid))?;
        }
        // Nothing is lost when the machine dies in these two seconds: hence no sync here.
        let output = self
            .command("initdb")
            .args(["--username", SUPERUSER, "--auth", "scram-sha-256"])
            .args(["--encoding", "UTF8", "--locale", "C"])
            .args(["--no-sync", "--no-instructions", "--pgdata"])
            .arg(self.folder.join("data"))
            .arg("--pwfile")
            .arg(&password_file)
            .output()?;
        fs::remove_file(&password_file)?;
        if output.status.success() {
            return Ok(());
        }
        Err(PostgresError::Failed {
            what: "initdb",
            output: tail(&String::from_utf8_lossy(&output.stderr)),
        })
    }

    /// Someone else may take the port between our look and the server's start: look again then.
    fn launch_on_a_free_port(&mut self) -> Result<(), PostgresError> {
        let mut tries = 0;
        loop {
            tries += 1;
            self.port = free_port()?;
            match self.launch() {
                Err(PostgresError::Failed { output, .. })
                    if tries < 5 && output.contains("could not bind") => {}
                other => return other,
            }
        }
    }

    fn launch(&mut self) -> Result<(), PostgresError> {
        let log_file = self.folder.join("log");
        let log = fs::File::create(&log_file)?;
        let mut command = self.command("postgres");
        command
            .arg("-D")
            .arg(self.folder.join("data"))
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories="])
            .args(["-c", &format!("port={}", self.port)])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        for (key, value) in &self.settings {
            command.args(["-c", &format!("{key}={value}")]);
        }
        let mut server = Supervised::start(&mut command, "INT", Some(&self.folder))?;
        let until = Instant::now() + PATIENCE;
        while !accepts(&self.url()) {
            let ended = server.ended()?.is_some();
            if ended || Instant::now() > until {
                let output = tail(&fs::read_to_string(&log_file)?);
                // Ended here, so that the folder stays for another try.
                server.keep_scratch();
                return Err(PostgresError::Failed {
                    what: "postgres",
                    output,
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.server = Some(server);
        Ok(())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        // The server's user may not be allowed to see where this process stands.
        command.current_dir(&self.folder).env_remove("PGDATA");
        if let Some(user) = self.user {
            user.apply(&mut command);
        }
        command
    }
}

impl Drop for LocalPostgres {
    fn drop(&mut self) {
        drop(self.server.take());
        if self.folder.exists()
            && let Err(error) = fs::remove_dir_all(&self.folder)
        {
            tracing::warn!(%error, folder = %self.folder.display(), "left behind");
        }
    }
}

impl fmt::Debug for LocalPostgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalPostgres")
            .field("folder", &self.folder)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// A folder that nobody else can look into.
fn make_folder() -> std::io::Result<PathBuf> {
    let name = format!("holdback-postgres-{:016x}", rand::random::<u64>());
    let folder = std::env::temp_dir().join(name);
    fs::DirBuilder::new().mode(0o700).create(&folder)?;
    Ok(folder)
}

/// A port that nobody listens on at this moment.
///
/// # Errors
/// When the machine has none.
pub fn free_port() -> std::io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// Whether a connection can be made right now. On a thread of its own: the caller may or may not
/// be inside an async runtime.
fn accepts(url: &str) -> bool {
    let connect = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .ok()?;
        let connected = runtime.block_on(async {
            let connection = sqlx::PgConnection::connect(url).await?;
            connection.close().await
        });
        connected.ok()
    };
    std::thread::scope(|scope| scope.spawn(connect).join())
        .ok()
        .flatten()
        .is_some()
}

/// The last lines of an output, as one.
fn tail(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    lines[lines.len().saturating_sub(8)..].join(" | ")
}
