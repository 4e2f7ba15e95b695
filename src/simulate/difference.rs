//! What other agreements would change: the releases of two runs side by side, per currency.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;

use super::End;
use super::books::{Letter, Said, Sink};
use super::figures::{counted, sum};
use super::lines::Refusals;
use crate::rules::entry::Event;
use crate::rules::ids::ReleaseId;
use crate::rules::money::Currency;

/// Keeps the releases of a run.
pub(super) struct Releases<E> {
    refusals: Refusals<E>,
    issued: HashMap<ReleaseId, Issued>,
}

#[derive(Clone, Copy)]
struct Issued {
    currency: Currency,
    gross: Decimal,
    /// The settlement date; for a release without one, the day of its issue in UTC.
    on: Date,
}

/// What became of releases, in the order in which it is told.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    /// By so many days; earlier when below zero.
    Moved(i32),
    More,
    Less,
    Gone,
    New,
}

/// How many releases, and how much.
#[derive(Default)]
struct Sum {
    releases: u64,
    amount: Decimal,
}

/// Of one currency.
#[derive(Default)]
struct Compared {
    changes: BTreeMap<Change, Sum>,
    before: Sum,
    after: Sum,
    held_before: Decimal,
    held_after: Decimal,
}

impl<E: Write> Releases<E> {
    pub(super) fn new(refusals: E) -> Self {
        Self {
            refusals: Refusals::new(refusals),
            issued: HashMap::new(),
        }
    }

    /// How many messages were refused.
    pub(super) fn refused(&self) -> u64 {
        self.refusals.count
    }
}

impl<E: Write> Sink for Releases<E> {
    fn said(&mut self, said: &Said<'_>) -> io::Result<()> {
        if let (Event::ReleaseIssued(release), Some(currency)) =
            (&said.entry.event, said.entry.currency)
        {
            let issued_on = || release.issued_at.local(&TimeZone::UTC).date();
            let issued = Issued {
                currency,
                gross: release.gross.decimal(),
                on: release.settlement_date.unwrap_or_else(issued_on),
            };
            self.issued.insert(release.release_id, issued);
        }
        Ok(())
    }

    fn refused(&mut self, letter: &Letter<'_>) -> io::Result<()> {
        self.refusals.add(letter)
    }
}

/// Writes what the second run does otherwise.
pub(super) fn show<E, F>(
    out: &mut impl Write,
    one: &End<Releases<E>>,
    other: &End<Releases<F>>,
) -> io::Result<()> {
    let mut currencies = compare(&one.sink, &other.sink);
    for (currency, amount) in held(one) {
        currencies.entry(currency).or_default().held_before = amount;
    }
    for (currency, amount) in held(other) {
        currencies.entry(currency).or_default().held_after = amount;
    }
    for (currency, compared) in currencies {
        compared.show(out, currency)?;
    }
    Ok(())
}

fn compare<E, F>(one: &Releases<E>, other: &Releases<F>) -> BTreeMap<Currency, Compared> {
    let mut currencies: BTreeMap<Currency, Compared> = BTreeMap::new();
    for (id, before) in &one.issued {
        let compared = currencies.entry(before.currency).or_default();
        compared.before.add(before.gross);
        let Some(after) = other.issued.get(id) else {
            compared.note(Change::Gone, before.gross);
            continue;
        };
        let days = (after.on - before.on).get_days();
        compared.note(Change::Moved(days), before.gross.min(after.gross));
        if after.gross > before.gross {
            compared.note(Change::More, after.gross - before.gross);
        } else if after.gross < before.gross {
            compared.note(Change::Less, before.gross - after.gross);
        }
    }
    for (id, after) in &other.issued {
        let compared = currencies.entry(after.currency).or_default();
        compared.after.add(after.gross);
        if !one.issued.contains_key(id) {
            compared.note(Change::New, after.gross);
        }
    }
    currencies
}

/// What is left in the holds, by currency.
fn held<S>(end: &End<S>) -> BTreeMap<Currency, Decimal> {
    let mut held: BTreeMap<Currency, Decimal> = BTreeMap::new();
    for order in end.orders() {
        let Some(sale) = &order.sale else { continue };
        let left = order.holds.iter().map(|hold| hold.left.decimal());
        *held.entry(sale.value.currency).or_default() += left.sum::<Decimal>();
    }
    held
}

impl Sum {
    fn add(&mut self, amount: Decimal) {
        self.releases += 1;
        self.amount += amount;
    }
}

impl Compared {
    fn note(&mut self, change: Change, amount: Decimal) {
        self.changes.entry(change).or_default().add(amount);
    }

    fn show(&self, out: &mut impl Write, currency: Currency) -> io::Result<()> {
        let money = |amount: Decimal| {
            let mut amount = amount;
            amount.rescale(currency.exponent());
            format!("{} {currency}", sum(amount))
        };
        let releases = |sum: &Sum| counted(sum.releases, "release");
        for (change, sum) in &self.changes {
            let what = match change {
                Change::Moved(0) => "as before".to_owned(),
                Change::Moved(days) => {
                    let way = if *days > 0 { "later" } else { "earlier" };
                    let days = counted(u64::from(days.unsigned_abs()), "day");
                    format!("{days} {way}")
                }
                Change::More => "more in them".to_owned(),
                Change::Less => "less in them".to_owned(),
                Change::Gone => "no longer".to_owned(),
                Change::New => "new".to_owned(),
            };
            writeln!(out, "{}, {}, {what}", releases(sum), money(sum.amount))?;
        }
        writeln!(
            out,
            "{currency} released: {} of {} before, {} of {} after; held at the end: {} before, {} after",
            releases(&self.before),
            money(self.before.amount),
            releases(&self.after),
            money(self.after.amount),
            money(self.held_before),
            money(self.held_after),
        )
    }
}
