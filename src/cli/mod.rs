//! The command line: what can be typed, and what each command answers to its caller.

mod bench;
mod by_hand;
mod dead_letters;
mod parked;
mod reviews;

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::civil::Date;
use jiff::tz::TimeZone;

pub use bench::{BenchArgs, BenchSpread, BenchWorkload};

pub use by_hand::{
    ApproveArgs, BlockArgs, BlockBy, ByArgs, ExtendArgs, FailedArgs, OwedArgs, PauseArgs,
    PayoutCommand, ReceivableCommand, ReconcileArgs, ReissueArgs, ReleaseArgs, UnblockArgs,
    WriteOffArgs,
};

pub use dead_letters::{DeadLettersCommand, ReplayArgs, WhichArgs};

pub use parked::{ParkedChargeArgs, ParkedCommand, ParkedDropArgs, ParkedListArgs};

pub use reviews::{DecisionArg, ReviewCommand, ReviewDecideArgs, ReviewListArgs};

use crate::books::Format;
use crate::calendar_import::CalendarArgs;
use crate::rules::ids::{AgreementId, MerchantId};
use crate::rules::money::Currency;
use crate::rules::time::Instant;

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
    Migrate(MigrateArgs),
    /// Creates the topics that are missing and says what is there
    Topics(TopicsArgs),
    /// Checks settings, database, tables, broker and topics, and changes nothing
    Check,
    /// Shows a marketplace's orders being held and released; needs neither Kafka nor Postgres
    Demo(DemoArgs),
    /// Says where an order's money is, why, and until when
    Explain(ExplainArgs),
    /// Keeps releases from happening: all, those in a currency, or a merchant's
    Pause(PauseArgs),
    /// Ends the pause of the same scope; what fell due meanwhile goes
    Resume(PauseArgs),
    /// Lists the pauses in force
    Pauses,
    /// Keeps an order's money until a person clears it
    Block(BlockArgs),
    /// Clears a block, also one that a refused message has put there
    Unblock(UnblockArgs),
    /// Lets a hold's or credit's money go now, as far as nothing blocks it
    Release(ReleaseArgs),
    /// Puts a hold's dates off
    Extend(ExtendArgs),
    /// Shows what merchants owe, and writes it off
    #[command(subcommand)]
    Receivable(ReceivableCommand),
    /// Shows releases whose payout has failed, and issues them again
    #[command(subcommand)]
    Payout(PayoutCommand),
    /// Carries out what another person has asked for, where that takes two
    Approve(ApproveArgs),
    /// Lists what waits for a second person
    Proposals,
    /// Finds messages that were refused, and replays them
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Lists messages that wait for what they belong to, and gives up on them
    #[command(subcommand)]
    Parked(ParkedCommand),
    /// Lists reviews of orders, and decides them
    #[command(subcommand)]
    Review(ReviewCommand),
    /// Measures how fast orders are held and released, on databases and topics of its own, beside
    /// what else could do the job
    Bench(BenchArgs),
    /// Says what would happen: events from a file in, the output events out; needs no server
    Simulate(SimulateArgs),
    /// Makes calendars of working days out of files of holidays
    Calendar(CalendarArgs),
    /// Looks at agreements before they are published, and lets one rule orders that came before it
    #[command(subcommand)]
    Agreement(AgreementCommand),
    /// Takes over what an earlier system still holds, has in deposit and is owed, from a file
    Import(ImportArgs),
    /// Compares the output topics with the database, and takes over what a database that went back in
    /// time has lost; exit code 1 and the difference when they disagree
    Reconcile(ReconcileArgs),
    /// Proves that the journal's sums equal the holds; exit code 1 and the difference when not
    Audit,
    /// Writes the journal as double entry for other people's books
    Export(ExportArgs),
    /// What a merchant had, what moved, and what they have: order by order
    Statement(StatementArgs),
    /// What stands on a merchant's accounts, now or at a past instant
    Balances(BalancesArgs),
    /// What a merchant's holds will release on which date if nothing changes
    Forecast(ForecastArgs),
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
pub struct MigrateArgs {
    /// Prints the SQL that makes the roles for least privilege, and does nothing else; a superuser
    /// runs it before the first `migrate`
    #[arg(long, conflicts_with_all = ["distribute", "dry_run"])]
    pub print_roles: bool,
    /// Then spreads the tables over the machines of a cluster, by merchant; again does nothing
    #[arg(long, value_enum, value_name = "HOW")]
    pub distribute: Option<Distribute>,
    /// Prints the SQL of `--distribute`, and does nothing else
    #[arg(long, requires = "distribute")]
    pub dry_run: bool,
}

/// What spreads tables over machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Distribute {
    /// Citus, the extension of PostgreSQL: laid out, not yet run on it
    Citus,
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

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// One JSON object per line, see schemas/README.md; taken over whole or not at all
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Says what would be taken over, or what is wrong, and writes nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub by: ByArgs,
}

/// What an agreement shall rule that came before it.
#[derive(Debug, Args)]
pub struct ReapplyArgs {
    /// The agreement
    #[arg(value_name = "ID", value_parser = AgreementId::parse)]
    pub agreement: AgreementId,
    /// Only this merchant's orders, where it is the platform's agreement
    #[arg(long, value_name = "ID", value_parser = MerchantId::parse)]
    pub merchant: Option<MerchantId>,
    /// Nobody has paid what no term held: more may be held than before
    #[arg(long)]
    pub free_unpaid: bool,
    /// Says what would be rewritten, and writes nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub by: ByArgs,
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
        from: Option<Date>,
    },
    /// Lets an agreement rule the orders that came before it: rewrites their holds where no money
    /// has moved
    Reapply(ReapplyArgs),
}

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The merchant whose order it is
    #[arg(long, value_name = "ID")]
    pub merchant: String,
    /// The order's id
    #[arg(value_name = "ORDER")]
    pub order: String,
    /// The language of the sentences
    #[arg(long, value_enum, default_value_t = Lang::En)]
    pub lang: Lang,
    /// JSON instead of sentences
    #[arg(long)]
    pub json: bool,
}

/// Languages that people are answered in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Lang {
    /// English
    En,
    /// 中文
    Zh,
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// What shall read it
    #[arg(long, value_enum)]
    pub format: Format,
    /// One merchant's lines only
    #[arg(long, value_name = "ID", value_parser = MerchantId::parse)]
    pub merchant: Option<MerchantId>,
    /// The first instant that belongs to it: RFC 3339, or a date (its 00:00 UTC)
    #[arg(long, value_name = "T", value_parser = instant)]
    pub from: Option<Instant>,
    /// The first instant that does not belong to it any more
    #[arg(long, value_name = "T", value_parser = instant)]
    pub until: Option<Instant>,
}

#[derive(Debug, Args)]
pub struct StatementArgs {
    /// Whose statement it is
    #[arg(long, value_name = "ID", value_parser = MerchantId::parse)]
    pub merchant: MerchantId,
    /// The first instant that belongs to it: RFC 3339, or a date (its 00:00 UTC)
    #[arg(long, value_name = "T", value_parser = instant)]
    pub from: Instant,
    /// The first instant that does not belong to it any more
    #[arg(long, value_name = "T", value_parser = instant)]
    pub to: Instant,
    /// One currency only, for instance EUR
    #[arg(long, value_name = "CODE", value_parser = currency)]
    pub currency: Option<Currency>,
    /// How it is written
    #[arg(long, value_enum, default_value_t = StatementFormat::Text)]
    pub format: StatementFormat,
}

/// How a statement is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatementFormat {
    /// For people
    Text,
    /// One row per opening, movement and closing
    Csv,
    /// One array with a statement per currency
    Json,
}

#[derive(Debug, Args)]
pub struct BalancesArgs {
    /// Whose accounts
    #[arg(long, value_name = "ID", value_parser = MerchantId::parse)]
    pub merchant: MerchantId,
    /// Just before this instant: RFC 3339, or a date (its 00:00 UTC); without it: now
    #[arg(long, value_name = "T", value_parser = instant)]
    pub at: Option<Instant>,
    /// JSON instead of lines
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ForecastArgs {
    /// Whose holds
    #[arg(long, value_name = "ID", value_parser = MerchantId::parse)]
    pub merchant: MerchantId,
    /// How many days ahead stand by themselves; what goes after them is summed up
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3_650))]
    pub days: u16,
    /// JSON instead of lines
    #[arg(long)]
    pub json: bool,
}

/// An instant as people type it: RFC 3339 with an offset, or a date.
fn instant(text: &str) -> Result<Instant, String> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(Instant::new(at));
    }
    let day: Option<Date> = text.parse().ok();
    let midnight = day.and_then(|day| Instant::at_local(day.at(0, 0, 0, 0), &TimeZone::UTC));
    midnight.ok_or_else(|| {
        "neither a date (2026-11-01) nor an instant with its offset (2026-11-01T00:00:00Z)"
            .to_owned()
    })
}

fn currency(code: &str) -> Result<Currency, String> {
    Currency::from_code(code).ok_or_else(|| "no ISO 4217 code with a minor unit".to_owned())
}

#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// Messages, one JSON object per line: CloudEvents (structured) of any input type, or plain
    /// completed orders; `-` is standard input. They may bring their agreements and calendars
    #[arg(long, value_name = "FILE")]
    pub events: PathBuf,
    /// Agreements and calendars that are there before the first message, as JSON
    #[arg(long, value_name = "FILE")]
    pub agreements: Option<PathBuf>,
    /// Lets the clock run on to this time (RFC 3339) after the last message
    #[arg(long, value_name = "TIME")]
    pub until: Option<jiff::Timestamp>,
    /// Sums per currency and the next dates, for people, instead of events
    #[arg(long, conflicts_with = "against")]
    pub summary: bool,
    /// Shows what these agreements would change: they stand in place of --agreements, and of the
    /// agreements with the same ids among the messages
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// Exit code 1 when a message was refused
    #[arg(long)]
    pub strict: bool,
    /// The deployment that events name as their source
    #[arg(long, default_value = "holdback")]
    pub name: String,
    /// Days after which an order of which nothing is open is forgotten, to save memory
    #[arg(long, value_name = "N", default_value_t = crate::simulate::FORGET_AFTER_DAYS)]
    pub forget_after_days: u32,
}
