//! The commands by which people act.

use anyhow::Context;

use super::{By, Operator, Request};
use crate::cli::{ByArgs, PauseArgs};
use crate::clock::Clock;
use crate::commands::say;
use crate::config::Config;
use crate::preflight;
use crate::rules::ids::MerchantId;
use crate::rules::money::Currency;
use crate::rules::pause::Scope;
use crate::store::Store;

async fn open(config: &Config) -> anyhow::Result<Store> {
    let store = preflight::connect(config, Clock::Database).await?;
    preflight::check_schema(&store).await?;
    Ok(store)
}

async fn act(config: &Config, request: &Request, by: &ByArgs) -> anyhow::Result<()> {
    let by = By::new(&by.actor, &by.reason)?;
    let operator = Operator::new(open(config).await?);
    let answer = operator.submit(request, &by).await?;
    say(&format!("{} (operation {})", answer.says, answer.operation));
    Ok(())
}

fn merchant(text: &str) -> anyhow::Result<MerchantId> {
    MerchantId::parse(text).context("--merchant")
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
pub async fn pause(config: &Config, args: &PauseArgs) -> anyhow::Result<()> {
    let scope = scope(args)?;
    act(config, &Request::Pause { scope }, &args.by).await
}

/// Ends the pause of the same scope.
///
/// # Errors
/// See [`pause`].
pub async fn resume(config: &Config, args: &PauseArgs) -> anyhow::Result<()> {
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
