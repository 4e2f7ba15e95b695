//! The commands by which people act.

use std::sync::Arc;

use anyhow::{Context, anyhow, bail};

use super::reapply::Reapply;
use super::{Answer, By, Operator, OperatorError, Request};
use crate::cli::{
    ApproveArgs, BlockArgs, BlockBy, ByArgs, DecisionArg, ExtendArgs, PauseArgs, ReapplyArgs,
    ReleaseArgs, ReviewCommand, ReviewListArgs, UnblockArgs,
};
use crate::clock::Clock;
use crate::commands::say;
use crate::config::Config;
use crate::preflight;
use crate::rules::ids::{CreditId, HoldId, MerchantId, OrderId};
use crate::rules::money::Currency;
use crate::rules::order::BlockKind;
use crate::rules::pause::Scope;
use crate::rules::review::Decision;
use crate::rules::time::Instant;
use crate::store::Store;
use crate::store::cases::OrderKey;

pub(super) async fn open(config: &Config) -> anyhow::Result<Store> {
    let store = preflight::connect(config, Clock::Database).await?;
    preflight::check_schema(&store).await?;
    Ok(store)
}

pub(crate) async fn act(config: Config, request: &Request, by: &ByArgs) -> anyhow::Result<()> {
    let by = By::new(&by.actor, &by.reason)?;
    let operator = Operator::new(open(&config).await?, Arc::new(config));
    told(&operator.submit(request, &by).await?);
    Ok(())
}

/// Says what an act came to.
pub(crate) fn told(answer: &Answer) {
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
    let named = args.merchant.as_deref().zip(args.by.as_ref());
    let (named, by) = named.context("--merchant, --actor and --reason are missing")?;
    let merchant = merchant(named)?;
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
        (None, None) => return before_start(config, &merchant, by).await,
    };
    act(config, &request, by).await
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

/// Lets an agreement rule orders that came before it.
///
/// # Errors
/// See [`pause`].
pub async fn reapply(config: Config, args: ReapplyArgs) -> anyhow::Result<()> {
    let by = By::new(&args.by.actor, &args.by.reason)?;
    let operator = Operator::new(open(&config).await?, Arc::new(config));
    let it = Reapply {
        agreement: args.agreement,
        merchant: args.merchant,
        free_unpaid: args.free_unpaid,
        dry_run: args.dry_run,
    };
    let stays = |(merchant, order): &OrderKey, why: &str| {
        say(&format!(
            "stays: order {order} of merchant {merchant}: {why}"
        ));
    };
    let done = operator.reapply(&it, &by, stays).await?;
    let would = if it.dry_run { "would be " } else { "" };
    let told = format!(
        "{} orders {would}rewritten, {} stay",
        done.rewritten, done.stay
    );
    match done.operation {
        Some(operation) => say(&format!("{told} (operation {operation})")),
        None => say(&told),
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

/// Lists the open reviews, or decides one.
///
/// # Errors
/// See [`pause`].
pub async fn review(config: Config, what: &ReviewCommand) -> anyhow::Result<()> {
    let args = match what {
        ReviewCommand::List(args) => return reviews(&config, args).await,
        ReviewCommand::Decide(args) => args,
    };
    let request = Request::Decide {
        merchant: args.merchant.clone(),
        review: args.review.clone(),
        decision: match args.decision {
            DecisionArg::Passed => Decision::Passed,
            DecisionArg::Rejected => Decision::Rejected,
        },
    };
    act(config, &request, &args.by).await
}

async fn reviews(config: &Config, args: &ReviewListArgs) -> anyhow::Result<()> {
    let open = open(config)
        .await?
        .open_reviews(args.merchant.as_ref())
        .await?;
    if args.json {
        say(&serde_json::to_string_pretty(&open)?);
        return Ok(());
    }
    for review in &open {
        say(&review.to_string());
    }
    if open.is_empty() {
        say("no review is open");
    }
    Ok(())
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
