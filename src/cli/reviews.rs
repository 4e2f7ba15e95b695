//! What can be done with reviews.

use clap::{Args, Subcommand, ValueEnum};

use super::by_hand::ByArgs;
use crate::rules::ids::{MerchantId, ReviewId};

#[derive(Debug, Subcommand)]
pub enum ReviewCommand {
    /// Lists the open reviews, the ones on which somebody is late first
    List(ReviewListArgs),
    /// Ends a review, or clears what a rejected one keeps by passing it after all
    Decide(ReviewDecideArgs),
}

#[derive(Debug, Args)]
pub struct ReviewListArgs {
    /// One merchant's only
    #[arg(long, value_name = "ID", value_parser = MerchantId::parse)]
    pub merchant: Option<MerchantId>,
    /// JSON instead of lines
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ReviewDecideArgs {
    /// The merchant whose order is reviewed
    #[arg(long, value_name = "ID", value_parser = MerchantId::parse)]
    pub merchant: MerchantId,
    /// The review, as `review list` and `explain` name it
    #[arg(long, value_name = "ID", value_parser = ReviewId::parse)]
    pub review: ReviewId,
    /// Passed clears its block; rejected keeps it until a refund takes the money
    #[arg(long, value_enum)]
    pub decision: DecisionArg,
    #[command(flatten)]
    pub by: ByArgs,
}

/// How a review ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DecisionArg {
    Passed,
    Rejected,
}
