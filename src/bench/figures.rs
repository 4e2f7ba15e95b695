//! What a bench has measured: figures of single runs, and what they come to over all repeats.
//!
//! Guarantees whole numbers: rates per second, nanoseconds and bytes per event, ratios in per mille.

use serde::{Deserialize, Serialize};

/// Where something lies: 50, 99 and 99.9 of a hundred were no slower, microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Latency {
    pub p50: u64,
    pub p99: u64,
    pub p999: u64,
    pub max: u64,
}

impl Latency {
    /// Of these microseconds; `None` when there are none.
    pub(super) fn of(mut all: Vec<u64>) -> Option<Self> {
        all.sort_unstable();
        let at = |per_mille: usize| {
            let place = (all.len() * per_mille).div_ceil(1_000).max(1) - 1;
            all.get(place).copied()
        };
        Some(Self {
            p50: at(500)?,
            p99: at(990)?,
            p999: at(999)?,
            max: at(1_000)?,
        })
    }
}

/// CPU time, nanoseconds per event; `None` where the process is not on this machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cpu {
    pub program: Option<u64>,
    pub postgres: Option<u64>,
    pub broker: Option<u64>,
}

/// Bytes of tables and of their indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sizes {
    pub tables: i64,
    pub indexes: i64,
}

/// One phase of one subject.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Figures {
    pub phase: String,
    /// Input messages, or releases.
    pub events: u64,
    /// From the first that was committed to the last.
    #[serde(default)]
    pub committed_per_second: Option<u64>,
    /// From the first that a `read_committed` reader has seen to the last.
    #[serde(default)]
    pub read_back_per_second: Option<u64>,
    /// From when it was to be produced (a release: to leave) until it was read back, microseconds.
    #[serde(default)]
    pub latency_us: Option<Latency>,
    /// The same for the first of each merchant: whether one waits for all others.
    #[serde(default)]
    pub merchants_first_us: Option<Latency>,
    #[serde(default)]
    pub cpu_ns_per_event: Cpu,
    #[serde(default)]
    pub wal_bytes_per_event: Option<i64>,
    /// The most memory that was resident, KiB.
    #[serde(default)]
    pub resident_max_kib: Option<u64>,
    /// What was added meanwhile.
    #[serde(default)]
    pub growth: Option<Sizes>,
}

impl Figures {
    /// What it is compared by: read back, where it reads anything back.
    pub(super) fn per_second(&self) -> Option<u64> {
        self.read_back_per_second.or(self.committed_per_second)
    }
}

/// One subject's phases, in one repeat.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Run {
    #[serde(default)]
    pub repeat: u32,
    pub subject: String,
    pub phases: Vec<Figures>,
}

/// The middle one, and between which all lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Spread {
    pub least: u64,
    pub median: u64,
    pub most: u64,
}

impl Spread {
    /// Of these; `None` when there are none.
    pub(super) fn of(mut all: Vec<u64>) -> Option<Self> {
        all.sort_unstable();
        Some(Self {
            least: *all.first()?,
            median: all[(all.len() - 1) / 2],
            most: *all.last()?,
        })
    }
}

/// Events per second of one subject's phase over all repeats.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Rate {
    pub subject: String,
    pub phase: String,
    pub per_second: Spread,
}

/// How many times as fast as another, each pair within one repeat.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Ratio {
    pub what: String,
    pub per_mille: Spread,
}

/// What stands over what, as subject and phase.
const COMPARED: &[[(&str, &str); 2]] = &[
    [(HOLDBACK, "ingest"), (STREAMS, "ingest")],
    [(HOLDBACK, "release"), (STREAMS, "release")],
    [(HOLDBACK, "ingest"), (NAIVE, "ingest")],
    [(HOLDBACK, "release"), (NAIVE, "release")],
    [(HOLDBACK, "ingest"), (FLOOR, "ingest")],
    [(HOLDBACK, "release"), (FLOOR, "release")],
    [(HOLDBACK, "mixed"), (HOLDBACK, "ingest")],
    [(HOLDBACK, "midnight orders"), (HOLDBACK, "midnight alone")],
    [(FLOOR, "ingest"), (STREAMS, "ingest")],
    [(FLOOR, "release"), (STREAMS, "release")],
];

pub(super) const HOLDBACK: &str = "holdback";
pub(super) const FLOOR: &str = "floor";
pub(super) const NAIVE: &str = "naive";
/// As the twin names itself.
pub(super) const STREAMS: &str = "kafka-streams";

/// What the floor must reach over the twin, or the machine measured something else.
const FLOOR_OVER_STREAMS: u64 = 2_000;

fn found<'a>(runs: &'a [Run], subject: &str, phase: &str) -> Vec<(u32, &'a Figures)> {
    let runs = runs.iter().filter(|run| run.subject == subject);
    runs.flat_map(|run| run.phases.iter().map(|figures| (run.repeat, figures)))
        .filter(|(_, figures)| figures.phase == phase)
        .collect()
}

/// Each subject's phases over all repeats, in the order in which they came.
pub(super) fn rates(runs: &[Run]) -> Vec<Rate> {
    let mut rates: Vec<Rate> = Vec::new();
    for run in runs {
        for figures in &run.phases {
            let known = rates
                .iter()
                .any(|rate| rate.subject == run.subject && rate.phase == figures.phase);
            if known {
                continue;
            }
            let all = found(runs, &run.subject, &figures.phase);
            let all = all.iter().filter_map(|(_, figures)| figures.per_second());
            if let Some(per_second) = Spread::of(all.collect()) {
                rates.push(Rate {
                    subject: run.subject.clone(),
                    phase: figures.phase.clone(),
                    per_second,
                });
            }
        }
    }
    rates
}

/// Every comparison of which both sides were measured.
pub(super) fn ratios(runs: &[Run]) -> Vec<Ratio> {
    let ratio = |[upper, lower]: &[(&str, &str); 2]| {
        let below = found(runs, lower.0, lower.1);
        let pairs = found(runs, upper.0, upper.1)
            .into_iter()
            .filter_map(|(repeat, above)| {
                let (_, below) = below.iter().find(|(other, _)| *other == repeat)?;
                Some(above.per_second()? * 1_000 / below.per_second()?.max(1))
            });
        Some(Ratio {
            what: format!("{} {} / {} {}", upper.0, upper.1, lower.0, lower.1),
            per_mille: Spread::of(pairs.collect())?,
        })
    };
    COMPARED.iter().filter_map(ratio).collect()
}

/// Why the whole run says nothing, if so.
pub(super) fn void(ratios: &[Ratio]) -> Option<String> {
    let low = ratios.iter().find(|ratio| {
        ratio.what.starts_with(FLOOR)
            && ratio.what.contains(STREAMS)
            && ratio.per_mille.median < FLOOR_OVER_STREAMS
    })?;
    Some(format!(
        "{} is {}.{:03}, less than {}: the machine was not at its best, nothing follows from this run",
        low.what,
        low.per_mille.median / 1_000,
        low.per_mille.median % 1_000,
        FLOOR_OVER_STREAMS / 1_000,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(repeat: u32, subject: &str, per_second: u64) -> Run {
        Run {
            repeat,
            subject: subject.to_owned(),
            phases: vec![Figures {
                phase: "ingest".to_owned(),
                read_back_per_second: Some(per_second),
                ..Figures::default()
            }],
        }
    }

    #[test]
    fn a_percentile_is_the_value_that_so_many_do_not_exceed() {
        let latency = Latency::of((1..=1_000).rev().collect()).unwrap();
        assert_eq!(
            latency,
            Latency {
                p50: 500,
                p99: 990,
                p999: 999,
                max: 1_000
            }
        );
        assert_eq!(Latency::of(vec![7]).unwrap().p50, 7);
        assert_eq!(Latency::of(Vec::new()), None);
    }

    #[test]
    fn ratios_pair_what_was_measured_in_the_same_repeat() {
        let runs = [
            run(1, HOLDBACK, 100),
            run(1, FLOOR, 200),
            run(2, HOLDBACK, 400),
            run(2, FLOOR, 400),
            run(3, HOLDBACK, 900),
        ];
        let ratios = ratios(&runs);
        assert_eq!(ratios.len(), 1);
        assert_eq!(ratios[0].what, "holdback ingest / floor ingest");
        let expected = Spread {
            least: 500,
            median: 500,
            most: 1_000,
        };
        assert_eq!(ratios[0].per_mille, expected);
        assert_eq!(rates(&runs)[0].per_second.median, 400);
    }

    #[test]
    fn a_run_whose_floor_is_low_is_void() {
        let said = |floor| void(&ratios(&[run(1, FLOOR, floor), run(1, STREAMS, 100)]));
        assert_eq!(said(200), None);
        assert!(said(199).unwrap().contains("1.990"));
    }
}
