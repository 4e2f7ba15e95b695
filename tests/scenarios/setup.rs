//! Reads agreements, calendars and times as scenarios write them.

use std::collections::BTreeMap;

use holdback::rules::agreement::{
    Agreement, Anchor, AtLimit, Basis, Confirmation, Count, Cycle, DayKind, DepositTerms, Excess,
    Free, RefundFees, RefundSource, RefundTerms, Roll, SettlementTerms, Term,
};
use holdback::rules::calendar::Calendar;
use holdback::rules::ids::{AgreementId, CalendarId, MerchantId, TermName};
use holdback::rules::money::Currency;
use holdback::rules::pause::{Pause, Pauses, Scope};
use holdback::rules::review::ReviewTerms;
use holdback::rules::time::Instant;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use rust_decimal::Decimal;

pub const ZONE: &str = "Asia/Shanghai";
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// `05-09`, `05-09T17:30` or `2027-01-02T03:04:05Z`; a time without a zone is local in `zone`.
pub fn instant(text: &str, zone: &str, default_time: &str) -> Result<Instant, String> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(Instant::new(at));
    }
    let (day, time) = text.split_once('T').unwrap_or((text, default_time));
    let time: Time = read(time)?;
    let zone = TimeZone::get(zone).map_err(|error| error.to_string())?;
    let local = self::day(day)?.to_datetime(time);
    let at = zone
        .to_timestamp(local)
        .map_err(|error| error.to_string())?;
    Ok(Instant::new(at))
}

/// `05-09` of 2026, or `2027-05-09`.
pub fn day(text: &str) -> Result<Date, String> {
    let text = if text.len() == 5 {
        format!("2026-{text}")
    } else {
        text.to_owned()
    };
    text.parse().map_err(|_| format!("`{text}` is no day"))
}

/// A pause of `all`, a currency or a merchant.
pub fn paused(what: &str, since: Instant) -> Result<Pauses, String> {
    let scope = match Currency::from_code(what) {
        _ if what == "all" => Scope::All,
        Some(currency) => Scope::Currency(currency),
        None => Scope::Merchant(MerchantId::parse(what).map_err(|error| error.to_string())?),
    };
    let pause = Pause {
        scope,
        actor: "Ann".to_owned(),
        reason: "because".to_owned(),
        since,
    };
    Ok([pause].into_iter().collect())
}

pub fn read<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("can't read `{text}`"))
}

fn weekdays(words: &[&str]) -> Vec<u8> {
    let number = |word: &&str| WEEKDAYS.iter().position(|day| day == word);
    let numbers = words.iter().filter_map(number);
    numbers.map(|it| u8::try_from(it).unwrap() + 1).collect()
}

/// `sale 100% 7d end_of_day net; reserve 10% 90d; weekly mon thu; zone Europe/Berlin`.
pub fn agreement(text: &str) -> Result<Agreement, String> {
    let mut agreement = Agreement {
        agreement_id: AgreementId::parse("AG-1").unwrap(),
        version: 1,
        merchant_id: MerchantId::parse("M1").unwrap(),
        effective_from: "2026-01-01T00:00:00Z"
            .parse::<jiff::Timestamp>()
            .unwrap()
            .into(),
        effective_until: None,
        currency: None,
        time_zone: ZONE.to_owned(),
        calendar: None,
        terms: Vec::new(),
        confirmation: Confirmation {
            required: false,
            auto_after_hours: 240,
        },
        review: ReviewTerms::default(),
        settlement: SettlementTerms {
            cycle: Cycle::Daily,
            cut_off: Time::midnight(),
            roll: Roll::Following,
            minimum: Decimal::ZERO,
            minimum_max_days: 90,
        },
        refund: RefundTerms {
            source: RefundSource::HoldFirst,
            excess: Excess::Reject,
            fees: RefundFees::Kept,
            free: Free::Receivable,
        },
        deposit: DepositTerms::default(),
    };
    for part in text.split(';') {
        let words: Vec<&str> = part.split_whitespace().collect();
        if words.get(1).is_some_and(|word| word.ends_with('%')) {
            agreement.terms.push(term(&words)?);
        } else {
            option(&mut agreement, &words)?;
        }
    }
    if let Some(fault) = agreement.check().first() {
        return Err(format!("unsound agreement: {fault}"));
    }
    Ok(agreement)
}

fn option(agreement: &mut Agreement, words: &[&str]) -> Result<(), String> {
    let zone = agreement.time_zone.clone();
    let settlement = &mut agreement.settlement;
    let refund = &mut agreement.refund;
    match words {
        ["daily"] => settlement.cycle = Cycle::Daily,
        ["weekly", days @ ..] => {
            let every = match days {
                [.., "every", weeks] => read(weeks)?,
                _ => 1,
            };
            let weekdays = weekdays(days);
            settlement.cycle = Cycle::Weekly { weekdays, every };
        }
        ["monthly", days @ ..] => {
            let days: Result<Vec<i8>, String> = days.iter().map(|it| read(it)).collect();
            settlement.cycle = Cycle::Monthly {
                days_of_month: days?,
            };
        }
        ["cut_off", time] => settlement.cut_off = read(time)?,
        ["roll", roll] => settlement.roll = word(roll)?,
        ["minimum", amount] => settlement.minimum = read(amount)?,
        ["minimum", amount, "for", days] => {
            settlement.minimum = read(amount)?;
            settlement.minimum_max_days = read(days.trim_end_matches('d'))?;
        }
        ["zone", zone] => agreement.time_zone = (*zone).to_owned(),
        ["calendar", id] => agreement.calendar = CalendarId::parse(id).ok(),
        ["effective", at] => agreement.effective_from = instant(at, &zone, "00:00")?,
        ["until", at] => agreement.effective_until = Some(instant(at, &zone, "00:00")?),
        ["currency", code] => agreement.currency = Currency::from_code(code),
        ["id", id] => agreement.agreement_id = AgreementId::parse(id).unwrap(),
        ["version", version] => agreement.version = read(version)?,
        ["platform"] => agreement.merchant_id = MerchantId::platform(),
        ["confirm", "after", hours] => {
            agreement.confirmation.required = true;
            agreement.confirmation.auto_after_hours = read(hours.trim_end_matches('h'))?;
        }
        ["review", "silence", policy] => agreement.review.on_silence = word(policy)?,
        ["review", "respond", hours] => {
            agreement.review.respond_within_hours = read(hours.trim_end_matches('h'))?;
        }
        ["review", "decide", hours] => {
            agreement.review.decide_within_hours = read(hours.trim_end_matches('h'))?;
        }
        ["review", threshold] => agreement.review.threshold = Some(read(threshold)?),
        ["refund", source] => refund.source = word(source)?,
        ["excess", excess] => refund.excess = word(excess)?,
        ["fees", fees] => refund.fees = word(fees)?,
        ["deposit", required, "top_up", bps] => {
            agreement.deposit.required = read(required)?;
            agreement.deposit.top_up_bps = read(bps)?;
        }
        ["free", free] => refund.free = word(free)?,
        other => return Err(format!("`{}` is no part of an agreement", other.join(" "))),
    }
    Ok(())
}

/// A word as the wire writes it.
pub fn word<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|error| error.to_string())
}

fn term(words: &[&str]) -> Result<Term, String> {
    let [name, rate, days, rest @ ..] = words else {
        return Err(format!("`{}` is no term", words.join(" ")));
    };
    let rate: Decimal = read(rate.trim_end_matches('%'))?;
    let bps = rate * Decimal::ONE_HUNDRED;
    let mut term = Term {
        name: TermName::parse(name).unwrap(),
        basis: Basis::Gross,
        rate_bps: read(&bps.normalize().to_string())?,
        fixed: Decimal::ZERO,
        minimum: Decimal::ZERO,
        maximum: None,
        when: BTreeMap::new(),
        anchor: Anchor::Completed,
        days: read(days.trim_end_matches('d'))?,
        day_kind: DayKind::Calendar,
        count: Count::EndOfDay,
        limit_days: 180,
        at_limit: AtLimit::Alert,
    };
    let mut rest = rest;
    while let [first, after @ ..] = rest {
        rest = after;
        match (*first, after) {
            ("net", _) => term.basis = Basis::Net,
            ("business", _) => term.day_kind = DayKind::Business,
            ("instant" | "date" | "end_of_day", _) => term.count = word(first)?,
            (option, [value, after @ ..]) => {
                rest = after;
                match option {
                    "fixed" => term.fixed = read(value)?,
                    "min" => term.minimum = read(value)?,
                    "max" => term.maximum = Some(read(value)?),
                    "from" => term.anchor = word(value)?,
                    "limit" => term.limit_days = read(value.trim_end_matches('d'))?,
                    "at_limit" => term.at_limit = word(value)?,
                    "when" => {
                        let (key, values) = value.split_once('=').ok_or("when key=value")?;
                        let values = values.split('/').map(str::to_owned).collect();
                        term.when.insert(key.to_owned(), values);
                    }
                    other => return Err(format!("`{other}` is no part of a term")),
                }
            }
            (other, _) => return Err(format!("`{other}` is no part of a term")),
        }
    }
    Ok(term)
}

/// `CN v1 weekend sat sun holidays 05-01 05-04 works 05-09 from 01-01 until 12-31`.
pub fn calendar(words: &[&str]) -> Result<Calendar, String> {
    let [id, version, rest @ ..] = words else {
        return Err("calendar ID vN …".to_owned());
    };
    let mut calendar = Calendar {
        calendar: CalendarId::parse(id).unwrap(),
        version: read(version.trim_start_matches('v'))?,
        weekend: [6, 7].into(),
        holidays: [].into(),
        working_days: [].into(),
        from: None,
        until: None,
    };
    let mut section = "";
    for word in rest {
        match (section, *word) {
            (_, "weekend") => {
                section = "weekend";
                calendar.weekend.clear();
            }
            (_, "holidays" | "works" | "from" | "until") => section = word,
            ("weekend", day) => calendar.weekend.extend(weekdays(&[day])),
            ("holidays", text) => drop(calendar.holidays.insert(day(text)?)),
            ("works", text) => drop(calendar.working_days.insert(day(text)?)),
            ("from", text) => calendar.from = Some(day(text)?),
            ("until", text) => calendar.until = Some(day(text)?),
            (_, other) => return Err(format!("`{other}` is no part of a calendar")),
        }
    }
    calendar.check().map_err(|problems| problems.join("; "))?;
    Ok(calendar)
}
