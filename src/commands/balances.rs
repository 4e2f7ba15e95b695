//! `holdback balances`: what stands on a merchant's accounts, out of the journal.

use super::{open_store, say, say_shadow};
use crate::cli::BalancesArgs;
use crate::config::Config;
use crate::rules::time::Instant;

pub(super) async fn run(config: &Config, args: &BalancesArgs) -> anyhow::Result<()> {
    let store = open_store(config).await?;
    // Whatever the journal holds is before this.
    let before = args.at.unwrap_or(Instant::MAX);
    let all = store.balances(&args.merchant, before).await?;
    if args.json {
        let mut currencies = Vec::with_capacity(all.len());
        for (currency, balances) in &all {
            let mut entry = serde_json::to_value(balances)?;
            entry["currency"] = serde_json::to_value(currency)?;
            entry["net"] = serde_json::to_value(balances.net()?)?;
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
            say(&format!("{name:<10} {balance:>24} {currency}"));
        }
        say(&format!("{:<10} {:>24} {currency}", "net", balances.net()?));
    }
    if all.is_empty() {
        say("No money has moved.");
    }
    say_shadow(store.release_mode().await?);
    Ok(())
}
