//! What can be typed about messages that wait.

use clap::{Args, Subcommand};

use super::{ByArgs, instant};
use crate::rules::fact::FactKind;
use crate::rules::money::Currency;
use crate::rules::time::Instant;
use crate::store::replays::Place;
use crate::store::waiting::Wanted;

/// `holdback parked …`
#[derive(Debug, Subcommand)]
pub enum ParkedCommand {
    /// Lists messages that wait for their order, agreement, dispute, review or refund, the oldest first
    List(ParkedListArgs),
    /// Makes dead letters of messages that wait for what never comes
    Drop(ParkedDropArgs),
    /// Charges a refund or lost chargeback whose order never comes to its merchant
    Charge(ParkedChargeArgs),
}

#[derive(Debug, Args)]
pub struct ParkedListArgs {
    /// Only those of this merchant
    #[arg(long, value_name = "ID")]
    pub merchant: Option<String>,
    /// Only those about this order
    #[arg(long, value_name = "ID")]
    pub order: Option<String>,
    /// Only those of this kind: refund, dispute.opened, order.cancelled, …
    #[arg(long, value_name = "KIND", value_parser = kind)]
    pub kind: Option<FactKind>,
    /// Only those kept from then on: RFC 3339, or a date (its 00:00 UTC)
    #[arg(long, value_name = "T", value_parser = instant)]
    pub since: Option<Instant>,
    /// Only those kept before then
    #[arg(long, value_name = "T", value_parser = instant)]
    pub until: Option<Instant>,
    /// Only those that wait for longer than `parked.alarm_hours`
    #[arg(long, conflicts_with = "until")]
    pub late: bool,
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: u32,
    /// One JSON object per line
    #[arg(long)]
    pub json: bool,
}

impl ParkedListArgs {
    /// As the store takes it; `late` is from when on a message is not late.
    #[must_use]
    pub fn wanted(self, late: Instant) -> Wanted {
        Wanted {
            place: None,
            merchant: self.merchant,
            order: self.order,
            kind: self.kind,
            since: self.since,
            until: if self.late { Some(late) } else { self.until },
        }
    }
}

fn kind(text: &str) -> Result<FactKind, String> {
    let mut kinds = FactKind::ALL.into_iter();
    kinds.find(|kind| kind.name() == text).ok_or_else(|| {
        let names = FactKind::ALL.map(FactKind::name);
        format!("one of {}", names.join(", "))
    })
}

#[derive(Debug, Args)]
pub struct ParkedDropArgs {
    /// Where the messages lay: topic/partition/offset, as `list` names it
    #[arg(value_name = "PLACE", required = true)]
    pub places: Vec<Place>,
    #[command(flatten)]
    pub by: ByArgs,
}

#[derive(Debug, Args)]
pub struct ParkedChargeArgs {
    /// Where the message lay: topic/partition/offset, as `list` names it; of a lost chargeback its closing
    #[arg(value_name = "PLACE")]
    pub place: Place,
    /// How much a chargeback about the whole order comes to
    #[arg(long, value_name = "AMOUNT", requires = "currency")]
    pub amount: Option<String>,
    /// The currency of a chargeback, whose messages name none
    #[arg(long, value_name = "CODE", value_parser = currency)]
    pub currency: Option<Currency>,
    #[command(flatten)]
    pub by: ByArgs,
}

fn currency(code: &str) -> Result<Currency, String> {
    Currency::from_code(code).ok_or_else(|| format!("{code} is no currency"))
}
