//! `holdback parked`: messages that wait, for people.

use std::sync::Arc;

use anyhow::bail;
use jiff::SignedDuration;

use super::dead_letters::printable;
use super::{open_store, say};
use crate::cli::{ParkedChargeArgs, ParkedCommand, ParkedDropArgs, ParkedListArgs};
use crate::config::Config;
use crate::operator::commands::{act, told};
use crate::operator::{By, Operator, OperatorError, Request};
use crate::rules::time::Instant;
use crate::store::waiting::Waiting;

pub(super) async fn run(config: Config, command: ParkedCommand) -> anyhow::Result<()> {
    match command {
        ParkedCommand::List(args) => list(&config, args).await,
        ParkedCommand::Drop(args) => drop(config, args).await,
        ParkedCommand::Charge(args) => charge(config, args).await,
    }
}

async fn list(config: &Config, args: ParkedListArgs) -> anyhow::Result<()> {
    let store = open_store(config).await?;
    let (json, limit) = (args.json, args.limit);
    let patience = SignedDuration::from_hours(i64::from(config.parked.alarm_hours));
    let late = Instant::new(store.now().await?.timestamp() - patience);
    let waiting = store.waiting(&args.wanted(late), limit).await?;
    for it in &waiting {
        say(&if json {
            serde_json::to_string(it)?
        } else {
            line(it, late)
        });
    }
    if !json && waiting.is_empty() {
        say("nothing waits");
    } else if !json && waiting.len() >= usize::try_from(limit)? {
        say(&format!("there may be more: these are the oldest {limit}"));
    }
    Ok(())
}

/// One message in one line.
fn line(it: &Waiting, late: Instant) -> String {
    let Waiting {
        place,
        merchant_id,
        waits_for,
        size,
        parked_at,
        ..
    } = it;
    let order = it.order_id.as_ref();
    let order = order.map_or_else(String::new, |order| format!(" about order {order}"));
    let long = if *parked_at < late {
        ", for too long"
    } else {
        ""
    };
    printable(&format!(
        "{place}  {}{order} of merchant {merchant_id}, {size} bytes, waits for its {waits_for} since {parked_at}{long}",
        it.key()
    ))
}

async fn drop(config: Config, args: ParkedDropArgs) -> anyhow::Result<()> {
    let by = By::new(&args.by.actor, &args.by.reason)?;
    let operator = Operator::new(open_store(&config).await?, Arc::new(config));
    let mut stay = 0_u32;
    for place in args.places {
        let request = Request::DropParked { place };
        match operator.submit(&request, &by).await {
            Ok(answer) => told(&answer),
            Err(OperatorError::Refused(why)) => {
                stay += 1;
                say(&why);
            }
            Err(error) => return Err(error.into()),
        }
    }
    if stay > 0 {
        bail!("not all of them could be dropped");
    }
    Ok(())
}

async fn charge(config: Config, args: ParkedChargeArgs) -> anyhow::Result<()> {
    let request = Request::ChargeParked {
        place: args.place,
        amount: args.amount,
        currency: args.currency,
    };
    act(config, &request, &args.by).await
}
