//! What people do by hand: each names who does it and why.

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use jiff::civil::Date;

/// Who does it and why, kept with what they do.
#[derive(Debug, Clone, Args)]
pub struct ByArgs {
    /// Who does this
    #[arg(long, value_name = "NAME")]
    pub actor: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// Without `--import` and `--accept` it only shows the difference.
#[derive(Debug, Args)]
pub struct ReconcileArgs {
    /// Takes over what the topics hold and the database has lost
    #[arg(long, requires_all = ["actor", "reason"], conflicts_with = "accept")]
    pub import: bool,
    /// Takes for settled what was taken over and neither decided again nor as it was published
    #[arg(long, requires_all = ["actor", "reason"])]
    pub accept: bool,
    /// Who does this
    #[arg(long, value_name = "NAME")]
    pub actor: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

#[derive(Debug, Args)]
pub struct PauseArgs {
    /// Only this currency's releases
    #[arg(long, value_name = "CODE", conflicts_with = "merchant")]
    pub currency: Option<String>,
    /// Only this merchant's releases
    #[arg(long, value_name = "ID")]
    pub merchant: Option<String>,
    #[command(flatten)]
    pub by: ByArgs,
}

#[derive(Debug, Args)]
pub struct BlockArgs {
    /// The merchant whose order it is
    #[arg(long, value_name = "ID")]
    pub merchant: String,
    /// The order; it may be still to come
    #[arg(long, value_name = "ID")]
    pub order: String,
    /// Only this hold of the order
    #[arg(long, value_name = "UUID")]
    pub hold: Option<uuid::Uuid>,
    /// Only this much, in the order's currency; without it all that is left
    #[arg(long, value_name = "AMOUNT")]
    pub amount: Option<String>,
    /// What stands in the way; the limit of a term lifts a manual block and never a legal one
    #[arg(long, value_enum)]
    pub kind: BlockBy,
    #[command(flatten)]
    pub by: ByArgs,
}

/// Kinds of blocks that people put up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BlockBy {
    Manual,
    Legal,
}

#[derive(Debug, Args)]
pub struct UnblockArgs {
    /// The merchant whose order it is
    #[arg(long, value_name = "ID")]
    pub merchant: String,
    /// The order
    #[arg(long, value_name = "ID")]
    pub order: String,
    /// The block, as `explain` names it
    #[arg(long, value_name = "TEXT")]
    pub reference: String,
    #[command(flatten)]
    pub by: ByArgs,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["hold", "credit", "before_start", "dry_run"]))]
pub struct ReleaseArgs {
    /// The merchant whose hold it is
    #[arg(long, value_name = "ID")]
    pub merchant: Option<String>,
    /// The hold
    #[arg(long, value_name = "UUID", requires_all = ["merchant", "actor", "reason"])]
    pub hold: Option<uuid::Uuid>,
    /// Instead of a hold, a credit that waits
    #[arg(long, value_name = "UUID", requires_all = ["merchant", "actor", "reason"], conflicts_with = "amount")]
    pub credit: Option<uuid::Uuid>,
    /// Every hold and credit of the merchant that was due before `release.not_before`, one after the
    /// other
    #[arg(long, requires_all = ["merchant", "actor", "reason"], conflicts_with = "amount")]
    pub before_start: bool,
    /// Only says what a settlement date would release and what would stay and why, of one merchant or
    /// of all
    #[arg(long, requires = "on", conflicts_with_all = ["amount", "actor", "reason"])]
    pub dry_run: bool,
    /// That local settlement date
    #[arg(long, value_name = "DATE", requires = "dry_run")]
    pub on: Option<Date>,
    /// That as JSON
    #[arg(long, requires = "dry_run")]
    pub json: bool,
    /// Only this much, in the hold's currency; without it all that is not blocked
    #[arg(long, value_name = "AMOUNT")]
    pub amount: Option<String>,
    #[command(flatten)]
    pub by: Option<ByArgs>,
}

/// What merchants owe.
#[derive(Debug, Subcommand)]
pub enum ReceivableCommand {
    /// Lists what is owed, the oldest first; at most 1,000
    List(OwedArgs),
    /// Asks for a write-off: the platform bears it once another person approves
    WriteOff(WriteOffArgs),
}

#[derive(Debug, Args)]
pub struct OwedArgs {
    /// One merchant's only
    #[arg(long, value_name = "ID")]
    pub merchant: Option<String>,
    /// JSON instead of lines
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct WriteOffArgs {
    /// The merchant who owes
    #[arg(long, value_name = "ID")]
    pub merchant: String,
    /// The receivable, as `list` names it
    #[arg(long, value_name = "UUID")]
    pub receivable: uuid::Uuid,
    /// Only this much; without it all that is left
    #[arg(long, value_name = "AMOUNT")]
    pub amount: Option<String>,
    #[command(flatten)]
    pub by: ByArgs,
}

/// Payouts that have failed.
#[derive(Debug, Subcommand)]
pub enum PayoutCommand {
    /// Lists releases whose payout has failed, the longest waiting first; at most 1,000
    List(FailedArgs),
    /// Issues such a release again, under the next attempt and with the same amount
    Reissue(ReissueArgs),
}

#[derive(Debug, Args)]
pub struct FailedArgs {
    /// One merchant's only
    #[arg(long, value_name = "ID")]
    pub merchant: Option<String>,
    /// JSON instead of lines
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ReissueArgs {
    /// The merchant whose release it is
    #[arg(long, value_name = "ID")]
    pub merchant: String,
    /// The release, as `list` names it
    #[arg(long, value_name = "UUID")]
    pub release: uuid::Uuid,
    #[command(flatten)]
    pub by: ByArgs,
}

#[derive(Debug, Args)]
pub struct ExtendArgs {
    /// The merchant whose hold it is
    #[arg(long, value_name = "ID")]
    pub merchant: String,
    /// The hold
    #[arg(long, value_name = "UUID")]
    pub hold: uuid::Uuid,
    /// Nothing goes before this: 2026-12-24T00:00:00+08:00
    #[arg(long, value_name = "INSTANT")]
    pub until: String,
    #[command(flatten)]
    pub by: ByArgs,
}

#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// The operation, as `proposals` names it
    #[arg(value_name = "ID")]
    pub operation: uuid::Uuid,
    /// Who approves; another person than the one who asked
    #[arg(long, value_name = "NAME")]
    pub actor: String,
}
