//! `holdback dead-letters`: messages that were refused, for people.

use std::io::Write as _;
use std::sync::Arc;

use anyhow::bail;

use super::{open_store, say};
use crate::cli::{DeadLettersCommand, ReplayArgs};
use crate::config::Config;
use crate::message::Record;
use crate::operator::{By, Operator, OperatorError};
use crate::store::Store;
use crate::store::replays::{Ended, Listed, Place, Wanted};
use crate::telemetry::Outcome;

/// What two topics of one name may have left at one place, and more.
const AT_ONE_PLACE: u32 = 100;

pub(super) async fn run(config: Config, command: DeadLettersCommand) -> anyhow::Result<()> {
    match command {
        DeadLettersCommand::List { which, all, json } => {
            let limit = which.limit;
            let wanted = Wanted {
                accepted_too: all,
                ..which.wanted()
            };
            list(&open_store(&config).await?, &wanted, limit, json).await
        }
        DeadLettersCommand::Show { place, raw } => {
            show(&open_store(&config).await?, place, raw).await
        }
        DeadLettersCommand::Replay(args) => replay(config, args).await,
    }
}

async fn list(store: &Store, wanted: &Wanted, limit: u32, json: bool) -> anyhow::Result<()> {
    let letters = store.dead_letters(wanted, limit).await?;
    for letter in &letters {
        say(&if json {
            serde_json::to_string(letter)?
        } else {
            line(letter)
        });
    }
    if !json && letters.is_empty() {
        say("no dead letters");
    } else if !json && letters.len() >= usize::try_from(limit)? {
        say(&format!("there may be more: these are the oldest {limit}"));
    }
    Ok(())
}

/// One dead letter in one line.
fn line(letter: &Listed) -> String {
    let about = match (&letter.merchant_id, &letter.order_id) {
        (Some(merchant), Some(order)) => format!(" about order {order} of merchant {merchant}"),
        _ => String::new(),
    };
    let state = match (letter.accepted_at, letter.replays) {
        (Some(at), _) => format!(", accepted at {at}"),
        (None, 0) => String::new(),
        (None, n) => format!(", replays: {n}"),
    };
    let Listed {
        reason,
        refused_at,
        size,
        ..
    } = letter;
    let place = letter.place();
    let detail: String = letter.detail.chars().take(120).collect();
    let text =
        format!("{place}  {reason}{about}, {size} bytes, refused at {refused_at}{state}: {detail}");
    printable(&text)
}

async fn show(store: &Store, place: Place, raw: bool) -> anyhow::Result<()> {
    let letters = at(store, &place).await?;
    for letter in &letters {
        let mut tx = store.begin().await?;
        let kept = tx.dead_letter(letter).await?;
        tx.rollback().await?;
        let Some(kept) = kept else { continue };
        let value = kept.record.value.as_deref().unwrap_or_default();
        if raw {
            std::io::stdout().write_all(value)?;
            continue;
        }
        say(&line(letter));
        say(&format!("  detail  {}", printable(&letter.detail)));
        for text in record(&kept.record) {
            say(&text);
        }
    }
    Ok(())
}

/// Every dead letter at a place; none is an error.
async fn at(store: &Store, place: &Place) -> anyhow::Result<Vec<Listed>> {
    let wanted = Wanted {
        place: Some(place.clone()),
        accepted_too: true,
        ..Wanted::default()
    };
    let letters = store.dead_letters(&wanted, AT_ONE_PLACE).await?;
    if letters.is_empty() {
        bail!("there is no dead letter {place}");
    }
    Ok(letters)
}

/// Key, headers and value, one line each.
fn record(record: &Record) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(at) = record.timestamp {
        lines.push(format!("  written {at}"));
    }
    if let Some(key) = &record.key {
        lines.push(format!("  key     {}", text(key)));
    }
    for (name, value) in &record.headers {
        let value = value.as_deref().map_or_else(|| "null".to_owned(), text);
        lines.push(format!("  header  {}: {value}", printable(name)));
    }
    let value = record.value.as_deref();
    lines.push(format!(
        "  value   {}",
        value.map_or_else(|| "null".to_owned(), text)
    ));
    lines
}

/// Bytes as a line that a terminal can be given.
fn text(bytes: &[u8]) -> String {
    printable(&String::from_utf8_lossy(bytes))
}

/// What strangers wrote, without what moves a cursor, breaks a line or turns text around.
pub(super) fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => safe.push(c),
            _ => safe.extend(c.escape_debug()),
        }
    }
    safe
}

async fn replay(config: Config, args: ReplayArgs) -> anyhow::Result<()> {
    let by = By::new(&args.by.actor, &args.by.reason)?;
    let store = open_store(&config).await?;
    let limit = args.which.limit;
    let wanted = args.which.wanted();
    let mut letters = Vec::new();
    if !args.places.is_empty() {
        for place in &args.places {
            letters.extend(at(&store, place).await?);
        }
    } else if wanted == Wanted::default() {
        bail!("say which: places, or a filter (every one: --since 1970-01-01)");
    } else {
        letters = store.dead_letters(&wanted, limit).await?;
    }
    let operator = Operator::new(store, Arc::new(config));
    let (mut accepted, mut refused) = (0_u32, 0_u32);
    for letter in &letters {
        let place = letter.place();
        match operator
            .replay(letter, (!args.dry_run).then_some(&by))
            .await
        {
            Ok(Ended::Accepted(outcome)) => {
                accepted += 1;
                say(&format!("{place}  {}", told(outcome)));
            }
            Ok(Ended::Refused { reason, detail }) => {
                refused += 1;
                say(&format!(
                    "{place}  refused again, {reason}: {}",
                    printable(&detail)
                ));
            }
            // Somebody else was faster.
            Err(OperatorError::Refused(why)) => say(&why),
            Err(error) => return Err(error.into()),
        }
    }
    let (would, is) = if args.dry_run {
        ("would be ", "nothing was changed")
    } else {
        ("", "what was refused stays listed")
    };
    say(&format!(
        "{accepted} {would}accepted, {refused} {would}refused again; {is}"
    ));
    if refused > 0 {
        bail!("not all of them were accepted");
    }
    Ok(())
}

fn told(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Kept => "accepted: waits for what it belongs to",
        Outcome::Duplicate => "accepted: was known already, nothing happened",
        Outcome::Applied | Outcome::DeadLetter | Outcome::Tombstone => "accepted: took effect",
    }
}
