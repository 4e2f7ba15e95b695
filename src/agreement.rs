//! What an agreement agrees, in a few lines for people.

use jiff::SignedDuration;
use jiff::civil::{Date, Time};

use crate::rules::agreement::{Agreement, Basis, Count, Cycle, DayKind, Term};
use crate::rules::calendar::Calendars;
use crate::rules::settlement;
use crate::rules::time::{Instant, zone};

/// So many settlement dates are shown.
const DATES: usize = 4;
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// What the agreement says, one line per term, then its settlements.
#[must_use]
pub fn summary(agreement: &Agreement, from: Option<Date>) -> Vec<String> {
    let Agreement {
        agreement_id,
        version,
        merchant_id,
        effective_from,
        time_zone,
        ..
    } = agreement;
    let currency = agreement.currency.map_or("any currency", |it| it.code());
    let mut lines = vec![format!(
        "{agreement_id} version {version} of {merchant_id}, {currency}, from {effective_from}: good"
    )];
    lines.extend(agreement.terms.iter().map(term));
    let settlement = &agreement.settlement;
    let calendar = agreement.calendar.as_ref();
    let working = calendar.map_or_else(String::new, |it| format!(", by calendar {it}"));
    let (cut_off, cycle) = (
        settlement.cut_off.strftime("%H:%M"),
        cycle(&settlement.cycle),
    );
    lines.push(format!("settled {cycle} at {cut_off} {time_zone}{working}"));
    lines.push(match calendar {
        Some(calendar) => format!("settlement dates hang on calendar {calendar}"),
        None => format!("settlement dates: {}", dates(agreement, from).join(" ")),
    });
    lines
}

fn term(term: &Term) -> String {
    let (whole, part) = (term.rate_bps / 100, term.rate_bps % 100);
    let rate = match part {
        0 => format!("{whole} %"),
        part => format!("{whole}.{part:02} %"),
    };
    let basis = match term.basis {
        Basis::Gross => "amount",
        Basis::Net => "amount less fees",
    };
    let mut text = format!("term {}: {rate} of {basis}", term.name);
    let mut add = |stands: bool, part: String| {
        if stands {
            text.push_str(&part);
        }
    };
    add(!term.fixed.is_zero(), format!(" + {}", term.fixed));
    add(
        !term.minimum.is_zero(),
        format!(", at least {}", term.minimum),
    );
    if let Some(maximum) = term.maximum {
        add(true, format!(", at most {maximum}"));
    }
    for (attribute, values) in &term.when {
        add(
            true,
            format!(", when {attribute} is {}", values.join(" or ")),
        );
    }
    let days = match term.day_kind {
        DayKind::Calendar => "days",
        DayKind::Business => "working days",
    };
    let until = match term.count {
        Count::Instant => "to the same time of day",
        Count::Date => "to the start of the last",
        Count::EndOfDay => "to the end of the last",
    };
    let anchor = format!("{:?}", term.anchor).to_lowercase();
    add(
        true,
        format!("; {} {days} from {anchor}, {until}", term.days),
    );
    let at_limit = format!("{:?}", term.at_limit).to_lowercase();
    add(true, format!("; after {} days {at_limit}", term.limit_days));
    text
}

fn cycle(cycle: &Cycle) -> String {
    match cycle {
        Cycle::Daily => "daily".to_owned(),
        Cycle::Weekly { weekdays, every } => {
            let numbers = weekdays.iter().map(|day| usize::from(*day) - 1);
            let days: Vec<&str> = numbers.filter_map(|n| WEEKDAYS.get(n).copied()).collect();
            let every = match every {
                1 => String::new(),
                every => format!(" every {every} weeks"),
            };
            format!("weekly on {}{every}", days.join(" "))
        }
        Cycle::Monthly { days_of_month } => {
            let days = days_of_month.iter().map(|day| match day {
                -1 => "last".to_owned(),
                day => day.to_string(),
            });
            format!("monthly on {}", days.collect::<Vec<_>>().join(" "))
        }
    }
}

/// The next settlement dates of an agreement without a calendar.
fn dates(agreement: &Agreement, from: Option<Date>) -> Vec<String> {
    let start = zone(&agreement.time_zone)
        .zip(from)
        .and_then(|(zone, day)| Instant::at_local(day.to_datetime(Time::midnight()), &zone));
    let mut next = start.unwrap_or(agreement.effective_from);
    let mut dates = Vec::new();
    while dates.len() < DATES {
        let settled = settlement::settle(agreement, next, &Calendars::default());
        let Some((at, date)) = settled else { break };
        dates.push(date.to_string());
        next = Instant::new(at.timestamp() + SignedDuration::from_micros(1));
    }
    dates
}
