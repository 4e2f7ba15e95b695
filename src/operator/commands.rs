//! The commands by which people act.

use std::sync::Arc;

use anyhow::{Context, anyhow, bail};

use super::{Answer, By, Operator, OperatorError, Request};
use crate::cli::{
    ApproveArgs, BlockArgs, BlockBy, ByArgs, ExtendArgs, PauseArgs, ReleaseArgs, UnblockArgs,
};
use crate::clock::Clock;
use crate::commands::say;
use crate::config::Config;
use crate::preflight;
use crate::rules::ids::{CreditId, HoldId, MerchantId, OrderId};
use crate::rules::money::Currency;
use crate::rules::order::BlockKind;
use crate::rules::pause::Scope;
use crate::rules::time::Instant;
use crate::store::Store;

pub(super) async fn open(config: &Config) -> anyhow::Result<Store> {
    let store = preflight::connect(config, Clock::Database).await?;
    preflight::check_schema(&store).await?;
    Ok(store)
}

pub(super) async fn act(config: Config, request: &Request, by: &ByArgs) -> anyhow::Result<()> {
    let by = By::new(&by.actor, &by.reason)?;
    let operator = Operator::new(open(&config).await?, Arc::new(config));
    told(&operator.submit(request, &by).await?);
    Ok(())
}

fn told(answer: &Answer) {
    say(&format!("{} (operation {})", answer.says, answer.operation));
}

pub(super) fn merchant(text: &str) -> anyhow::Result<MerchantId> {
    MerchantId::parse(text).context("--merchant")
}

fn order(text: &str) -> anyhow::Result<OrderId> {
    OrderId::parse(text).context("--order")
}

fn scope(args: &PauseArgs) -> anyhow::Result<Scope> {
    match (&args.merchant, &args.currency) {
        (Some(id), _) => Ok(Scope::Merchant(merchant(id)?)),
        (None, Some(code)) => {
            let currency = Currency::from_code(code);
            let currency = currency.with_context(|| format!("--currency: {code} is none"))?;
            Ok(Scope::Currency(currency))
        }
        (None, None) => Ok(Scope::All),
    }
}

/// Pauses releases.
///
/// # Errors
/// When it can't be done as things stand, or the database fails; so for all commands here.
pub async fn pause(config: Config, args: &PauseArgs) -> anyhow::Result<()> {
    let scope = scope(args)?;
    act(config, &Request::Pause { scope }, &args.by).await
}

/// Ends the pause of the same scope.
///
/// # Errors
/// See [`pause`].
pub async fn resume(config: Config, args: &PauseArgs) -> anyhow::Result<()> {
    let scope = scope(args)?;
    act(config, &Request::Resume { scope }, &args.by).await
}

/// Lists the pauses in force.
///
/// # Errors
/// See [`pause`].
pub async fn pauses(config: &Config) -> anyhow::Result<()> {
    let pauses = open(config).await?.pauses().await?;
    for pause in pauses.iter() {
        say(&pause.to_string());
    }
    if pauses.iter().next().is_none() {
        say("nothing is paused");
    }
    Ok(())
}

/// Blocks an order's money.
///
/// # Errors
/// See [`pause`].
pub async fn block(config: Config, args: &BlockArgs) -> anyhow::Result<()> {
    let request = Request::Block {
        merchant: merchant(&args.merchant)?,
        order: order(&args.order)?,
        hold: args.hold.map(HoldId),
        amount: args.amount.clone(),
        block: match args.kind {
            BlockBy::Manual => BlockKind::Manual,
            BlockBy::Legal => BlockKind::Legal,
        },
    };
    act(config, &request, &args.by).await
}

/// Clears a block.
///
/// # Errors
/// See [`pause`].
pub async fn unblock(config: Config, args: &UnblockArgs) -> anyhow::Result<()> {
    let request = Request::Unblock {
        merchant: merchant(&args.merchant)?,
        order: order(&args.order)?,
        reference: args.reference.clone(),
    };
    act(config, &request, &args.by).await
}

/// Lets a hold's or credit's money go now, or all of it that was due before going live. Of several, one
/// that can't go keeps none of the others.
///
/// # Errors
/// See [`pause`].
pub async fn release(config: Config, args: &ReleaseArgs) -> anyhow::Result<()> {
    let merchant = merchant(&args.merchant)?;
    let request = match (args.hold, args.credit) {
        (Some(hold), _) => Request::Release {
            merchant,
            hold: HoldId(hold),
            amount: args.amount.clone(),
        },
        (None, Some(credit)) => Request::ReleaseCredit {
            merchant,
            credit: CreditId(credit),
        },
        (None, None) => return before_start(config, &merchant, &args.by).await,
    };
    act(config, &request, &args.by).await
}

async fn before_start(config: Config, merchant: &MerchantId, by: &ByArgs) -> anyhow::Result<()> {
    let by = By::new(&by.actor, &by.reason)?;
    let operator = Operator::new(open(&config).await?, Arc::new(config));
    let requests = operator.before_start(merchant).await?;
    let mut stay = 0_u32;
    for request in &requests {
        match operator.submit(request, &by).await {
            Ok(answer) => told(&answer),
            Err(OperatorError::Refused(why)) => {
                stay += 1;
                say(&format!("stays: {why}"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    say(&format!(
        "{} holds and credits were due before the start, {stay} of them stay",
        requests.len()
    ));
    if stay > 0 {
        bail!("not all of them could go");
    }
    Ok(())
}

/// Puts a hold's dates off.
///
/// # Errors
/// See [`pause`].
pub async fn extend(config: Config, args: &ExtendArgs) -> anyhow::Result<()> {
    let until = args.until.parse().map_err(|error| anyhow!("{error}"));
    let request = Request::Extend {
        merchant: merchant(&args.merchant)?,
        hold: HoldId(args.hold),
        until: Instant::new(until.context("--until is no instant with its offset")?),
    };
    act(config, &request, &args.by).await
}

/// Carries out what another person has asked for.
///
/// # Errors
/// See [`pause`].
pub async fn approve(config: Config, args: &ApproveArgs) -> anyhow::Result<()> {
    let operator = Operator::new(open(&config).await?, Arc::new(config));
    told(&operator.approve(args.operation, &args.actor).await?);
    Ok(())
}

/// Lists what waits for a second person.
///
/// # Errors
/// See [`pause`].
pub async fn proposals(config: &Config) -> anyhow::Result<()> {
    let proposals = open(config).await?.proposals().await?;
    if proposals.is_empty() {
        say("nothing waits for a second person");
    }
    for it in proposals {
        say(&it.to_string());
    }
    Ok(())
}
