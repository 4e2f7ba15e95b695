//! Random agreements, sound ones only.

use std::collections::BTreeMap;

use holdback::rules::agreement::{
    Agreement, Anchor, AtLimit, Basis, Confirmation, Count, Cycle, DayKind, DepositTerms, Excess,
    Free, RefundFees, RefundSource, RefundTerms, Roll, SettlementTerms, Term,
};
use holdback::rules::ids::{AgreementId, CalendarId, MerchantId, TermName};
use holdback::rules::money::Currency;
use holdback::rules::review::ReviewTerms;
use holdback::rules::time::Instant;
use jiff::civil::Time;
use proptest::prelude::*;
use proptest::sample::select;
use rust_decimal::Decimal;

use super::history::at;

const ZONES: [&str; 6] = [
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/Santiago",
    "Africa/Cairo",
    "Asia/Beirut",
    "Australia/Lord_Howe",
];

fn plain(tenth_cents: i64) -> Decimal {
    Decimal::new(tenth_cents, 3)
}

fn terms() -> impl Strategy<Value = Vec<Term>> {
    let rate = select(vec![0_u32, 333, 1000, 3333, 5000, 6000, 10_000]);
    let sums = (
        select(vec![0_i64, 0, 0, 555, 1005]),
        select(vec![0_i64, 0, 0, 3000]),
        select(vec![None, None, None, Some(20_000_i64), Some(3005)]),
    );
    let days = (
        select(vec![0_u32, 1, 2, 7, 10]),
        select(vec![
            DayKind::Calendar,
            DayKind::Calendar,
            DayKind::Business,
        ]),
        select(vec![Count::Instant, Count::Date, Count::EndOfDay]),
    );
    let anchor = select(vec![
        Anchor::Completed,
        Anchor::Completed,
        Anchor::Delivered,
        Anchor::Confirmed,
    ]);
    let limit = (
        select(vec![20_u32, 30, 180]),
        select(vec![AtLimit::Alert, AtLimit::Release]),
    );
    let of = (select(vec![Basis::Gross, Basis::Net]), 0..4_u8);
    let term = (rate, sums, days, anchor, limit, of);
    prop::collection::vec(term, 1..4).prop_map(|terms| {
        let terms = terms.into_iter().enumerate();
        terms
            .map(|(n, (rate_bps, sums, days, anchor, limit, of))| Term {
                name: TermName::parse(&format!("t{n}")).unwrap(),
                basis: of.0,
                rate_bps,
                fixed: plain(sums.0),
                minimum: plain(sums.1),
                maximum: sums.2.map(plain),
                when: match of.1 {
                    0 => BTreeMap::from([("category".to_owned(), vec!["phone".to_owned()])]),
                    _ => BTreeMap::new(),
                },
                anchor,
                days: days.0,
                day_kind: days.1,
                count: days.2,
                limit_days: limit.0,
                at_limit: limit.1,
            })
            .collect()
    })
}

fn settlement() -> impl Strategy<Value = SettlementTerms> {
    let weekly = |weekdays: &[u8], every| Cycle::Weekly {
        weekdays: weekdays.to_vec(),
        every,
    };
    let monthly = |days: &[i8]| Cycle::Monthly {
        days_of_month: days.to_vec(),
    };
    let cycle = select(vec![
        Cycle::Daily,
        Cycle::Daily,
        weekly(&[1, 4], 1),
        weekly(&[5], 2),
        weekly(&[6, 7], 3),
        monthly(&[1]),
        monthly(&[15, -1]),
        monthly(&[30, 31]),
    ]);
    let roll = select(vec![
        Roll::Following,
        Roll::ModifiedFollowing,
        Roll::Preceding,
        Roll::Unadjusted,
    ]);
    let cut_off = select(vec![(0, 0), (0, 30), (2, 30), (17, 30)]);
    (cycle, roll, cut_off).prop_map(|(cycle, roll, (hour, minute))| SettlementTerms {
        cycle,
        cut_off: Time::constant(hour, minute, 0, 0),
        roll,
        minimum: Decimal::ZERO,
        minimum_max_days: 90,
    })
}

fn refund() -> impl Strategy<Value = RefundTerms> {
    (
        select(vec![
            RefundSource::HoldFirst,
            RefundSource::HoldFirst,
            RefundSource::Proportional,
            RefundSource::MerchantFirst,
        ]),
        select(vec![Excess::Reject, Excess::Receivable]),
        select(vec![RefundFees::Kept, RefundFees::Returned]),
        select(vec![Free::Receivable, Free::Outside]),
    )
        .prop_map(|(source, excess, fees, free)| RefundTerms {
            source,
            excess,
            fees,
            free,
        })
}

/// The merchant's own or the platform's, of one currency or of any.
pub fn agreements(start: usize, currency: Currency) -> impl Strategy<Value = Agreement> {
    let whose = (0..4_u8, 0..4_u8, 0..4_u8, 0..4_u8, 0..3_u8);
    let confirmation = (any::<bool>(), select(vec![24_u32, 240]));
    (
        terms(),
        settlement(),
        refund(),
        select(ZONES.to_vec()),
        confirmation,
        whose,
    )
        .prop_map(
            move |(mut terms, settlement, refund, zone, confirmation, whose)| {
                let instant = |hours| Instant::new(at(start, hours));
                let calendar = (whose.4 > 0).then(|| CalendarId::parse("C").unwrap());
                for term in &mut terms {
                    if calendar.is_none() {
                        term.day_kind = DayKind::Calendar;
                    }
                    if let Some(maximum) = term.maximum {
                        term.minimum = term.minimum.min(maximum);
                    }
                }
                Agreement {
                    agreement_id: AgreementId::parse("AG-1").unwrap(),
                    version: 1,
                    merchant_id: match whose.0 {
                        0 => MerchantId::platform(),
                        _ => MerchantId::parse("M1").unwrap(),
                    },
                    effective_from: match whose.1 {
                        0 => instant(24),
                        _ => instant(-24 * 200),
                    },
                    effective_until: (whose.2 == 0).then(|| instant(48)),
                    currency: (whose.3 == 0 && currency.exponent() > 2).then_some(currency),
                    time_zone: zone.to_owned(),
                    calendar,
                    terms,
                    confirmation: Confirmation {
                        required: confirmation.0,
                        auto_after_hours: confirmation.1,
                    },
                    settlement,
                    refund,
                    deposit: DepositTerms::default(),
                    review: ReviewTerms::default(),
                }
            },
        )
}
