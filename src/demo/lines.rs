//! The demo without a terminal: a line for each simulated day, and the most notable things of it.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::figures::{grouped, rounded, utc};
use super::news::{Kind, News};
use super::say;
use super::show::Scene;
use crate::store::overview::{Counts, Overview};

const TICK: Duration = Duration::from_millis(50);
/// Notable things that a day's line is followed by.
const A_DAY: usize = 3;

/// Shows the demo until it is over.
///
/// # Errors
/// When the database fails.
pub async fn show(scene: &mut Scene) -> anyhow::Result<()> {
    say("The service starts; a line for each day follows.");
    let mut digest = Digest::default();
    let mut before = Counts::default();
    let mut day = 0;
    loop {
        let over = scene.is_over();
        while let Ok(news) = scene.news.try_recv() {
            digest.note(news);
        }
        let now = scene.store.now().await?;
        let today = scene.day(now.timestamp());
        if today > day {
            let overview = scene.store.overview(now).await?;
            let date = scene.from + SignedDuration::from_hours(24 * (today - 1));
            if !say(&line(date, &before, &overview)) {
                scene.stop.cancel();
            }
            for news in digest.take() {
                say(&format!("              {}", news.text));
            }
            before = overview.counts;
            day = today;
        }
        if over {
            return Ok(());
        }
        tokio::time::sleep(TICK).await;
    }
}

/// `Mon  2 Mar 2026  312 orders, 14 refunds, 3 disputes, 120 released | held CNY 12,345 …`
fn line(date: Timestamp, before: &Counts, overview: &Overview) -> String {
    let counts = &overview.counts;
    let more = |now: i64, before: i64| grouped(&(now - before).to_string());
    let held: Vec<String> = overview
        .books
        .iter()
        .map(|book| format!("{} {}", book.currency, rounded(book.held)))
        .collect();
    format!(
        "{}  {:>3} orders {:>3} refunds {:>2} disputes {:>3} releases {:>2} dead letters | held {}",
        utc(date, "%a %e %b"),
        more(counts.orders, before.orders),
        more(counts.refunds, before.refunds),
        more(counts.disputes, before.disputes),
        more(counts.releases, before.releases),
        more(counts.dead_letters, before.dead_letters),
        held.join("  ")
    )
}

/// The latest of each notable kind since the last look, and how often each kind was told.
#[derive(Debug, Default)]
struct Digest {
    latest: HashMap<Kind, News>,
    told: HashMap<Kind, u32>,
}

impl Digest {
    fn note(&mut self, news: News) {
        if news.kind.is_notable() {
            self.latest.insert(news.kind, news);
        }
    }

    /// A few, those first whose kind was told least; in the order in which they happened.
    fn take(&mut self) -> Vec<News> {
        let mut found: Vec<News> = self.latest.drain().map(|(_, news)| news).collect();
        let often = |kind| self.told.get(&kind).copied().unwrap_or_default();
        found.sort_by_key(|news| (often(news.kind), news.at));
        found.truncate(A_DAY);
        for news in &found {
            *self.told.entry(news.kind).or_default() += 1;
        }
        found.sort_by_key(|news| news.at);
        found
    }
}
