//! What `holdback bench` can be told.

use std::fmt;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// What is measured; `release` releases what `ingest` has brought
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [BenchWorkload::Ingest, BenchWorkload::Release, BenchWorkload::Mixed])]
    pub workload: Vec<BenchWorkload>,
    /// Messages of a workload; all are orders but in `mixed` and `soak`
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1_000..=20_000_000))]
    pub orders: u64,
    /// Merchants that they are spread over
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub merchants: u32,
    /// How they are spread
    #[arg(long, value_enum, default_value_t = BenchSpread::Zipf)]
    pub spread: BenchSpread,
    /// The same seed makes the same messages
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// How often everything is measured, one subject after the other
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=99))]
    pub repeat: u32,
    /// Messages per second while latencies are taken; without it half of what was measured, and
    /// 1,000 in `soak`
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub rate: Option<u64>,
    /// How long `soak` lasts
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=1_440))]
    pub minutes: u64,
    /// Leaves out the floor and the naive consumer
    #[arg(long)]
    pub alone: bool,
    /// A rival to start in each repeat on the same orders, as tests/bench/streams/run
    #[arg(long, value_name = "PROGRAM")]
    pub beside: Option<PathBuf>,
    /// JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchWorkload {
    /// First orders
    Ingest,
    /// Everything that `ingest` brought is due
    Release,
    /// 80 % orders, 10 % refunds, 5 % disputes opened and closed, 5 % confirmations; of all 5 %
    /// twice and 5 % before their order
    Mixed,
    /// Everything is due at one instant, while as many orders come
    Midnight,
    /// `mixed`, half of it due at once, for `--minutes`
    Soak,
}

/// How orders are spread over merchants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchSpread {
    /// The nth merchant has the nth part of the first one's
    Zipf,
    /// All have the same
    Even,
    /// One has half of all
    Half,
}

impl fmt::Display for BenchSpread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zipf => "zipf",
            Self::Even => "even",
            Self::Half => "half",
        })
    }
}
