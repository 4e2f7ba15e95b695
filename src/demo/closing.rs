//! The demo's last words: waits until nothing is left to do, adds everything up, and lets the audit
//! prove it.

use std::time::{Duration, Instant as Moment};

use anyhow::bail;
use tokio::task::JoinHandle;

use super::figures::{exact, grouped};
use super::say;
use crate::config::Topics;
use crate::store::Store;
use crate::store::overview::Book;

/// How long settling may take.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(250);

/// Waits until the service, whose clock stands still now, has read, released and published all.
///
/// # Errors
/// When the database fails. Being late is none: what is left is counted in the report.
pub async fn settle(
    store: &Store,
    topics: &Topics,
    running: &JoinHandle<anyhow::Result<()>>,
) -> anyhow::Result<()> {
    say("The clock stands; reading, releasing and publishing what is left …");
    let inputs = topics.inputs().map(str::to_owned);
    let until = Moment::now() + PATIENCE;
    let mut before = None;
    while Moment::now() < until && !running.is_finished() {
        let now = store.now().await?;
        let fresh = store.gate(&inputs).await?.moment >= Some(now);
        let seen = (store.backlog().await?, store.overview(now).await?);
        // Twice the same with nothing to publish: the loops have found nothing more to do.
        if fresh && seen.0 == 0 && before.as_ref() == Some(&seen) {
            return Ok(());
        }
        before = Some(seen);
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Says what it came to, and whether the books are right.
///
/// # Errors
/// When they are not, or something was not published.
pub async fn report(store: &Store) -> anyhow::Result<()> {
    let overview = store.overview(store.now().await?).await?;
    say("");
    say(&row([
        "", "held", "blocked", "released", "paid", "refunded", "owed",
    ]));
    for book in &overview.books {
        say(&sums(book));
    }
    let counts = &overview.counts;
    say("");
    for (count, what) in [
        (counts.orders, "orders"),
        (counts.refunds, "refunds"),
        (counts.disputes, "disputes"),
        (counts.open_disputes, "disputes still open"),
        (counts.releases, "releases"),
        (counts.failed_payouts, "releases whose payout failed"),
        (counts.dead_letters, "dead letters"),
        (counts.parked, "messages waiting for their order"),
        (counts.without_agreement, "orders waiting for an agreement"),
    ] {
        say(&format!("{what:<34}{:>10}", grouped(&count.to_string())));
    }
    say("");
    audit(store).await
}

async fn audit(store: &Store) -> anyhow::Result<()> {
    let audit = store.audit().await?;
    let backlog = store.backlog().await?;
    for difference in &audit.differences {
        say(&serde_json::to_string(difference)?);
    }
    let verdict = if audit.differences.is_empty() {
        "clean: the journal and the holds agree"
    } else {
        "NOT clean"
    };
    say(&format!(
        "audit {verdict} ({} holds of {} merchants, {} journal lines, {} not published)",
        grouped(&audit.holds.to_string()),
        audit.merchants,
        grouped(&audit.journal_lines.to_string()),
        backlog,
    ));
    if !audit.differences.is_empty() {
        bail!("the audit found {} differences", audit.differences.len());
    }
    if backlog > 0 {
        bail!(
            "{backlog} events were not published within {} s",
            PATIENCE.as_secs()
        );
    }
    Ok(())
}

fn sums(book: &Book) -> String {
    let [held, blocked, released, paid, refunded, owed] = [
        book.held,
        book.blocked,
        book.released,
        book.paid,
        book.refunded,
        book.owed,
    ]
    .map(exact);
    row([
        book.currency.code(),
        &held,
        &blocked,
        &released,
        &paid,
        &refunded,
        &owed,
    ])
}

fn row([currency, held, blocked, released, paid, refunded, owed]: [&str; 7]) -> String {
    format!(
        "{currency:<3} {held:>12} {blocked:>10} {released:>13} {paid:>13} {refunded:>12} {owed:>10}"
    )
}
