//! `agreement.published`: every default of the contract's section 4 filled in, what this version
//! can't keep (reviews) refused rather than ignored.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use jiff::civil::Time;
use rust_decimal::Decimal;

use super::calendar::weekdays;
use super::fields::{self, Fields, has_shape};
use super::order::{VERSION_MAX, instant};
use super::rejection::{Fault, Reason};
use crate::rules::agreement::{
    Agreement, Anchor, AtLimit, Basis, Confirmation, Count, Cycle, DayKind, DepositTerms, Excess,
    Free, RefundFees, RefundSource, RefundTerms, Roll, SettlementTerms, Term,
};
use crate::rules::ids::{AgreementId, CalendarId, MerchantId, TermName};

/// Ten years.
const DAYS: RangeInclusive<u32> = 0..=3_660;
const HOURS: RangeInclusive<u32> = 0..=87_840;
const WEEKS: RangeInclusive<u32> = 1..=52;
const BPS: RangeInclusive<u32> = 0..=10_000;
/// Every order makes up to one hold per term.
const TERMS: RangeInclusive<usize> = 1..=100;

/// Reads one version of an agreement.
pub(super) fn agreement(fields: &Fields<'_>) -> Result<Agreement, Fault> {
    let time_zone = fields.required("time_zone", fields.text("time_zone")?)?;
    let settlement = fields.required("settlement", fields.object("settlement")?)?;
    let agreement = Agreement {
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
        settlement: settlement_terms(&settlement)?,
        refund: refund(fields)?,
        deposit: deposit(fields)?,
    };
    not_yet_supported(fields)?;
    let faults = agreement.check();
    if !faults.is_empty() {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        return Err(Fault::new(Reason::Value, faults.join("; ")));
    }
    Ok(agreement)
}

fn terms(fields: &Fields<'_>) -> Result<Vec<Term>, Fault> {
    let items = fields.required("terms", fields.list("terms")?)?;
    if !TERMS.contains(&items.len()) {
        return Err(fields.fault(Reason::Schema, "terms", "must be 1 to 100 terms"));
    }
    let at = fields.pointer("terms");
    let terms = items.into_iter().enumerate();
    terms
        .map(|(n, raw)| term(&Fields::split(raw, format!("{at}/{n}"))?))
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

/// Reviews come with a later version: an agreement that relies on them is refused,
/// for releasing without the agreed review would be worse than not accepting it.
fn not_yet_supported(fields: &Fields<'_>) -> Result<(), Fault> {
    let mut asked = Vec::new();
    if let Some(review) = fields.object("review")? {
        asked.extend(review.plain("threshold")?.map(|_| "/review/threshold"));
        let respond = review.whole("respond_within_hours", HOURS)?.unwrap_or(48) != 48;
        asked.extend(respond.then_some("/review/respond_within_hours"));
        let silence = review
            .text("on_silence")?
            .is_some_and(|word| word != "escalate");
        asked.extend(silence.then_some("/review/on_silence"));
        let decide = review.whole("decide_within_hours", HOURS)?.unwrap_or(72) != 72;
        asked.extend(decide.then_some("/review/decide_within_hours"));
    }
    if asked.is_empty() {
        return Ok(());
    }
    let what = format!(
        "{}: reviews are not supported by this version; leave the defaults",
        asked.join(", ")
    );
    Err(Fault::new(Reason::Value, what))
}
