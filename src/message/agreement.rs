//! `agreement.published`: every default of the contract's section 4 filled in.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::rc::Rc;

use jiff::civil::Time;
use rust_decimal::Decimal;

use super::calendar::weekdays;
use super::fields::{self, Fields};
use super::order::{VERSION_MAX, instant};
use super::rejection::{Fault, Reason};
use super::shape::has_shape;
use crate::rules::agreement::{
    Agreement, Anchor, AtLimit, Basis, Confirmation, Count, Cycle, DayKind, DepositTerms, Excess,
    Free, RefundFees, RefundSource, RefundTerms, Roll, SettlementTerms, Term,
};
use crate::rules::ids::{AgreementId, CalendarId, MerchantId, TermName};
use crate::rules::review::ReviewTerms;

/// Ten years.
const DAYS: RangeInclusive<u32> = 0..=3_660;
const HOURS: RangeInclusive<u32> = 0..=87_840;
const WEEKS: RangeInclusive<u32> = 1..=52;
const BPS: RangeInclusive<u32> = 0..=10_000;
/// Every order makes up to one hold per term.
const TERMS: RangeInclusive<usize> = 1..=100;

/// So many faults are told at once: each costs two more readings, and a message has a megabyte.
const FAULTS_MAX: usize = 50;

/// What is read in place of a wrong or missing value that an agreement can't be without; any other
/// is read as absent.
const STAND_INS: &[(&str, &str)] = &[
    ("agreement_id", r#""?""#),
    ("version", "1"),
    ("merchant_id", r#""?""#),
    ("effective_from", r#""1970-01-01T00:00:00Z""#),
    ("time_zone", r#""UTC""#),
    ("calendar", r#""?""#),
    ("terms", STAND_IN_TERMS),
    ("name", r#""?""#),
    ("rate_bps", "0"),
    ("days", "0"),
    ("settlement", r#"{"cycle":"daily"}"#),
    ("cycle", r#""daily""#),
    ("weekdays", r#"["mon"]"#),
    ("days_of_month", "[1]"),
];
/// In place of a term that is no object.
const STAND_IN_TERM: &str = r#"{"name":"?","rate_bps":0,"days":0}"#;
const STAND_IN_TERMS: &str = r#"[{"name":"?","rate_bps":0,"days":0}]"#;

/// Reads one version of an agreement; what is wrong with it, all of it, is one fault.
pub(super) fn agreement(fields: &Fields<'_>) -> Result<Agreement, Fault> {
    every_fault(fields).map_err(|faults| Fault::all(&faults))
}

/// Reads one version of an agreement, or answers everything that is wrong with it: a value that
/// can't be read is set aside and the rest read again, until only contradictions are left. Of very
/// many the first 50.
pub(super) fn every_fault(fields: &Fields<'_>) -> Result<Agreement, Vec<Fault>> {
    let mut stand_ins: BTreeMap<String, &'static str> = BTreeMap::new();
    let mut faults: Vec<Fault> = Vec::new();
    let agreement = loop {
        let fault = match read(&fields.clone().with(Some(Rc::new(stand_ins.clone())))) {
            Ok(agreement) => break agreement,
            Err(fault) => fault,
        };
        let pointer = fault.pointer.clone();
        let again = stand_ins.get(&pointer).copied();
        if again.is_none() {
            faults.push(fault);
        }
        if pointer.is_empty() || again == Some("null") {
            return Err(faults);
        }
        if faults.len() >= FAULTS_MAX {
            faults.push(Fault::new(Reason::Value, "and more: mend these first"));
            return Err(faults);
        }
        let stand_in = match again {
            None => stand_in(&pointer),
            Some(_) => "null",
        };
        if let Some(settlement) = pointer.strip_suffix("/cycle") {
            for of_a_cycle in ["weekdays", "every", "days_of_month"] {
                stand_ins.insert(format!("{settlement}/{of_a_cycle}"), "null");
            }
        }
        stand_ins.insert(pointer, stand_in);
    };
    // A stand-in, or what is in one, contradicts nothing.
    let stood_in = |pointer: &str| {
        let mut all = stand_ins.keys();
        all.any(|at| {
            pointer
                .strip_prefix(at.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    };
    for contradiction in agreement.check() {
        let fault = Fault::new(Reason::Value, contradiction.problem).at(&contradiction.pointer);
        if !stood_in(&fault.pointer) {
            faults.push(fault);
        }
    }
    if faults.is_empty() {
        Ok(agreement)
    } else {
        Err(faults)
    }
}

fn stand_in(pointer: &str) -> &'static str {
    let name = pointer.rsplit('/').next().unwrap_or_default();
    if name.parse::<usize>().is_ok() {
        return STAND_IN_TERM;
    }
    let known = STAND_INS.iter().find(|(known, _)| *known == name);
    known.map_or("null", |(_, value)| value)
}

/// Reads as far as the first fault; contradictions are not looked for.
fn read(fields: &Fields<'_>) -> Result<Agreement, Fault> {
    let time_zone = fields.required("time_zone", fields.text("time_zone")?)?;
    let settlement = fields.required("settlement", fields.object("settlement")?)?;
    Ok(Agreement {
        agreement_id: fields.id("agreement_id", AgreementId::parse)?,
        version: fields.required("version", fields.whole("version", 1..=VERSION_MAX)?)?,
        merchant_id: fields.id("merchant_id", MerchantId::parse)?,
        effective_from: instant(fields, "effective_from")?,
        effective_until: fields.instant("effective_until")?,
        currency: fields.currency("currency")?,
        time_zone: time_zone.into_owned(),
        calendar: fields.optional_id("calendar", CalendarId::parse)?,
        terms: terms(fields)?,
        confirmation: confirmation(fields)?,
        review: review(fields)?,
        settlement: settlement_terms(&settlement)?,
        refund: refund(fields)?,
        deposit: deposit(fields)?,
    })
}

fn terms(fields: &Fields<'_>) -> Result<Vec<Term>, Fault> {
    let items = fields.required("terms", fields.list("terms")?)?;
    if !TERMS.contains(&items.len()) {
        return Err(fields.fault(Reason::Schema, "terms", "must be 1 to 100 terms"));
    }
    let terms = items.into_iter().enumerate();
    terms
        .map(|(n, raw)| term(&fields.item("terms", n, raw)?))
        .collect()
}

fn term(fields: &Fields<'_>) -> Result<Term, Fault> {
    Ok(Term {
        name: fields.id("name", TermName::parse)?,
        basis: fields.word("basis")?.unwrap_or(Basis::Gross),
        rate_bps: fields.required("rate_bps", fields.whole("rate_bps", BPS)?)?,
        fixed: fields.plain("fixed")?.unwrap_or(Decimal::ZERO),
        minimum: fields.plain("minimum")?.unwrap_or(Decimal::ZERO),
        maximum: fields.plain("maximum")?,
        when: when(fields)?,
        anchor: fields.word("anchor")?.unwrap_or(Anchor::Completed),
        days: fields.required("days", fields.whole("days", DAYS)?)?,
        day_kind: fields.word("day_kind")?.unwrap_or(DayKind::Calendar),
        count: fields.word("count")?.unwrap_or(Count::EndOfDay),
        limit_days: fields.whole("limit_days", DAYS)?.unwrap_or(180),
        at_limit: fields.word("at_limit")?.unwrap_or(AtLimit::Alert),
    })
}

/// Attribute → allowed values, each a set.
fn when(fields: &Fields<'_>) -> Result<BTreeMap<String, Vec<String>>, Fault> {
    let Some(conditions) = fields.object("when")? else {
        return Ok(BTreeMap::new());
    };
    let mut read = BTreeMap::new();
    for (attribute, raw) in conditions.all() {
        if attribute.chars().any(char::is_control) {
            return Err(fields.fault(Reason::Text, "when", "a name has control characters"));
        }
        let at = conditions.pointer(attribute);
        let mut values = Vec::new();
        for raw in fields::list(raw).map_err(|fault| fault.at(&at))? {
            values.push(
                fields::string(raw)
                    .map_err(|fault| fault.at(&at))?
                    .into_owned(),
            );
        }
        if values.is_empty() {
            return Err(Fault::new(Reason::Schema, "must allow at least one value").at(&at));
        }
        values.sort();
        values.dedup();
        read.insert(attribute.to_owned(), values);
    }
    Ok(read)
}

fn confirmation(fields: &Fields<'_>) -> Result<Confirmation, Fault> {
    let fields = fields.object("confirmation")?.unwrap_or_default();
    Ok(Confirmation {
        required: fields.flag("required")?.unwrap_or(false),
        auto_after_hours: fields.whole("auto_after_hours", HOURS)?.unwrap_or(240),
    })
}

fn settlement_terms(fields: &Fields<'_>) -> Result<SettlementTerms, Fault> {
    Ok(SettlementTerms {
        cycle: cycle(fields)?,
        cut_off: cut_off(fields)?,
        roll: fields.word("roll")?.unwrap_or(Roll::Following),
        minimum: fields.plain("minimum")?.unwrap_or(Decimal::ZERO),
        minimum_max_days: fields.whole("minimum_max_days", DAYS)?.unwrap_or(90),
    })
}

/// The cycle with its own fields; those of another cycle contradict it.
fn cycle(fields: &Fields<'_>) -> Result<Cycle, Fault> {
    let word = fields.required("cycle", fields.text("cycle")?)?;
    let weekdays = weekdays(fields, "weekdays")?;
    let every = fields.whole("every", WEEKS)?.unwrap_or(1);
    let days_of_month = days_of_month(fields)?;
    let foreign = |name: &str| {
        Err(fields.fault(
            Reason::Value,
            name,
            format!("has no meaning with cycle {word}"),
        ))
    };
    match word.as_ref() {
        "daily" | "monthly" if weekdays.is_some() => foreign("weekdays"),
        "daily" | "monthly" if every != 1 => foreign("every"),
        "daily" | "weekly" if days_of_month.is_some() => foreign("days_of_month"),
        "daily" => Ok(Cycle::Daily),
        "weekly" => {
            let weekdays = fields.required("weekdays", weekdays)?;
            Ok(Cycle::Weekly {
                weekdays: weekdays.into_iter().collect(),
                every,
            })
        }
        "monthly" => {
            let days_of_month = fields.required("days_of_month", days_of_month)?;
            Ok(Cycle::Monthly { days_of_month })
        }
        _ => Err(fields.fault(
            Reason::Schema,
            "cycle",
            "must be one of daily weekly monthly",
        )),
    }
}

/// A set of days 1 to 31, and −1 for the last.
fn days_of_month(fields: &Fields<'_>) -> Result<Option<Vec<i8>>, Fault> {
    let Some(items) = fields.list("days_of_month")? else {
        return Ok(None);
    };
    let mut days = Vec::new();
    for raw in items {
        let day = fields::whole(raw, &(-1..=31)).filter(|day| *day != 0);
        days.push(day.ok_or_else(|| {
            fields.fault(
                Reason::Schema,
                "days_of_month",
                "must be days 1 to 31, or -1 for the last",
            )
        })?);
    }
    days.sort_unstable();
    days.dedup();
    Ok(Some(days))
}

fn cut_off(fields: &Fields<'_>) -> Result<Time, Fault> {
    let Some(text) = fields.text("cut_off")? else {
        return Ok(Time::midnight());
    };
    let time = text.parse().ok().filter(|_| has_shape(&text, "00:00"));
    time.ok_or_else(|| {
        fields.fault(
            Reason::Schema,
            "cut_off",
            "must be a time from 00:00 to 23:59",
        )
    })
}

fn deposit(fields: &Fields<'_>) -> Result<DepositTerms, Fault> {
    let fields = fields.object("deposit")?.unwrap_or_default();
    Ok(DepositTerms {
        required: fields.plain("required")?.unwrap_or_default(),
        top_up_bps: fields.whole("top_up_bps", BPS)?.unwrap_or_default(),
    })
}

fn refund(fields: &Fields<'_>) -> Result<RefundTerms, Fault> {
    let fields = fields.object("refund")?.unwrap_or_default();
    Ok(RefundTerms {
        source: fields.word("source")?.unwrap_or(RefundSource::HoldFirst),
        excess: fields.word("excess")?.unwrap_or(Excess::Reject),
        fees: fields.word("fees")?.unwrap_or(RefundFees::Kept),
        free: fields.word("free")?.unwrap_or(Free::Receivable),
    })
}

fn review(fields: &Fields<'_>) -> Result<ReviewTerms, Fault> {
    let fields = fields.object("review")?.unwrap_or_default();
    let usual = ReviewTerms::default();
    let hours = |name, usual| Ok(fields.whole(name, HOURS)?.unwrap_or(usual));
    Ok(ReviewTerms {
        threshold: fields.plain("threshold")?,
        respond_within_hours: hours("respond_within_hours", usual.respond_within_hours)?,
        on_silence: fields.word("on_silence")?.unwrap_or(usual.on_silence),
        decide_within_hours: hours("decide_within_hours", usual.decide_within_hours)?,
    })
}
