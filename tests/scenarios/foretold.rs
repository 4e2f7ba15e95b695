//! What is foretold is what happens: forecasts and expected dates against the releases of the days
//! that follow, when nothing changes.

use std::collections::BTreeMap;

use holdback::rules::entry::{Entry, Event};
use holdback::rules::explain::{Circumstances, explain};
use holdback::rules::forecast::Forecaster;
use holdback::rules::money::Amount;
use holdback::rules::release::{Claim, Clock};
use jiff::civil::Date;
use jiff::{Span, ToSpan};

use super::ledger::Ledger;
use super::setup;
use super::situations::SITUATIONS;

/// Situations where several things go at several times.
const MORE: &[(&[&str], &str)] = &[
    (
        &[
            "agreement sale 60% 7d; fast 30% 2d instant; reserve 10% 20d; weekly tue fri; cut_off 18:00",
            "05-01 completed O1 100.00 CNY",
            "05-02 refunded O1 R1 12.34 CNY",
        ],
        "05-02",
    ),
    (
        &[
            "agreement sale 100% 7d; zone Europe/Berlin; monthly 15 -1",
            "05-01 completed O1 100.00 EUR",
            "05-02 disputed O1 D1 return 40.00",
            "clock 05-16",
            "05-20 closed O1 D1 won",
        ],
        "05-21",
    ),
    (
        &[
            "calendar CN v1 holidays 05-01 05-04 05-05 works 05-09",
            "agreement sale 100% 3d business limit 30d at_limit release; parcel 0% 3d from delivered; calendar CN",
            "04-30 completed O1 100.00 CNY",
            "05-02 disputed O1 D1 complaint 25.00",
        ],
        "05-06",
    ),
    (
        &[
            "agreement sale 100% 7d from delivered limit 20d at_limit release",
            "05-01 completed O1 100.00 CNY",
        ],
        "05-02",
    ),
];

/// How far ahead is looked.
const AHEAD: u16 = 60;

fn clock(now: &str, zone: &str) -> Clock {
    let now = setup::instant(now, zone, "00:00").unwrap();
    Clock {
        now,
        gate: Some(now),
        not_before: setup::instant("2020-01-01", zone, "00:00").unwrap(),
    }
}

/// The releases of a day: its settlement date (for a limit's, the day itself), hold and sum.
fn released(step: &[Entry], day: Date) -> Vec<(Date, String, Amount)> {
    let released = step.iter().filter_map(|entry| match &entry.event {
        Event::ReleaseIssued(it) => Some((
            it.settlement_date.unwrap_or(day),
            entry.hold?.to_string(),
            it.gross,
        )),
        _ => None,
    });
    released.collect()
}

/// Every release of the days that follow.
fn what_happens(ledger: &mut Ledger, from: Date) -> Vec<(Date, String, Amount)> {
    let mut all = Vec::new();
    for ahead in 0..=i64::from(AHEAD) + 1 {
        let day = from + Span::new().days(ahead);
        ledger.act(&format!("clock {day}")).unwrap();
        all.extend(released(&ledger.step, day));
    }
    all
}

fn check(name: &str, lines: &[&str], asked: &str) -> usize {
    let mut ledger = Ledger::default();
    for line in lines {
        ledger.act(line).unwrap();
    }
    let clock = clock(asked, &ledger.zone());
    let order = ledger.order().unwrap().clone();
    let Some((sale, agreement)) = order.settled() else {
        return 0;
    };
    let mut forecaster =
        Forecaster::new(order.merchant.clone(), clock.now, clock.not_before, AHEAD);
    for hold in order.holds.iter().filter(|hold| !hold.left.is_zero()) {
        let claim = Claim {
            merchant: order.merchant.clone(),
            order: order.id.clone(),
            currency: sale.currency,
            agreement: agreement.clone(),
            hold: hold.clone(),
            traceparent: None,
        };
        forecaster.add(&claim).unwrap();
    }
    let forecast = forecaster.finish();
    let days = forecast.currencies.iter().flat_map(|it| &it.days);
    let foretold: BTreeMap<Date, Amount> = days.map(|it| (it.settlement_date, it.amount)).collect();
    let circumstances = Circumstances::default();
    let explanation = explain(&order, clock, &circumstances);

    let happened = what_happens(&mut ledger, setup::day(asked).unwrap());
    let mut sums: BTreeMap<Date, Amount> = BTreeMap::new();
    for (date, _, amount) in &happened {
        let sum = sums.get(date).copied();
        let sum = sum.unwrap_or_else(|| Amount::zero(sale.currency));
        sums.insert(*date, sum.plus(*amount).unwrap());
    }
    assert_eq!(foretold, sums, "{name}");
    let end = setup::day(asked).unwrap() + i64::from(AHEAD).days();
    for hold in explanation.holds {
        let first = happened.iter().find(|it| it.1 == hold.hold_id.to_string());
        let expected = hold.expected_on.filter(|date| *date <= end);
        assert_eq!(expected, first.map(|it| it.0), "{name}: {}", hold.term);
    }
    happened.len()
}

#[test]
fn what_is_foretold_is_what_is_released_when_nothing_changes() {
    let situations = SITUATIONS.iter().map(|it| (it.name, it.lines, it.asked));
    let more = MORE.iter().map(|(lines, asked)| (lines[0], *lines, *asked));
    let mut releases = 0;
    for (name, lines, asked) in situations.chain(more) {
        releases += check(name, lines, asked);
    }
    assert!(releases > 12, "only {releases} releases were compared");
}
