//! What the tests of the base rules start from.

use std::collections::BTreeMap;

use holdback::rules::agreement::{
    Agreement, Anchor, AtLimit, Basis, Confirmation, Count, Cycle, DayKind, DepositTerms, Excess,
    Free, RefundFees, RefundSource, RefundTerms, Roll, SettlementTerms, Term,
};
use holdback::rules::ids::{AgreementId, MerchantId, TermName};
use holdback::rules::review::ReviewTerms;
use holdback::rules::time::Instant;
use jiff::Timestamp;
use jiff::civil::Time;
use rust_decimal::Decimal;

/// An instant as messages write it.
pub fn at(text: &str) -> Instant {
    Instant::new(text.parse::<Timestamp>().unwrap())
}

/// The contract's defaults: 100 % for 7 calendar days, settled daily at 00:00 in Shanghai.
pub fn agreement() -> Agreement {
    Agreement {
        agreement_id: AgreementId::parse("AG-7").unwrap(),
        version: 1,
        merchant_id: MerchantId::parse("M-1").unwrap(),
        effective_from: at("2000-01-01T00:00:00Z"),
        effective_until: None,
        currency: None,
        time_zone: "Asia/Shanghai".to_owned(),
        calendar: None,
        terms: vec![term("sale")],
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
    }
}

/// A term of the contract's defaults.
pub fn term(name: &str) -> Term {
    Term {
        name: TermName::parse(name).unwrap(),
        basis: Basis::Gross,
        rate_bps: 10_000,
        fixed: Decimal::ZERO,
        minimum: Decimal::ZERO,
        maximum: None,
        when: BTreeMap::new(),
        anchor: Anchor::Completed,
        days: 7,
        day_kind: DayKind::Calendar,
        count: Count::EndOfDay,
        limit_days: 180,
        at_limit: AtLimit::Alert,
    }
}
