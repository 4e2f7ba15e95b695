//! `holdback balances`: what stands on a merchant's accounts, out of the journal, and what of the
//! deposit they may have back.

use rust_decimal::Decimal;

use super::{open_store, say, say_shadow};
use crate::cli::BalancesArgs;
use crate::config::Config;
use crate::rules::agreement::in_force;
use crate::rules::balance::{Balance, Balances};
use crate::rules::money::{Amount, Currency};
use crate::rules::time::Instant;

pub(super) async fn run(config: &Config, args: &BalancesArgs) -> anyhow::Result<()> {
    let store = open_store(config).await?;
    // Whatever the journal holds is before this.
    let before = args.at.unwrap_or(Instant::MAX);
    let all = store.balances(&args.merchant, before).await?;
    let at = match args.at {
        Some(at) => at,
        None => store.now().await?,
    };
    let agreements = store.agreements_for(&args.merchant).await?;
    let withdrawable = |balances: &Balances, currency: Currency| {
        let required = in_force(&agreements, &args.merchant, currency, at);
        let required = required.map_or(Decimal::ZERO, |it| it.deposit.required);
        match Amount::from_plain(required, currency) {
            Ok(required) => balances.withdrawable(Balance::of(required)),
            // More than there can be of this currency.
            Err(_) => Ok(Balance::zero(currency)),
        }
    };
    if args.json {
        let mut currencies = Vec::with_capacity(all.len());
        for (currency, balances) in &all {
            let mut entry = serde_json::to_value(balances)?;
            entry["currency"] = serde_json::to_value(currency)?;
            entry["net"] = serde_json::to_value(balances.net()?)?;
            entry["withdrawable"] = serde_json::to_value(withdrawable(balances, *currency)?)?;
            currencies.push(entry);
        }
        let answer = serde_json::json!({
            "merchant_id": args.merchant, "at": args.at, "currencies": currencies,
        });
        say(&serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    for (currency, balances) in &all {
        for (name, balance) in balances.columns() {
            say(&format!("{name:<12} {balance:>24} {currency}"));
        }
        let free = withdrawable(balances, *currency)?;
        for (name, sum) in [("net", balances.net()?), ("withdrawable", free)] {
            say(&format!("{name:<12} {sum:>24} {currency}"));
        }
    }
    if all.is_empty() {
        say("No money has moved.");
    }
    say_shadow(store.release_mode().await?);
    Ok(())
}
