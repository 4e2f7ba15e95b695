//! Servers run as child processes.
//!
//! Guarantees: they end, and their scratch folder goes, when the process that started them ends,
//! however it ends (`kill -9` included).
//!
//! A shell waits at the other end of a pipe. Only this process holds the writing end, so the shell
//! reads its end when this process is gone. (The kernel's parent-death signal would fire when the
//! starting *thread* ends, and exists on Linux only.)

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Passes the signals on that it is told, and ends everything when nobody is left to tell it.
const SUPERVISE: &str = r#"
while read -r signal; do kill -s "$signal" "$1" 2>/dev/null; done
kill -s "$2" "$1" 2>/dev/null
tries=0
while kill -0 "$1" 2>/dev/null && [ "$tries" -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
kill -s KILL "$1" 2>/dev/null
[ -z "$3" ] || rm -rf -- "$3"
"#;

/// A shell that runs a script whose standard input ends when this process does.
#[derive(Debug)]
pub struct Watchdog {
    shell: Child,
    pipe: ChildStdin,
}

impl Watchdog {
    /// Starts the script with `$1`, `$2`, … set. It stands in a process group of its own, so a
    /// Ctrl-C in the terminal does not reach it.
    ///
    /// # Errors
    /// When there is no `sh`.
    pub fn start(script: &str, arguments: &[&str]) -> io::Result<Self> {
        let mut shell = Command::new("sh")
            .args(["-c", script, "holdback-watchdog"])
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let pipe = shell.stdin.take().expect("standard input was piped");
        Ok(Self { shell, pipe })
    }

    fn tell(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.pipe, "{line}")
    }

    /// Ends the shell before it could act.
    fn dismiss(&mut self) -> io::Result<()> {
        self.shell.kill()?;
        self.shell.wait().map(drop)
    }
}

/// A server and its watchdog.
#[derive(Debug)]
pub struct Supervised {
    server: Child,
    watchdog: Watchdog,
    gentle: &'static str,
    scratch: Option<PathBuf>,
}

impl Supervised {
    /// Starts `command` in a process group of its own. `gentle` is the signal that asks it to end;
    /// `scratch` is removed when it has ended with its parent or been dropped.
    ///
    /// # Errors
    /// When the program or `sh` can't be started.
    pub fn start(
        command: &mut Command,
        gentle: &'static str,
        scratch: Option<&Path>,
    ) -> io::Result<Self> {
        let mut server = command.process_group(0).spawn()?;
        let pid = server.id().to_string();
        let folder = scratch.map_or(String::new(), |path| path.display().to_string());
        match Watchdog::start(SUPERVISE, &[&pid, gentle, &folder]) {
            Ok(watchdog) => Ok(Self {
                server,
                watchdog,
                gentle,
                scratch: scratch.map(Path::to_path_buf),
            }),
            Err(error) => {
                server.kill()?;
                server.wait()?;
                Err(error)
            }
        }
    }

    /// The server's process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.server.id()
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    /// When the operating system can't tell.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.server.try_wait()
    }

    /// Sends a signal by its name without `SIG`.
    ///
    /// # Errors
    /// When the watchdog is gone.
    pub fn signal(&mut self, name: &str) -> io::Result<()> {
        self.watchdog.tell(name)
    }

    /// Lets the scratch folder stay when this is dropped.
    pub fn keep_scratch(&mut self) {
        self.scratch = None;
    }

    /// Sends a signal and waits for the end, which is forced after the patience. Leaves the scratch
    /// folder where it is.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn end(&mut self, signal: &str, patience: Duration) -> io::Result<()> {
        if self.server.try_wait()?.is_none() {
            self.watchdog.tell(signal)?;
            let until = Instant::now() + patience;
            while self.server.try_wait()?.is_none() {
                if Instant::now() > until {
                    self.server.kill()?;
                    self.server.wait()?;
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        self.watchdog.dismiss()
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        let ended = self.end(self.gentle, Duration::from_secs(10));
        let removed = match &self.scratch {
            Some(folder) if folder.exists() => std::fs::remove_dir_all(folder),
            _ => Ok(()),
        };
        if let Err(error) = ended.and(removed) {
            tracing::warn!(%error, "a server that was started here did not end cleanly");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_server_is_gone_with_its_folder() {
        let folder = std::env::temp_dir().join(format!("holdback-child-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let server =
            Supervised::start(Command::new("sleep").arg("600"), "TERM", Some(&folder)).unwrap();
        let pid = server.id().to_string();
        drop(server);
        assert!(!folder.exists());
        let alive = Command::new("sh")
            .args(["-c", "kill -0 \"$1\"", "sh", &pid])
            .stderr(Stdio::null())
            .status();
        assert!(!alive.unwrap().success());
    }

    #[test]
    fn a_watchdog_acts_when_its_pipe_closes() {
        let file = std::env::temp_dir().join(format!("holdback-watchdog-{}", std::process::id()));
        let script = "read -r line; echo gone > \"$1\"";
        let watchdog = Watchdog::start(script, &[&file.display().to_string()]).unwrap();
        let Watchdog { mut shell, pipe } = watchdog;
        drop(pipe);
        shell.wait().unwrap();
        assert!(file.exists());
        std::fs::remove_file(file).unwrap();
    }
}
