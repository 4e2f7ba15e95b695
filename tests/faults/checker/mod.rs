//! The checker: says whether what came out is what must come of what went in.
//!
//! Written from the contract alone. Reads only the topics (as a `read_committed` consumer), the tables, the
//! generator's log and how often the processes say that they found repeats; uses nothing of `src/rules`.

mod books;
mod letters;
mod money;
mod orders;
mod topics;
mod truth;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use sqlx::{Connection, PgConnection, Row};

use crate::harness::TestBed;
use truth::Truth;

/// No more than this is told of one kind.
const TOLD: usize = 5;

/// What a checker is given.
pub struct Input<'a> {
    /// The generator's log.
    pub sent: &'a Path,
    /// When upstream transactions hung: two instants per line.
    pub hangs: &'a Path,
    /// The processes' logs, for the repeats that they counted.
    pub logs: Vec<PathBuf>,
    /// Faults were at work of which Kafka's protocol itself can make repeats.
    pub repeats_allowed: bool,
}

/// What it found.
#[derive(Debug, Default)]
pub struct Report {
    pub complaints: Vec<String>,
    pub events: usize,
    pub repeats: u64,
}

/// Collects what is wrong.
#[derive(Debug, Default)]
pub struct Complaints {
    told: HashMap<&'static str, usize>,
    lines: Vec<String>,
}

impl Complaints {
    /// Something is wrong with what an invariant says.
    pub fn add(&mut self, invariant: &'static str, what: &str) {
        let told = self.told.entry(invariant).or_default();
        *told += 1;
        if *told <= TOLD {
            self.lines.push(format!("{invariant}: {what}"));
        }
    }

    /// Complains unless it holds.
    pub fn unless(&mut self, holds: bool, invariant: &'static str, what: impl FnOnce() -> String) {
        if !holds {
            self.add(invariant, &what());
        }
    }
}

/// What is still under way, in words; none when all has come to rest.
pub async fn under_way(bed: &TestBed, sent: &Path) -> Result<Option<String>, String> {
    let truth = Truth::read(sent)?;
    let text = |error: sqlx::Error| error.to_string();
    let mut connection = PgConnection::connect(&bed.database_url)
        .await
        .map_err(text)?;
    let rows = sqlx::query("SELECT topic, partition, coalesce(next_offset, 0) FROM positions")
        .fetch_all(&mut connection)
        .await
        .map_err(text)?;
    let applied: HashMap<(String, i32), i64> = rows
        .iter()
        .map(|row| ((row.get(0), row.get(1)), row.get(2)))
        .collect();
    let unread = truth.ends.iter().filter(|((topic, partition), end)| {
        let key = (bed.topic(topic).to_owned(), *partition);
        applied.get(&key).copied().unwrap_or(0) < **end
    });
    let unread = unread.count();
    let counts = sqlx::query(
        "SELECT (SELECT count(*) FROM due WHERE due_at <= now()),
                (SELECT count(*) FROM settlements WHERE releases > 0 AND settled_at <= now()),
                (SELECT coalesce(sum(last_sequence - published_sequence), 0)::bigint FROM merchants)
                    + (SELECT count(*) FROM dead_letters WHERE NOT published)",
    )
    .fetch_one(&mut connection)
    .await
    .map_err(text)?;
    let (due, open, unpublished): (i64, i64, i64) = (counts.get(0), counts.get(1), counts.get(2));
    let quiet = (unread, due, open, unpublished) == (0, 0, 0, 0);
    Ok((!quiet).then(|| {
        format!("{unread} partitions unread, {due} due, {open} settlements open, {unpublished} unpublished")
    }))
}

/// Holds topics and tables against the truth, once all has come to rest.
pub async fn check(bed: &TestBed, input: &Input<'_>) -> Report {
    let mut complaints = Complaints::default();
    let mut report = Report::default();
    if let Err(error) = all(bed, input, &mut complaints, &mut report).await {
        complaints.add("the check itself", &error);
    }
    report.complaints = complaints.lines;
    report
}

async fn all(
    bed: &TestBed,
    input: &Input<'_>,
    complaints: &mut Complaints,
    report: &mut Report,
) -> Result<(), String> {
    let truth = Truth::read(input.sent)?;
    let hangs = read_hangs(input.hangs);
    let topics = topics::read(bed)?;
    report.events = topics.events.len();
    report.repeats = topics.repeats(complaints);
    let counted = counted_repeats(&input.logs);
    complaints.unless(report.repeats == 0 || input.repeats_allowed, "once", || {
        format!("{} repeats without a fault of Kafka's", report.repeats)
    });
    complaints.unless(report.repeats <= counted, "once", || {
        format!(
            "{} repeats in the topics, {counted} counted",
            report.repeats
        )
    });
    topics.sequences(complaints);
    topics.settlements(complaints);
    topics.days(complaints);
    orders::releases(&topics, &truth, &hangs, complaints);
    let folded = money::fold(&topics, complaints);
    let mut books = books::Books::open(&bed.database_url).await?;
    books.journal(&topics, complaints).await?;
    books.accounts(&truth, complaints).await?;
    books.payouts(&truth, complaints).await?;
    let holds = books.holds().await?;
    money::compare(&folded, &holds, complaints);
    orders::holds(&truth, &holds, complaints);
    books.nothing_else(&truth, complaints).await?;
    letters::check(bed, &truth, complaints)
}

fn read_hangs(path: &Path) -> Vec<(i64, i64)> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().filter_map(|line| {
        let (from, until) = line.split_once(' ')?;
        Some((from.parse().ok()?, until.parse().ok()?))
    });
    lines.collect()
}

/// How many repeats the processes have told of.
fn counted_repeats(logs: &[PathBuf]) -> u64 {
    let texts = logs
        .iter()
        .map(|log| std::fs::read_to_string(log).unwrap_or_default());
    let count = |text: String| -> u64 {
        let lines = text
            .lines()
            .filter(|line| line.contains("\"published_twice\""));
        let json = lines.filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        json.filter_map(|line| line["repeats"].as_u64()).sum()
    };
    texts.map(count).sum()
}

/// Cents out of an amount with two digits.
pub fn cents(amount: &str) -> Result<i64, String> {
    let digits = amount.split_once('.').filter(|(_, cents)| cents.len() == 2);
    let (euros, cents) = digits.ok_or_else(|| format!("{amount:?} is no amount in euros"))?;
    format!("{euros}{cents}")
        .parse()
        .map_err(|error| format!("{amount:?}: {error}"))
}
