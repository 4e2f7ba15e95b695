//! What really happened, counted over a run.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// Rare paths of the program by what it logs of them.
const RARE: &[(&str, &str)] = &[
    ("rare: producer rotated", "the producer is replaced"),
    ("rare: fenced", "enced"),
    (
        "rare: compare-and-swap lost",
        "a position was moved by another process",
    ),
    ("rare: batch tried again", "a batch is tried again"),
    ("rare: release step tried again", "a release step failed"),
    ("rare: batch bisected", "the database refuses a batch"),
    ("rare: deadlock", "deadlock detected"),
    (
        "rare: publishing began anew",
        "publishing failed and begins anew",
    ),
    ("rare: rebalanced", "reading the merchant topic first"),
    ("clock: told by an alarm", "\"alarm\":\"clocks_disagree\""),
    (
        "rare: repeats found by reading back",
        "\"alarm\":\"published_twice\"",
    ),
];

/// Counts by name.
#[derive(Debug, Default, Clone)]
pub struct Counters(BTreeMap<String, u64>);

impl Counters {
    pub fn add(&mut self, name: &str, count: u64) {
        *self.0.entry(name.to_owned()).or_default() += count;
    }

    /// The sum of all whose name begins so.
    pub fn of(&self, prefix: &str) -> u64 {
        let begin = self.0.iter().filter(|(name, _)| name.starts_with(prefix));
        begin.map(|(_, count)| count).sum()
    }

    /// Those whose name begins so, in brackets.
    #[cfg(feature = "planted-bugs")]
    pub fn those_of(&self, prefix: &str) -> String {
        let begin = self.0.iter().filter(|(name, _)| name.starts_with(prefix));
        let told: Vec<String> = begin
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        if told.is_empty() {
            return String::new();
        }
        format!(" ({})", told.join(", "))
    }

    pub fn merge(&mut self, other: &Self) {
        for (name, count) in &other.0 {
            self.add(name, *count);
        }
    }

    /// Counts rare paths in a process's log.
    pub fn read_log(&mut self, log: &Path) {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        for (name, sign) in RARE {
            let count = text.lines().filter(|line| line.contains(sign)).count();
            self.add(name, u64::try_from(count).expect("few"));
        }
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in &self.0 {
            writeln!(f, "{count:>10}  {name}")?;
        }
        Ok(())
    }
}
