//! The command line: what can be typed, and what each command answers to its caller.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Holds merchants' money between order systems and payout systems, and releases it on the
/// settlement date.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub struct Cli {
    /// Settings file; `holdback.toml` is read when it is there. Variables win over it: key `k` of
    /// section `[s]` is `HOLDBACK_S_K`.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    #[command(subcommand)]
    pub command: Command,
}

/// One command each. Exit code 0: done; 1: failed, or the audit found a difference; 2: the command
/// line or the configuration is wrong.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the service until SIGTERM or Ctrl-C
    Run(RunArgs),
    /// Creates or upgrades the tables in Postgres
    Migrate,
    /// Creates the topics that are missing and says what is there
    Topics(TopicsArgs),
    /// Checks settings, database, tables, broker and topics, and changes nothing
    Check,
    /// Shows a marketplace's orders being held and released; needs neither Kafka nor Postgres
    Demo(DemoArgs),
    /// Says where an order's money is, why, and until when
    Explain(ExplainArgs),
    /// Measures how fast orders are held and released, on a scratch database and topics of its own
    Bench(BenchArgs),
    /// Looks at agreements before they are published
    #[command(subcommand)]
    Agreement(AgreementCommand),
    /// Proves that the journal's sums equal the holds; exit code 1 and the difference when not
    Audit,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// What this process does; several processes may share the work
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Role::ALL)]
    pub roles: Vec<Role>,
}

/// A loop of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Role {
    /// Reads the input topics
    Ingest,
    /// Decides what is due
    Release,
    /// Writes the output topics
    Publish,
    /// Answers /livez, /readyz and /metrics
    Http,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Ingest, Self::Release, Self::Publish, Self::Http];
}

impl RunArgs {
    /// The roles, each once.
    #[must_use]
    pub fn roles(&self) -> BTreeSet<Role> {
        self.roles.iter().copied().collect()
    }
}

#[derive(Debug, Args)]
pub struct TopicsArgs {
    /// Partitions of each topic that is created; more can be added to input topics later
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(i32).range(1..=10_000))]
    pub partitions: i32,
    /// Copies of each partition of a topic that is created
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..=100))]
    pub replication: i32,
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Days of the marketplace to show, then exit; without it the demo runs until it is stopped
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3_650))]
    pub days: Option<u32>,
    /// The same seed shows the same marketplace
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Seconds that a day takes
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub speed: u32,
    /// Lines instead of a full-screen view, as when the output is no terminal
    #[arg(long)]
    pub plain: bool,
}

#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// Orders to hold and release
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1_000..=20_000_000))]
    pub orders: u64,
    /// Merchants that they are spread over, evenly
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub merchants: u32,
    /// The same seed makes the same orders
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// What can be done with agreements.
#[derive(Debug, Subcommand)]
pub enum AgreementCommand {
    /// Lists everything that is wrong with an agreement (exit code 1), or says what it agrees
    Check {
        /// The agreement as JSON, or a `CloudEvent` with it
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Day from which the settlement dates are shown; without it that of `effective_from`
        #[arg(long, value_name = "DATE")]
        from: Option<jiff::civil::Date>,
    },
}

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The merchant whose order it is
    #[arg(long, value_name = "ID")]
    pub merchant: String,
    /// The order's id
    #[arg(value_name = "ORDER")]
    pub order: String,
    /// JSON instead of sentences
    #[arg(long)]
    pub json: bool,
}
