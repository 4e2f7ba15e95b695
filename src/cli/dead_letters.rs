//! What can be typed about dead letters.

use clap::{Args, Subcommand};

use super::{ByArgs, instant};
use crate::rules::time::Instant;
use crate::store::replays::{Place, Wanted};

/// `holdback dead-letters …`
#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// Lists messages that were refused and not yet replayed with success, the oldest first
    List {
        #[command(flatten)]
        which: WhichArgs,
        /// Also those that a replay has brought in
        #[arg(long)]
        all: bool,
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Shows one: why it was refused, its headers, its value
    Show {
        /// Where the message lay: topic/partition/offset
        #[arg(value_name = "PLACE")]
        place: Place,
        /// The bytes of its value and nothing else
        #[arg(long)]
        raw: bool,
    },
    /// Puts messages through the way of a fresh one again, once what was wrong is mended
    Replay(ReplayArgs),
}

#[derive(Debug, Args)]
pub struct WhichArgs {
    /// Only those refused for this reason: malformed, schema, money, conflict, …
    #[arg(long, value_name = "WORD")]
    pub refused_for: Option<String>,
    /// Only those of this topic
    #[arg(long, value_name = "NAME")]
    pub topic: Option<String>,
    /// Only those about an order of this merchant
    #[arg(long, value_name = "ID")]
    pub merchant: Option<String>,
    /// Only those about this order
    #[arg(long, value_name = "ID")]
    pub order: Option<String>,
    /// Only those refused from then on: RFC 3339, or a date (its 00:00 UTC)
    #[arg(long, value_name = "T", value_parser = instant)]
    pub since: Option<Instant>,
    /// Only those refused before then
    #[arg(long, value_name = "T", value_parser = instant)]
    pub until: Option<Instant>,
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: u32,
}

impl WhichArgs {
    /// As the store takes it.
    #[must_use]
    pub fn wanted(self) -> Wanted {
        Wanted {
            place: None,
            reason: self.refused_for,
            topic: self.topic,
            merchant: self.merchant,
            order: self.order,
            since: self.since,
            until: self.until,
            accepted_too: false,
        }
    }
}

#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Where the messages lay: topic/partition/offset; without it all that the filters let through
    #[arg(value_name = "PLACE", conflicts_with_all = ["refused_for", "topic", "merchant", "order", "since", "until"])]
    pub places: Vec<Place>,
    #[command(flatten)]
    pub which: WhichArgs,
    /// Says what would happen, each by itself, and changes nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub by: ByArgs,
}
