//! What a run came to, for people: per currency where the money is, and what goes next.

use std::collections::BTreeMap;
use std::io::{self, Write};

use jiff::civil::Date;
use rust_decimal::Decimal;

use super::End;
use super::books::{Letter, Said, Sink};
use super::figures::{count, counted, sum};
use super::lines::Refusals;
use crate::rules::entry::{Account, Event};
use crate::rules::money::{Currency, less};

/// Dates to show of each currency.
const NEXT_DATES: usize = 5;

/// Adds up what a run says.
pub(super) struct Summary<E> {
    refusals: Refusals<E>,
    totals: BTreeMap<Currency, Totals>,
}

/// Of one currency.
#[derive(Default)]
struct Totals {
    releases: u64,
    parts: u64,
    released: Decimal,
    /// What moved from one account to another.
    moved: BTreeMap<(Account, Account), Decimal>,
}

/// What goes on a date if nothing changes.
#[derive(Default)]
struct Next {
    holds: u64,
    amount: Decimal,
}

impl<E: Write> Summary<E> {
    pub(super) fn new(refusals: E) -> Self {
        Self {
            refusals: Refusals::new(refusals),
            totals: BTreeMap::new(),
        }
    }
}

impl<E: Write> Sink for Summary<E> {
    fn said(&mut self, said: &Said<'_>) -> io::Result<()> {
        let Some(currency) = said.entry.currency else {
            return Ok(());
        };
        let totals = self.totals.entry(currency).or_default();
        match &said.entry.event {
            Event::ReleaseIssued(release) => {
                totals.releases += 1;
                totals.released += release.gross.decimal();
            }
            Event::SettlementClosed(_) => totals.parts += 1,
            _ => {}
        }
        if let Some(transfer) = said.entry.transfer {
            let accounts = (transfer.debit, transfer.credit);
            *totals.moved.entry(accounts).or_default() += transfer.amount.decimal();
        }
        Ok(())
    }

    fn refused(&mut self, letter: &Letter<'_>) -> io::Result<()> {
        self.refusals.add(letter)
    }
}

impl Totals {
    fn moved(&self, debit: Account, credit: Account) -> Decimal {
        let moved = self.moved.get(&(debit, credit));
        moved.copied().unwrap_or_default()
    }

    /// What lies in an account.
    fn balance(&self, account: Account) -> Decimal {
        let mut balance = Decimal::ZERO;
        for ((debit, credit), amount) in &self.moved {
            if *credit == account {
                balance += amount;
            }
            if *debit == account {
                balance -= amount;
            }
        }
        balance
    }
}

/// Writes the summary; answers how many messages were refused.
pub(super) fn show<E: Write>(
    out: &mut impl Write,
    end: &End<Summary<E>>,
    messages: u64,
) -> io::Result<u64> {
    let refused = end.sink.refusals.count;
    writeln!(
        out,
        "{} up to {}: {} refused, {} kept, {}",
        counted(messages, "message"),
        end.clock,
        count(refused),
        counted_usize(end.parked, "message"),
        format_args!("{} without agreement", counted_usize(end.waiting, "order")),
    )?;
    let next = next_dates(end);
    for (currency, totals) in &end.sink.totals {
        let nothing = BTreeMap::new();
        let next = next.get(currency).unwrap_or(&nothing);
        show_currency(out, *currency, totals, next)?;
    }
    Ok(refused)
}

fn counted_usize(number: usize, what: &str) -> String {
    counted(u64::try_from(number).unwrap_or(u64::MAX), what)
}

fn show_currency(
    out: &mut impl Write,
    currency: Currency,
    totals: &Totals,
    next: &BTreeMap<Option<Date>, Next>,
) -> io::Result<()> {
    let mut line = |what: &str, amount: Decimal, more: &str| {
        let mut amount = amount;
        amount.rescale(currency.exponent());
        let line = format!("{currency}  {what:<12}{:>20}  {more}", sum(amount));
        writeln!(out, "{}", line.trim_end())
    };
    let released = format!(
        "{}, {}",
        counted(totals.releases, "release"),
        counted(totals.parts, "settlement part")
    );
    line("held", totals.balance(Account::Held), "")?;
    line("released", totals.released, &released)?;
    // Less what came back into a hold.
    let consumed = totals.moved(Account::Held, Account::Refunded)
        - totals.moved(Account::Refunded, Account::Held);
    line("consumed", consumed, "")?;
    let reversed = totals.moved(Account::Held, Account::Proceeds);
    line("reversed", reversed, "")?;
    line("receivable", -totals.balance(Account::Receivable), "")?;
    let dated = next
        .iter()
        .filter_map(|(date, next)| Some((*date)?).zip(Some(next)));
    for (date, next) in dated.take(NEXT_DATES) {
        line(&date.to_string(), next.amount, &counted(next.holds, "hold"))?;
    }
    if let Some(undated) = next.get(&None) {
        line(
            "no date yet",
            undated.amount,
            &counted(undated.holds, "hold"),
        )?;
    }
    Ok(())
}

/// What is free in the holds, per currency and settlement date; blocked money has no date.
fn next_dates<S>(end: &End<S>) -> BTreeMap<Currency, BTreeMap<Option<Date>, Next>> {
    let mut dates: BTreeMap<Currency, BTreeMap<Option<Date>, Next>> = BTreeMap::new();
    for order in end.orders() {
        let Some(sale) = &order.sale else { continue };
        let dates = dates.entry(sale.value.currency).or_default();
        for hold in &order.holds {
            for part in hold.parts() {
                let free = less(part.amount, part.blocked);
                let dated = (part.dates.map(|it| it.settlement_on), free);
                for (date, amount) in [dated, (None, part.blocked)] {
                    if amount.is_zero() {
                        continue;
                    }
                    let next = dates.entry(date).or_default();
                    next.holds += 1;
                    next.amount += amount.decimal();
                }
            }
        }
    }
    dates
}
