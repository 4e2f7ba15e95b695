//! `holdback release --dry-run --on DATE`: what that settlement date would release, and what would
//! stay and why. Writes nothing.

use jiff::civil::Date;

use super::{open_store, say, say_shadow};
use crate::cli::ReleaseArgs;
use crate::config::Config;
use crate::release::passage;
use crate::release::rehearsal::{Circumstances, Rehearsal, Row};
use crate::rules::ids::MerchantId;
use crate::store::agreements::Catalogue;

pub(super) async fn run(config: &Config, args: &ReleaseArgs, on: Date) -> anyhow::Result<()> {
    let store = open_store(config).await?;
    let merchant = args
        .merchant
        .as_deref()
        .map(MerchantId::parse)
        .transpose()?;
    let now = store.now().await?;
    let deployment = store.deployment().await?;
    let topics = config.topics.inputs().map(str::to_owned);
    let passage = passage(now, store.gate(&topics).await?, &config.release);
    let pauses = store.pauses().await?;
    let circumstances = Circumstances {
        now,
        not_before: deployment.map_or(now, |deployment| deployment.release_not_before),
        calendars: store.calendars().await?,
        pauses: pauses.clone(),
        begun: store.begun_settlements(on).await?,
    };
    let mut rehearsal = Rehearsal::new(on, circumstances);
    let mut catalogue = Catalogue::default();
    let mut page = store
        .dated(on, merchant.as_ref(), None, &mut catalogue)
        .await?;
    while let Some(last) = page.last() {
        let after = (last.merchant.clone(), last.order.clone(), last.hold.term_no);
        for claim in page {
            rehearsal.add(claim)?;
        }
        page = store
            .dated(on, merchant.as_ref(), Some(after), &mut catalogue)
            .await?;
    }
    let rows = rehearsal.finish()?;
    let mode = store.release_mode().await?;
    let behind = passage.gate.behind.filter(|_| passage.until.is_none());
    if args.json {
        let answer = serde_json::json!({
            "settlement_date": on, "at": now, "releases": mode.to_string(),
            "gate_behind": behind,
            "pauses": pauses.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "settlements": rows,
        });
        say(&serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    say(&format!(
        "What settlement date {on} would release if nothing changes, as of {now}; nothing is written:"
    ));
    rows.iter().for_each(tell);
    if rows.is_empty() {
        say("Nothing is due on that date.");
    }
    for pause in pauses.iter() {
        say(&pause.to_string());
    }
    if let Some(behind) = behind {
        say(&format!(
            "The freshness gate is closed now: {behind} holds it back."
        ));
    }
    say_shadow(mode);
    Ok(())
}

fn tell(row: &Row) {
    let currency = row.currency;
    say(&format!(
        "{}  {} {currency} gross, {} holds",
        row.merchant_id, row.gross, row.holds
    ));
    for (why, amount) in row.stays().iter().filter(|(_, amount)| !amount.is_zero()) {
        say(&format!("  stays: {amount} {currency} {why}"));
    }
    if !row.earlier.is_zero() {
        say(&format!(
            "  of earlier dates and still here: {} {currency}",
            row.earlier
        ));
    }
}
