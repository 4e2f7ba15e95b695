//! The contract over a whole history: every answer is reached anew from all facts and from what
//! the clocks before have released; nothing else is carried on.

use std::collections::{BTreeMap, BTreeSet};

use holdback::rules::agreement::{Agreement, AtLimit, Term};
use holdback::rules::calendar::Calendar;
use holdback::rules::fact::Completed;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::dates::{self, Days, Due};
use super::facts::{Applied, Facts, applied};
use super::history::Step;
use super::sums::{Sums, Units, originals, sums};

/// Orders by their ids, as they stand after a history.
pub type World = BTreeMap<String, OrderView>;

/// What is known of an order that has been applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderView {
    pub holds: Vec<HoldView>,
    /// What the merchant owes for it.
    pub owes: Units,
    /// Money of a part was cleared twice: its dates are not compared.
    pub unsure: bool,
}

/// One hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldView {
    pub term: String,
    pub original: Units,
    pub left: Units,
    pub released: Units,
    /// Consumed, reversed: which of the two is a matter of what came first, not their sum.
    pub gone: Units,
    pub blocked: Units,
    pub window_ends_at: Option<Timestamp>,
    pub limit_at: Timestamp,
    pub at_limit: AtLimit,
    /// What isn't blocked, by the date on which it goes; in order of dates.
    pub free: Vec<(Option<Due>, Units)>,
}

/// A sum that a clock has released.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Released {
    pub order: String,
    pub term: String,
    /// None when it went by its limit.
    pub settlement_date: Option<Date>,
    pub amount: Units,
}

/// What was released by which step of the history.
pub type Releases = Vec<(usize, Released)>;

/// The orders after these steps.
pub fn after(steps: &[Step]) -> (World, Releases) {
    let mut released = Releases::new();
    for (position, step) in steps.iter().enumerate() {
        if let Step::Clock(now) = step {
            // Blocks move when a limit takes what they kept: what follows goes by where they lie.
            loop {
                let due = due(&steps[..position], &released, *now);
                if due.is_empty() {
                    break;
                }
                released.extend(due.into_iter().map(|it| (position, it)));
            }
        }
    }
    (world(steps, &released), released)
}

/// What a clock at that time releases; of an order of which a limit takes blocked money, what goes
/// until then and that.
fn due(steps: &[Step], released: &Releases, now: Timestamp) -> Vec<Released> {
    let mut due = Vec::new();
    for (order, view) in world(steps, released) {
        let limits = view.holds.iter().enumerate();
        let overrun = limits.filter(|(_, it)| it.goes_by_limit(now) && it.blocked > 0);
        let overrun = overrun.map(|(n, it)| (it.limit_at, n)).min();
        for (n, hold) in view.holds.into_iter().enumerate() {
            let overruns = overrun.is_some_and(|(_, which)| which == n);
            let until = overrun.filter(|_| !overruns).map(|(at, _)| at);
            let before = |at: Timestamp| at <= now && until.is_none_or(|until| at < until);
            let limited = hold.goes_by_limit(now) && before(hold.limit_at);
            let mut go = |settlement_date, amount| {
                due.push(Released {
                    order: order.clone(),
                    term: hold.term.clone(),
                    settlement_date,
                    amount,
                });
            };
            let mut rest = hold.left;
            for (due, amount) in hold.free {
                let by_limit = |at: Timestamp| limited && hold.limit_at < at;
                let due = due.filter(|it| before(it.release_at) && !by_limit(it.release_at));
                if let Some(due) = due {
                    go(Some(due.settlement_date), amount);
                    rest -= amount;
                }
            }
            if limited && rest > 0 {
                go(None, rest);
            }
        }
    }
    due
}

impl HoldView {
    fn goes_by_limit(&self, now: Timestamp) -> bool {
        self.at_limit == AtLimit::Release && self.limit_at <= now && self.left > 0
    }
}

fn world(steps: &[Step], released: &Releases) -> World {
    let mut orders = BTreeSet::new();
    for step in steps {
        if let Step::Order(fact) = step {
            orders.insert(fact.order.to_string());
        }
    }
    let views = orders.into_iter().filter_map(|order| {
        let applied = applied(steps, &order)?;
        let its = |it: &&(usize, Released)| it.1.order == order;
        let released: Vec<_> = released.iter().filter(its).collect();
        let view = view(&applied, steps, &released);
        Some((order, view))
    });
    views.collect()
}

/// Sums after the first so many facts, with what had been released before that position.
fn sums_after(
    applied: &Applied<'_>,
    count: usize,
    released: &[&(usize, Released)],
    by: usize,
) -> Sums {
    let terms = originals(applied.agreement, applied.sale);
    let gone = terms.iter().map(|(term, _)| {
        let its = released
            .iter()
            .filter(|(position, it)| *position < by && it.term == term.name.as_str());
        its.map(|(_, it)| it.amount).sum()
    });
    let gone: Vec<Units> = gone.collect();
    sums(
        &applied.first(count),
        applied.agreement,
        applied.sale,
        &gone,
    )
}

/// For each hold what facts made free of it, and when: money that was blocked and is no longer,
/// not what was free before. And whether some of it had been made free before.
fn cleared(
    applied: &Applied<'_>,
    released: &[&(usize, Released)],
) -> (Vec<Vec<(Timestamp, Units)>>, bool) {
    let mut cleared = Vec::new();
    let mut twice = false;
    for (count, (by, fact)) in (1..).zip(&applied.facts) {
        let before = sums_after(applied, count - 1, released, *by);
        let now = sums_after(applied, count, released, *by);
        let at = applied.first(count).cleared_at(fact);
        let whole = applied.first(count).clears_all(fact);
        cleared.resize(now.left.len(), Vec::new());
        for (n, cleared) in cleared.iter_mut().enumerate() {
            let was_free = before.left[n] - before.blocked[n];
            let kept = now.left[n] - was_free;
            if whole {
                cleared.push((at, now.left[n]));
            } else if kept > now.blocked[n] {
                let marked: Units = cleared.iter().map(|(_, sum)| sum).sum();
                twice |= kept > now.left[n] - marked;
                cleared.push((at, kept - now.blocked[n]));
            }
        }
    }
    (cleared, twice)
}

fn view(applied: &Applied<'_>, steps: &[Step], released: &[&(usize, Released)]) -> OrderView {
    let count = applied.facts.len();
    let sums = sums_after(applied, count, released, usize::MAX);
    let (mut cleared, unsure) = cleared(applied, released);
    cleared.resize(sums.left.len(), Vec::new());
    let clocks = Clocks {
        facts: applied.first(count),
        agreement: applied.agreement,
        sale: applied.sale,
        zone: TimeZoneDatabase::bundled()
            .get(&applied.agreement.time_zone)
            .expect("a known zone"),
        days: calendar(applied.agreement, steps),
    };
    let mut holds = Vec::new();
    for (n, (term, original)) in originals(applied.agreement, applied.sale)
        .iter()
        .enumerate()
    {
        let mut free: BTreeMap<Option<Due>, Units> = BTreeMap::new();
        let mut left = sums.left[n];
        let mut room = left - sums.blocked[n];
        let mut undated = false;
        // Blocks, refunds and releases take what goes first; what was cleared last is still there.
        cleared[n].sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let parts = cleared[n].iter().map(|(at, sum)| (Some(*at), *sum));
        for (at, sum) in parts.chain([(None, left)]) {
            let due = clocks.due(term, at.max(clocks.facts.whole_cleared_at()));
            undated |= left > 0 && sum > 0 && due.is_none();
            let part = room.min(sum);
            left -= left.min(sum);
            room -= part;
            if part > 0 {
                *free.entry(due).or_default() += part;
            }
        }
        if undated {
            // A hold that needs a date which the calendar doesn't know waits as a whole.
            free = BTreeMap::from([(None, free.into_values().sum())]);
            free.retain(|_, sum| *sum > 0);
        }
        let limit_from = clocks
            .anchor(term)
            .unwrap_or_else(|| applied.sale.at.timestamp());
        holds.push(HoldView {
            term: term.name.to_string(),
            original: *original,
            left: sums.left[n],
            released: sums.released[n],
            gone: sums.gone[n],
            blocked: sums.blocked[n],
            window_ends_at: clocks.window_ends_at(term),
            limit_at: dates::limit_at(term, &clocks.zone, limit_from),
            at_limit: term.at_limit,
            free: free.into_iter().collect(),
        });
    }
    OrderView {
        holds,
        owes: sums.owes,
        unsure,
    }
}

/// What the dates of an order's holds go by.
struct Clocks<'a> {
    facts: Facts<'a>,
    agreement: &'a Agreement,
    sale: &'a Completed,
    zone: TimeZone,
    days: Days<'a>,
}

impl Clocks<'_> {
    fn anchor(&self, term: &Term) -> Option<Timestamp> {
        let Facts {
            delivered,
            confirmed,
            ..
        } = &self.facts;
        let completed = self.sale.at.timestamp();
        dates::anchor(self.agreement, term, completed, *delivered, *confirmed)
    }

    fn window_ends_at(&self, term: &Term) -> Option<Timestamp> {
        dates::window_ends_at(term, &self.zone, self.days, self.anchor(term)?)
    }

    /// When money goes whose last block was cleared then.
    fn due(&self, term: &Term, cleared: Option<Timestamp>) -> Option<Due> {
        let window = self.window_ends_at(term)?;
        let eligible_at = window.max(self.anchor(term)?);
        let eligible_at = eligible_at.max(cleared.unwrap_or(window));
        dates::settlement(self.agreement, &self.zone, self.days, eligible_at)
    }
}

fn calendar<'a>(agreement: &Agreement, steps: &'a [Step]) -> Days<'a> {
    let Some(wanted) = &agreement.calendar else {
        return Days::All;
    };
    let mut newest: Option<&Calendar> = None;
    for step in steps {
        if let Step::Calendar(it) = step
            && it.calendar == *wanted
            && newest.is_none_or(|newest| newest.version < it.version)
        {
            newest = Some(it);
        }
    }
    newest.map_or(Days::NotThere, Days::Of)
}
