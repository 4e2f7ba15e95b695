//! What the machine says of its processes, and that nothing but this machine is loaded.
//!
//! Guarantees to say nothing rather than something wrong: a server that is not a process of this
//! machine that this one may look at has no figures. Linux only.

use std::fs;
use std::path::Path;

use anyhow::bail;
use secrecy::ExposeSecret as _;
use sqlx::postgres::PgConnectOptions;

use crate::config::Config;
use crate::loopback::is_loopback;

/// Nanoseconds in a tick of `/proc/PID/stat`, which Linux counts in hundredths of a second.
const TICK: u64 = 10_000_000;

/// Where the servers listen; both on this machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub postgres: u16,
    pub broker: u16,
}

/// Loads nothing but this machine.
pub(super) fn only_loopback(config: &Config) -> anyhow::Result<Ports> {
    let mut ports = Vec::new();
    for broker in config.kafka.brokers.split(',') {
        match broker.trim().rsplit_once(':') {
            Some((host, port)) if is_loopback(host) => ports.push(port.parse()?),
            _ => bail!("bench loads loopback brokers only, and {broker} is not one (host:port)"),
        }
    }
    let options: PgConnectOptions = config.database.url.expose_secret().parse()?;
    if options.get_socket().is_none() && !is_loopback(options.get_host()) {
        bail!("bench loads a loopback database only");
    }
    Ok(Ports {
        postgres: options.get_port(),
        broker: ports.first().copied().unwrap_or_default(),
    })
}

/// The processes of the servers, as far as they can be seen.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Servers {
    postgres: Option<u32>,
    broker: Option<u32>,
}

/// CPU time so far, nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CpuTimes {
    pub program: Option<u64>,
    pub postgres: Option<u64>,
    pub broker: Option<u64>,
}

impl Servers {
    /// Looks who listens.
    pub(super) fn find(ports: Ports) -> Self {
        let listens = |port, name: &str| {
            listener(port).filter(|pid| read(*pid, "comm").is_some_and(|comm| comm.trim() == name))
        };
        Self {
            postgres: listens(ports.postgres, "postgres"),
            broker: listens(ports.broker, "java"),
        }
    }

    /// What all have used so far, and the program with this process id.
    pub(super) fn cpu(self, program: u32) -> CpuTimes {
        CpuTimes {
            program: stat(program).map(|stat| stat.own),
            postgres: self.postgres.and_then(with_children),
            broker: self.broker.and_then(stat).map(|stat| stat.own),
        }
    }

    /// The broker's version, by the jar that it has open.
    pub(super) fn broker_version(self) -> Option<String> {
        let folder = format!("/proc/{}/fd", self.broker?);
        let mut links = fs::read_dir(folder).ok()?.flatten();
        links.find_map(|link| {
            let target = fs::read_link(link.path()).ok()?;
            let name = target.file_name()?.to_str()?.to_owned();
            let version = name.strip_prefix("kafka-clients-")?.strip_suffix(".jar")?;
            Some(version.to_owned())
        })
    }
}

/// What `/proc/PID/stat` says.
struct Stat {
    parent: u32,
    /// CPU time of its own, nanoseconds.
    own: u64,
    /// That of its children that have ended.
    ended: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = read(pid, "stat")?;
    let (_, rest) = text.rsplit_once(')')?;
    // After the name: state, parent, and ten more before the times.
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
    Some(Stat {
        parent: u32::try_from(number(1)?).ok()?,
        own: (number(11)? + number(12)?) * TICK,
        ended: (number(13)? + number(14)?) * TICK,
    })
}

/// A server whose work is done by children of its first process.
fn with_children(first: u32) -> Option<u64> {
    let stat_of_first = stat(first)?;
    let children = processes()
        .filter_map(stat)
        .filter(|stat| stat.parent == first)
        .map(|stat| stat.own);
    Some(stat_of_first.own + stat_of_first.ended + children.sum::<u64>())
}

/// Memory of a process, KiB: resident now, and the most that was.
pub(super) fn resident_kib(pid: u32) -> Option<(u64, u64)> {
    let text = read(pid, "status")?;
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some((value("VmRSS:")?, value("VmHWM:")?))
}

/// How loaded the machine is: how many wanted a core, over the last 1, 5 and 15 minutes.
pub(super) fn load() -> Option<String> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    let loads: Vec<&str> = text.split_whitespace().take(3).collect();
    Some(loads.join(" "))
}

fn read(pid: u32, what: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/{what}")).ok()
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The process that listens on a port.
fn listener(port: u16) -> Option<u32> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, port))
        .collect();
    let sockets: Vec<String> = inodes
        .iter()
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    // Children that have inherited the socket have greater numbers than their parent.
    let holds = |pid: &u32| {
        let links = fs::read_dir(format!("/proc/{pid}/fd"));
        let mut links = links.into_iter().flatten().flatten();
        links.any(|link| {
            fs::read_link(link.path())
                .is_ok_and(|target| sockets.iter().any(|it| target == Path::new(it)))
        })
    };
    processes().filter(holds).min()
}

/// The inodes of a table's sockets that listen on a port.
fn listening(table: &str, port: u16) -> Vec<String> {
    let ends = format!(":{port:04X}");
    let inode = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // Local address, remote address, state (0A: listens), six more, inode.
        let matches = fields.get(1)?.ends_with(&ends) && *fields.get(3)? == "0A";
        matches.then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
    };
    table.lines().filter_map(inode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_is_found_by_the_port() {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        assert_eq!(listener(port), Some(std::process::id()));
        drop(server);
        assert_eq!(listener(port), None);
    }

    #[test]
    fn this_process_uses_time_and_memory() {
        let before = stat(std::process::id()).unwrap().own;
        let mut sum = 0_u64;
        while stat(std::process::id()).unwrap().own == before {
            sum = std::hint::black_box(sum + 1);
        }
        let (now, most) = resident_kib(std::process::id()).unwrap();
        assert!(now > 0 && most >= now && sum > 0);
    }

    #[test]
    fn a_server_that_is_no_process_of_the_right_name_has_no_figures() {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let servers = Servers::find(Ports {
            postgres: port,
            broker: port,
        });
        let cpu = servers.cpu(std::process::id());
        assert!(cpu.program.is_some());
        assert_eq!((cpu.postgres, cpu.broker), (None, None));
    }
}
