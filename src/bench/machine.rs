//! What the machine says of this process, and that nothing but this machine is loaded.

use std::time::Duration;

use anyhow::bail;
use secrecy::ExposeSecret as _;

use crate::config::Config;

/// Loads nothing but this machine.
pub(super) fn only_loopback(config: &Config) -> anyhow::Result<()> {
    let local =
        |host: &str| host == "localhost" || host.starts_with("127.") || host.starts_with("[::1]");
    if !config.kafka.brokers.split(',').all(|broker| {
        local(broker.trim().trim_start_matches("localhost:"))
            || broker.trim().starts_with("localhost:")
    }) {
        bail!(
            "bench loads loopback brokers only, and {} is not one",
            config.kafka.brokers
        );
    }
    let url = config.database.url.expose_secret();
    let host = url.rsplit_once('@').map_or(url, |(_, rest)| rest);
    let host = host
        .trim_start_matches("postgres://")
        .trim_start_matches("postgresql://");
    if !local(host) && !host.starts_with("localhost") {
        bail!("bench loads a loopback database only");
    }
    Ok(())
}

/// CPU time of this process so far (Linux: fields 14 and 15 of `/proc/self/stat`, in 10 ms).
pub(super) fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

/// The most memory that was resident so far (Linux: `VmHWM`), KiB.
pub(super) fn resident_max_kib() -> u64 {
    std::fs::read_to_string("/proc/self/status")
        .unwrap_or_default()
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmHWM:")?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or_default()
}
