//! Money: what is read as an amount, exact shares and splits. The properties compare with
//! arithmetic as on paper.

#![expect(
    clippy::unwrap_used,
    reason = "what a test starts from is right by construction"
)]

use holdback::rules::money::{Amount, Currency, MoneyError};
use proptest::prelude::*;
use rust_decimal::Decimal;

fn currency(code: &str) -> Currency {
    Currency::from_code(code).unwrap()
}

fn eur(text: &str) -> Amount {
    Amount::parse(text, currency("EUR")).unwrap()
}

fn of_units(units: u128) -> Amount {
    let value = Decimal::try_from_i128_with_scale(i128::try_from(units).unwrap(), 2).unwrap();
    Amount::new(value, currency("EUR")).unwrap()
}

fn units(amount: Amount) -> u128 {
    amount.decimal().mantissa().unsigned_abs()
}

#[test]
fn amounts_are_plain_decimals_that_fit_the_currency() {
    use MoneyError::{NotADecimal, TooFine, TooLarge};
    let table: &[(&str, &str, Result<&str, MoneyError>)] = &[
        ("EUR", "0", Ok("0.00")),
        ("EUR", "0.50", Ok("0.50")),
        ("EUR", "12.5", Ok("12.50")),
        ("EUR", "007", Ok("7.00")),
        ("EUR", "999999999999999.99", Ok("999999999999999.99")),
        ("JPY", "1200", Ok("1200")),
        ("KWD", "1.234", Ok("1.234")),
        ("CLF", "1.2345", Ok("1.2345")),
        ("EUR", "1.234", Err(TooFine)),
        ("EUR", "1.500", Err(TooFine)),
        ("JPY", "1.0", Err(TooFine)),
        ("EUR", "1.23456", Err(TooFine)),
        ("EUR", "1000000000000000", Err(TooLarge)),
        ("EUR", "0000000000000001", Err(TooLarge)),
        ("EUR", "", Err(NotADecimal)),
        ("EUR", ".", Err(NotADecimal)),
        ("EUR", ".5", Err(NotADecimal)),
        ("EUR", "1.", Err(NotADecimal)),
        ("EUR", "1.2.3", Err(NotADecimal)),
        ("EUR", "-1", Err(NotADecimal)),
        ("EUR", "+1", Err(NotADecimal)),
        ("EUR", "1e3", Err(NotADecimal)),
        ("EUR", "1,000", Err(NotADecimal)),
        ("EUR", "1_000", Err(NotADecimal)),
        ("EUR", " 1", Err(NotADecimal)),
        ("EUR", "١", Err(NotADecimal)),
        ("EUR", "NaN", Err(NotADecimal)),
    ];
    for (code, text, expected) in table {
        let read = Amount::parse(text, currency(code)).map(|amount| amount.to_string());
        assert_eq!(read, expected.clone().map(str::to_owned), "{text:?} {code}");
    }
}

#[test]
fn a_share_is_rounded_half_up() {
    let table = [
        ("0.05", 1_000, "0.01"),
        ("0.04", 1_000, "0.00"),
        ("0.15", 1_000, "0.02"),
        ("0.25", 1_000, "0.03"),
        ("100.00", 10_000, "100.00"),
        ("99.99", 3_333, "33.33"),
        ("99.99", 0, "0.00"),
    ];
    for (amount, bps, share) in table {
        assert_eq!(
            eur(amount).share_bps(bps).unwrap().to_string(),
            share,
            "{amount} × {bps}"
        );
    }
}

#[test]
fn a_proportion_is_rounded_half_up_and_needs_a_whole() {
    let proportion = |amount, part, whole| eur(amount).proportion(eur(part), eur(whole));
    assert_eq!(proportion("10.00", "1.00", "3.00"), Ok(eur("3.33")));
    assert_eq!(proportion("10.00", "2.00", "3.00"), Ok(eur("6.67")));
    assert_eq!(proportion("0.01", "1.00", "2.00"), Ok(eur("0.01")));
    assert_eq!(proportion("10.00", "3.00", "3.00"), Ok(eur("10.00")));
    assert_eq!(
        proportion("10.00", "1.00", "0.00"),
        Err(MoneyError::NoWhole)
    );
}

#[test]
fn what_is_left_over_of_a_split_goes_to_the_largest_remainders_the_first_on_ties() {
    let table: &[(&str, &[&str], &[&str])] = &[
        ("1.00", &["1", "1", "1"], &["0.34", "0.33", "0.33"]),
        ("0.02", &["1", "1", "1"], &["0.01", "0.01", "0.00"]),
        ("10.00", &["1", "2", "4"], &["1.43", "2.86", "5.71"]),
        ("0.01", &["0", "1", "2"], &["0.00", "0.00", "0.01"]),
        ("0.05", &["90", "0", "10"], &["0.05", "0.00", "0.00"]),
        ("0.00", &["0", "0"], &["0.00", "0.00"]),
    ];
    for (amount, weights, parts) in table {
        let weights: Vec<Amount> = weights.iter().map(|weight| eur(weight)).collect();
        let split = eur(amount).split(&weights).unwrap();
        let split: Vec<String> = split.iter().map(Amount::to_string).collect();
        assert_eq!(split, *parts, "{amount}");
    }
    assert_eq!(
        eur("1.00").split(&[eur("0"), eur("0")]),
        Err(MoneyError::NoWhole)
    );
    assert_eq!(eur("1.00").split(&[]), Err(MoneyError::NoWhole));
}

#[test]
fn sums_overflow_and_differences_end_at_zero_as_errors() {
    let most = of_units((1 << 96) - 1);
    assert_eq!(most.plus(eur("0.01")), Err(MoneyError::Overflow));
    assert_eq!(
        Amount::sum(currency("EUR"), [most, most]),
        Err(MoneyError::Overflow)
    );
    assert_eq!(most.share_bps(10_000), Ok(most));
    assert_eq!(most.share_bps(10_001), Err(MoneyError::Overflow));
    assert_eq!(most.proportion(most, most), Ok(most));
    assert_eq!(
        most.proportion(most, eur("0.01")),
        Err(MoneyError::Overflow)
    );
    assert_eq!(eur("1.00").minus(eur("1.01")), Err(MoneyError::BelowZero));
    assert_eq!(eur("1.00").minus(eur("1.00")), Ok(eur("0")));
    assert_eq!(Amount::sum(currency("EUR"), []), Ok(eur("0")));
}

#[test]
fn amounts_of_other_minor_units_never_mix() {
    let yen = Amount::parse("100", currency("JPY")).unwrap();
    assert_eq!(yen.plus(eur("1.00")), Err(MoneyError::Mixed));
    assert_eq!(yen.minus(eur("1.00")), Err(MoneyError::Mixed));
    assert_eq!(
        eur("1.00").proportion(yen, eur("1.00")),
        Err(MoneyError::Mixed)
    );
    assert_eq!(
        eur("1.00").split(&[yen, eur("1.00")]),
        Err(MoneyError::Mixed)
    );
    // A share of euros by a proportion of yen is a sum of euros.
    assert_eq!(eur("1.00").proportion(yen, yen), Ok(eur("1.00")));
}

#[test]
fn an_agreements_plain_number_is_rounded_half_up_to_the_minor_unit() {
    let plain = |text: &str, code| {
        Amount::from_plain(text.parse().unwrap(), currency(code)).map(|amount| amount.to_string())
    };
    assert_eq!(plain("2.5", "JPY"), Ok("3".to_owned()));
    assert_eq!(plain("2.4999", "JPY"), Ok("2".to_owned()));
    assert_eq!(plain("0.125", "EUR"), Ok("0.13".to_owned()));
    assert_eq!(plain("5000", "KWD"), Ok("5000.000".to_owned()));
    assert_eq!(plain("-1", "EUR"), Err(MoneyError::BelowZero));
}

/// Multiplies as on paper, digit by digit, and divides by long division: shares nothing with the
/// code under test. Quotient and whether the rest is at least half of the divisor.
fn on_paper(a: u128, b: u128, divisor: u128) -> (u128, u128) {
    let digits = |number: u128| -> Vec<u128> {
        number
            .to_string()
            .bytes()
            .rev()
            .map(|byte| u128::from(byte - b'0'))
            .collect()
    };
    let (a, b) = (digits(a), digits(b));
    let mut product = vec![0_u128; a.len() + b.len() + 1];
    for (i, x) in a.iter().enumerate() {
        for (j, y) in b.iter().enumerate() {
            product[i + j] += x * y;
        }
    }
    for place in 0..product.len() - 1 {
        product[place + 1] += product[place] / 10;
        product[place] %= 10;
    }
    let (mut quotient, mut rest) = (0_u128, 0_u128);
    for digit in product.iter().rev() {
        rest = rest * 10 + digit;
        quotient = quotient * 10 + rest / divisor;
        rest %= divisor;
    }
    (quotient, rest)
}

fn half_up((quotient, rest): (u128, u128), divisor: u128) -> u128 {
    quotient + u128::from(rest * 2 >= divisor)
}

const MOST: u128 = (1 << 96) - 1;

/// Small, large and any in between, so that rounding and carries both happen.
fn any_units() -> impl Strategy<Value = u128> {
    prop_oneof![0..1_000_u128, 0..=1_000_000_000_000_u128, 0..=MOST]
}

proptest! {
    #[test]
    fn a_share_equals_the_share_on_paper(amount in any_units(), bps in 0..=10_000_u32) {
        let share = of_units(amount).share_bps(bps).unwrap();
        prop_assert_eq!(units(share), half_up(on_paper(amount, bps.into(), 10_000), 10_000));
    }

    #[test]
    fn a_proportion_equals_the_proportion_on_paper(
        amount in any_units(),
        part in any_units(),
        whole in any_units(),
    ) {
        let (part, whole) = (part.min(whole), part.max(whole).max(1));
        let proportion = of_units(amount).proportion(of_units(part), of_units(whole)).unwrap();
        prop_assert_eq!(units(proportion), half_up(on_paper(amount, part, whole), whole));
    }

    #[test]
    fn parts_add_up_and_each_is_within_one_unit_of_its_exact_share(
        amount in any_units(),
        weights in prop::collection::vec(0..=(MOST / 8), 1..8),
    ) {
        let whole: u128 = weights.iter().sum();
        prop_assume!(whole > 0);
        let shares: Vec<Amount> = weights.iter().copied().map(of_units).collect();
        let parts = of_units(amount).split(&shares).unwrap();
        prop_assert_eq!(Amount::sum(currency("EUR"), parts.iter().copied()).unwrap(), of_units(amount));
        for (part, weight) in parts.iter().zip(&weights) {
            let (floor, rest) = on_paper(amount, *weight, whole);
            prop_assert!(units(*part) == floor || (rest > 0 && units(*part) == floor + 1));
        }
    }

    #[test]
    fn what_is_added_can_be_taken_away(a in 0..=MOST / 2, b in 0..=MOST / 2) {
        let sum = of_units(a).plus(of_units(b)).unwrap();
        prop_assert_eq!(sum.minus(of_units(b)).unwrap(), of_units(a));
    }
}
