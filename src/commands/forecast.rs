//! `holdback forecast`: what a merchant's holds will release on which date if nothing changes.

use super::{open_store, say, say_shadow};
use crate::cli::ForecastArgs;
use crate::config::Config;
use crate::rules::forecast::{Forecast, Forecaster};
use crate::store::agreements::Catalogue;

pub(super) async fn run(config: &Config, args: &ForecastArgs) -> anyhow::Result<()> {
    let store = open_store(config).await?;
    let now = store.now().await?;
    let deployment = store.deployment().await?;
    let not_before = deployment.map_or(now, |deployment| deployment.release_not_before);
    let mut forecaster = Forecaster::new(args.merchant.clone(), now, not_before, args.days);
    let mut catalogue = Catalogue::default();
    let mut page = store
        .unreleased(&args.merchant, None, &mut catalogue)
        .await?;
    while let Some(last) = page.last() {
        for claim in &page {
            forecaster.add(claim)?;
        }
        let after = Some((&last.order, last.hold.term_no));
        page = store
            .unreleased(&args.merchant, after, &mut catalogue)
            .await?;
    }
    for credit in store.credits(&args.merchant).await? {
        forecaster.add_credit(&credit)?;
    }
    let forecast = forecaster.finish();
    if args.json {
        say(&serde_json::to_string_pretty(&forecast)?);
    } else {
        tell(&forecast);
        say_shadow(store.release_mode().await?);
    }
    Ok(())
}

fn tell(forecast: &Forecast) {
    let (merchant, at) = (&forecast.merchant_id, forecast.at);
    say(&format!(
        "What will be released to merchant {merchant} if nothing changes, as of {at}:"
    ));
    for it in &forecast.currencies {
        let currency = it.currency;
        say(&format!("{:<24} {:>24} {currency}", "held", it.held));
        for day in &it.days {
            let holds = day.holds;
            say(&format!(
                "  {:<22} {:>24} {currency}  {holds} holds",
                day.settlement_date, day.amount
            ));
        }
        let rest = [
            (format!("after {}", forecast.until), it.later),
            ("blocked".to_owned(), it.blocked),
            ("clock not started".to_owned(), it.pending),
            ("calendar unknown".to_owned(), it.undated),
            ("due before going live".to_owned(), it.before_start),
            ("credits".to_owned(), it.credits),
        ];
        for (name, amount) in rest.iter().filter(|(_, amount)| !amount.is_zero()) {
            say(&format!("  {name:<22} {amount:>24} {currency}"));
        }
    }
    if forecast.currencies.is_empty() {
        say("Nothing is held.");
    }
}
