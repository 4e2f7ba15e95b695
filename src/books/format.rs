//! One line of the journal in each of the three formats.

use std::collections::BTreeSet;
use std::io;

use clap::ValueEnum;
use jiff::tz::TimeZone;

use super::account;
use crate::rules::entry::Transfer;
use crate::rules::ids::MerchantId;
use crate::rules::money::Currency;
use crate::store::books::BookLine;

/// What reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Every line of the journal, also those that move no money
    Csv,
    /// Transactions for hledger, with their accounts and commodities declared
    Hledger,
    /// Transactions for beancount, with their accounts opened
    Beancount,
}

/// The columns of the CSV.
const COLUMNS: &str = "merchant_id,sequence,occurred_at,event,event_id,currency,debit,credit,amount,\
                       order_id,hold_id,subject,source_topic,source_partition,source_offset";

/// Writes lines in one format. Accounts are declared before their first use; what has been declared
/// is remembered for one merchant at a time.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    format: Format,
    merchant: MerchantId,
    accounts: BTreeSet<String>,
    currencies: BTreeSet<Currency>,
}

impl<W: io::Write> Writer<W> {
    /// A writer that has written nothing yet.
    pub fn new(out: W, format: Format) -> Self {
        Self {
            out,
            format,
            merchant: MerchantId::platform(),
            accounts: BTreeSet::new(),
            currencies: BTreeSet::new(),
        }
    }

    /// What stands before the first line.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        match self.format {
            Format::Csv => write!(self.out, "{COLUMNS}\r\n"),
            Format::Hledger => writeln!(self.out, "; holdback's journal\ndecimal-mark ."),
            Format::Beancount => writeln!(self.out, "option \"title\" \"holdback's journal\""),
        }
    }

    /// The merchant whose lines follow.
    pub(super) fn merchant(&mut self, merchant: &MerchantId) {
        self.merchant = merchant.clone();
        self.accounts.clear();
    }

    /// Writes a line; false when the format has no place for it because it moves no money.
    pub(super) fn line(&mut self, line: &BookLine) -> io::Result<bool> {
        if self.format == Format::Csv {
            self.row(line)?;
            return Ok(true);
        }
        let (Some(transfer), Some(currency)) = (&line.transfer, line.currency) else {
            return Ok(false);
        };
        self.transaction(line, transfer, currency)?;
        Ok(true)
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn transaction(
        &mut self,
        line: &BookLine,
        transfer: &Transfer,
        currency: Currency,
    ) -> io::Result<()> {
        let debit = account::name(&self.merchant, currency, transfer.debit);
        let credit = account::name(&self.merchant, currency, transfer.credit);
        self.declare_currency(currency)?;
        for name in [&debit, &credit] {
            self.declare_account(name, currency)?;
        }
        let day = line.occurred_at.local(&TimeZone::UTC).date();
        let event = line.event.as_str();
        let hledger = self.format == Format::Hledger;
        if hledger {
            writeln!(self.out, "\n{day} * ({}) {event}", line.sequence)?;
        } else {
            let merchant = quoted(self.merchant.as_str());
            writeln!(self.out, "\n{day} * {merchant} \"{event}\"")?;
        }
        for (name, value) in self.notes(line) {
            if hledger {
                writeln!(self.out, "    ; {name}: {value}")?;
            } else {
                writeln!(self.out, "  {name}: {}", quoted(&value))?;
            }
        }
        let amount = transfer.amount;
        writeln!(self.out, "    {debit}  {amount} {currency}")?;
        writeln!(self.out, "    {credit}  -{amount} {currency}")
    }

    /// Ids, instant and cause, for people who follow a sum back.
    fn notes(&self, line: &BookLine) -> Vec<(&'static str, String)> {
        let mut notes = vec![
            ("merchant", self.merchant.to_string()),
            ("sequence", line.sequence.to_string()),
            ("occurred-at", line.occurred_at.to_string()),
            ("event-id", line.event_id.to_string()),
        ];
        notes.extend(line.order.as_ref().map(|it| ("order", it.to_string())));
        notes.extend(line.hold.map(|it| ("hold", it.to_string())));
        notes.extend(line.subject.clone().map(|it| ("subject", it)));
        notes.extend(line.source.map(|it| {
            let place = format!("{}/{}/{}", it.topic.name(), it.partition, it.offset);
            ("source", place)
        }));
        notes
    }

    fn declare_currency(&mut self, currency: Currency) -> io::Result<()> {
        if self.format != Format::Hledger || !self.currencies.insert(currency) {
            return Ok(());
        }
        let digits = usize::try_from(currency.exponent()).unwrap_or_default();
        // hledger wants the mark in the sample also where no digits follow it.
        writeln!(
            self.out,
            "\ncommodity 1000.{} {currency}",
            "0".repeat(digits)
        )
    }

    fn declare_account(&mut self, name: &str, currency: Currency) -> io::Result<()> {
        if !self.accounts.insert(name.to_owned()) {
            return Ok(());
        }
        match self.format {
            Format::Csv => Ok(()),
            Format::Hledger => writeln!(self.out, "account {name}"),
            Format::Beancount => writeln!(self.out, "1970-01-01 open {name} {currency}"),
        }
    }

    fn row(&mut self, line: &BookLine) -> io::Result<()> {
        let text = |value: Option<String>| value.unwrap_or_default();
        let transfer = line.transfer.as_ref();
        let source = line.source;
        let fields = [
            self.merchant.to_string(),
            line.sequence.to_string(),
            line.occurred_at.to_string(),
            line.event.as_str().to_owned(),
            line.event_id.to_string(),
            text(line.currency.map(|it| it.to_string())),
            text(transfer.map(|it| it.debit.name().to_owned())),
            text(transfer.map(|it| it.credit.name().to_owned())),
            text(transfer.map(|it| it.amount.to_string())),
            text(line.order.as_ref().map(ToString::to_string)),
            text(line.hold.map(|it| it.to_string())),
            text(line.subject.clone()),
            text(source.map(|it| it.topic.name().to_owned())),
            text(source.map(|it| it.partition.to_string())),
            text(source.map(|it| it.offset.to_string())),
        ];
        write!(self.out, "{}\r\n", csv_row(&fields))
    }
}

/// A row of RFC 4180, without its end.
#[must_use]
pub fn csv_row(fields: &[String]) -> String {
    let fields = fields.iter().map(|field| {
        if field.contains([',', '"', '\r', '\n']) {
            format!("\"{}\"", field.replace('"', "\"\""))
        } else {
            field.clone()
        }
    });
    fields.collect::<Vec<_>>().join(",")
}

/// A text as beancount quotes it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
