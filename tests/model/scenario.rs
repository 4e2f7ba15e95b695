//! A history in the words of `tests/scenarios`.

use std::fmt::Write as _;

use holdback::rules::agreement::{Agreement, AtLimit, Basis, Cycle, DayKind, Term};
use holdback::rules::calendar::Calendar;
use holdback::rules::fact::{OrderEvent, OrderFact};
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::Serialize;

use super::history::Step;

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

pub fn written(steps: &[Step]) -> String {
    let mut text = String::from("## rules and model agree\n");
    for step in steps {
        let line = match step {
            Step::Agreement(it) => agreement(it),
            Step::Calendar(it) => calendar(it),
            Step::Order(it) => fact(it),
            Step::Clock(now) => format!("clock {now}"),
        };
        writeln!(text, "{line}").expect("a text takes any");
    }
    text
}

/// As the wire writes it.
fn word<T: Serialize>(value: T) -> String {
    let value = serde_json::to_value(value).expect("a word");
    value.as_str().expect("a word").to_owned()
}

fn names(days: impl IntoIterator<Item = u8>) -> String {
    let days = days.into_iter().map(|day| WEEKDAYS[usize::from(day) - 1]);
    days.collect::<Vec<_>>().join(" ")
}

fn agreement(it: &Agreement) -> String {
    let mut parts: Vec<String> = it.terms.iter().map(term).collect();
    parts.push(match &it.settlement.cycle {
        Cycle::Daily => "daily".to_owned(),
        Cycle::Weekly { weekdays, every } => {
            format!("weekly {} every {every}", names(weekdays.iter().copied()))
        }
        Cycle::Monthly { days_of_month } => {
            let days = days_of_month.iter().map(ToString::to_string);
            format!("monthly {}", days.collect::<Vec<_>>().join(" "))
        }
    });
    parts.push(format!("cut_off {}", it.settlement.cut_off));
    parts.push(format!("roll {}", word(it.settlement.roll)));
    parts.push(format!("zone {}", it.time_zone));
    parts.push(format!("version {}", it.version));
    parts.push(format!("effective {}", it.effective_from));
    parts.extend(it.effective_until.map(|at| format!("until {at}")));
    parts.extend(it.calendar.as_ref().map(|id| format!("calendar {id}")));
    parts.extend(it.currency.map(|code| format!("currency {code}")));
    parts.extend(it.merchant_id.is_platform().then(|| "platform".to_owned()));
    if it.confirmation.required {
        parts.push(format!(
            "confirm after {}h",
            it.confirmation.auto_after_hours
        ));
    }
    parts.push(format!("refund {}", word(it.refund.source)));
    parts.push(format!("excess {}", word(it.refund.excess)));
    parts.push(format!("fees {}", word(it.refund.fees)));
    parts.push(format!("free {}", word(it.refund.free)));
    format!("agreement {}", parts.join("; "))
}

fn term(it: &Term) -> String {
    let rate = Decimal::new(i64::from(it.rate_bps), 2).normalize();
    let mut text = format!("{} {rate}% {}d {}", it.name, it.days, word(it.count));
    let mut add = |part: String| {
        text.push(' ');
        text.push_str(&part);
    };
    if it.basis == Basis::Net {
        add("net".to_owned());
    }
    if it.day_kind == DayKind::Business {
        add("business".to_owned());
    }
    if !it.fixed.is_zero() {
        add(format!("fixed {}", it.fixed));
    }
    if !it.minimum.is_zero() {
        add(format!("min {}", it.minimum));
    }
    if let Some(maximum) = it.maximum {
        add(format!("max {maximum}"));
    }
    for (attribute, values) in &it.when {
        add(format!("when {attribute}={}", values.join("/")));
    }
    add(format!("from {} limit {}d", word(it.anchor), it.limit_days));
    if it.at_limit == AtLimit::Release {
        add("at_limit release".to_owned());
    }
    text
}

fn calendar(it: &Calendar) -> String {
    let dates = |days: &std::collections::BTreeSet<Date>| {
        let days = days.iter().map(ToString::to_string);
        days.collect::<Vec<_>>().join(" ")
    };
    let mut text = format!(
        "calendar {} v{} weekend {} holidays {} works {}",
        it.calendar,
        it.version,
        names(it.weekend.iter().copied()),
        dates(&it.holidays),
        dates(&it.working_days),
    );
    if let Some(until) = it.until {
        write!(text, " until {until}").expect("a text takes any");
    }
    text
}

fn fact(fact: &OrderFact) -> String {
    let (at, order) = (fact.business_at(), &fact.order);
    let optional = |word: &str, sum: Option<Decimal>| {
        sum.map_or_else(String::new, |sum| format!("{word}{sum}"))
    };
    let what = match &fact.what {
        OrderEvent::Completed(it) => {
            let mut text = format!(
                "completed {order} {} {} fees {}",
                it.amount, it.currency, it.fees
            );
            for (attribute, value) in &it.attributes {
                write!(text, " {attribute}={value}").expect("a text takes any");
            }
            text
        }
        OrderEvent::Confirmed { .. } => format!("confirmed {order}"),
        OrderEvent::Delivered { .. } => format!("delivered {order}"),
        OrderEvent::Cancelled { .. } => format!("cancelled {order}"),
        OrderEvent::Refunded(it) => {
            let of = it.dispute.as_ref();
            let of = of.map_or_else(String::new, |id| format!(" for {id}"));
            format!(
                "refunded {order} {} {} {}{of}",
                it.refund, it.amount, it.currency
            )
        }
        OrderEvent::DisputeOpened(it) => {
            let amount = optional(" ", it.amount);
            format!("disputed {order} {} {}{amount}", it.dispute, it.kind.name())
        }
        OrderEvent::DisputeUpdated(it) => {
            let kind = it
                .kind
                .map_or_else(String::new, |it| format!(" {}", it.name()));
            let amount = optional(" ", it.amount);
            format!(
                "updated {order} {} v{}{kind}{amount}",
                it.dispute, it.version
            )
        }
        OrderEvent::DisputeClosed(it) => {
            let expected = optional(" expecting ", it.refund_expected);
            format!(
                "closed {order} {} {}{expected}",
                it.dispute,
                word(it.outcome)
            )
        }
        OrderEvent::ReviewRequested(_)
        | OrderEvent::ReviewAnswered(_)
        | OrderEvent::ReviewDecided(_)
        | OrderEvent::RefundReversed(_) => unreachable!("histories have none of these"),
    };
    format!("{at} {what}")
}
