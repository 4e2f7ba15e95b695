//! What each term of an agreement holds of a sale.

use holdback::rules::agreement::{Agreement, Basis};
use holdback::rules::fact::Completed;
use holdback::rules::money::{Amount, Currency};
use holdback::rules::term::hold_amounts;
use proptest::prelude::*;
use rust_decimal::Decimal;

use crate::samples::{agreement, at, term};

fn currency(code: &str) -> Currency {
    Currency::from_code(code).unwrap()
}

/// `(amount, fees)` of a sale in euros under terms; what each holds and what stays free.
fn held(agreement: &Agreement, amount: &str, fees: &str) -> (Vec<(usize, String)>, String) {
    let sale = sale("EUR", amount, fees, &[]);
    let amounts = hold_amounts(agreement, &sale).unwrap();
    let holds = amounts
        .holds
        .into_iter()
        .map(|(no, amount, _)| (no, amount.to_string()));
    (holds.collect(), amounts.free.to_string())
}

fn sale(code: &str, amount: &str, fees: &str, attributes: &[(&str, &str)]) -> Completed {
    Completed {
        amount: Amount::parse(amount, currency(code)).unwrap(),
        fees: Amount::parse(fees, currency(code)).unwrap(),
        currency: currency(code),
        at: at("2026-11-01T00:00:00Z"),
        attributes: attributes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    }
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

#[test]
fn a_term_holds_its_rate_of_the_basis_and_its_fixed_part_within_its_bounds() {
    // rate in bps, basis, fixed, minimum, maximum | amount and fees = held and free
    let table = "
        1000  gross 0     0  -    | 100.00 5.00 = 10.00 85.00
        1000  net   0     0  -    | 100.00 5.00 = 9.50  85.50
        10000 gross 0     0  -    | 100.00 5.00 = 95.00 0.00
        1000  gross 0.3   0  -    | 0.25   0    = 0.25  0.00
        1000  gross 0.30  0  -    | 100.00 0    = 10.30 89.70
        1000  gross 0     20 -    | 100.00 0    = 20.00 80.00
        1000  gross 0     0  7.50 | 100.00 0    = 7.50  92.50
        1000  gross 0     20 20   | 15.00  0    = 15.00 0.00
        0     gross 0.125 0  -    | 100.00 0    = 0.13  99.87
    ";
    for row in table.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let words: Vec<&str> = row.split_whitespace().collect();
        let [
            rate_bps,
            basis,
            fixed,
            minimum,
            maximum,
            "|",
            amount,
            fees,
            "=",
            sum,
            free,
        ] = words[..]
        else {
            panic!("{row}");
        };
        let mut agreement = agreement();
        let term = &mut agreement.terms[0];
        term.rate_bps = rate_bps.parse().unwrap();
        term.basis = if basis == "net" {
            Basis::Net
        } else {
            Basis::Gross
        };
        (term.fixed, term.minimum) = (decimal(fixed), decimal(minimum));
        term.maximum = (maximum != "-").then(|| decimal(maximum));
        let expected = (vec![(0, sum.to_owned())], free.to_owned());
        assert_eq!(held(&agreement, amount, fees), expected, "{row}");
    }
}

#[test]
fn later_terms_get_what_earlier_ones_leave_and_zero_makes_no_hold() {
    let mut agreement = agreement();
    agreement.terms = vec![
        term("sale"),
        term("none"),
        term("reserve"),
        term("rest"),
        term("late"),
    ];
    for (term, rate_bps) in agreement
        .terms
        .iter_mut()
        .zip([8_000, 0, 1_000, 10_000, 10_000])
    {
        term.rate_bps = rate_bps;
    }
    let holds = [(0, "80.00"), (2, "10.00"), (3, "7.00")];
    let holds: Vec<_> = holds
        .into_iter()
        .map(|(no, amount)| (no, amount.to_owned()))
        .collect();
    assert_eq!(
        held(&agreement, "100.00", "3.00"),
        (holds, "0.00".to_owned())
    );
    assert_eq!(
        held(&agreement, "3.00", "3.00"),
        (vec![], "0.00".to_owned())
    );
}

#[test]
fn a_term_applies_only_when_every_attribute_has_an_allowed_value() {
    let mut agreement = agreement();
    let allowed = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    agreement.terms[0]
        .when
        .insert("category".to_owned(), allowed(&["phone", "tablet"]));
    agreement.terms[0]
        .when
        .insert("country".to_owned(), allowed(&["DE"]));
    let table: [(&[(&str, &str)], bool); 5] = [
        (
            &[("category", "tablet"), ("country", "DE"), ("other", "x")],
            true,
        ),
        (&[("category", "phone"), ("country", "FR")], false),
        (&[("category", "Phone"), ("country", "DE")], false),
        (&[("category", "phone")], false),
        (&[], false),
    ];
    for (attributes, applies) in table {
        let amounts = hold_amounts(&agreement, &sale("EUR", "9.00", "0", attributes)).unwrap();
        assert_eq!(!amounts.holds.is_empty(), applies, "{attributes:?}");
        assert_eq!(amounts.free.is_zero(), applies, "{attributes:?}");
    }
}

#[test]
fn the_calculation_is_told_step_by_step() {
    let mut agreement = agreement();
    agreement.terms.push(term("reserve"));
    agreement.terms[0].rate_bps = 1_000;
    agreement.terms[0].fixed = decimal("0.30");
    agreement.terms[1].minimum = decimal("200");
    agreement.terms[1].maximum = Some(decimal("150"));
    let amounts = hold_amounts(&agreement, &sale("EUR", "100.00", "2.00", &[])).unwrap();
    let told: Vec<&str> = amounts
        .holds
        .iter()
        .map(|(_, _, told)| told.as_str())
        .collect();
    assert_eq!(
        told,
        [
            "100.00 × 1000/10000 + 0.30 = 10.30",
            "100.00 × 10000/10000 + 0.00 = 100.00, raised to the minimum 200.00, cut to the \
             maximum 150.00, cut to what is left 87.70",
        ]
    );
}

#[test]
fn agreed_sums_are_in_the_orders_own_currency() {
    let mut agreement = agreement();
    agreement.terms[0].rate_bps = 0;
    agreement.terms[0].fixed = decimal("2.5");
    let held = |code, amount| {
        hold_amounts(&agreement, &sale(code, amount, "0", &[]))
            .unwrap()
            .holds[0]
            .1
            .to_string()
    };
    assert_eq!(held("JPY", "500"), "3");
    assert_eq!(held("EUR", "500"), "2.50");
    assert_eq!(held("KWD", "500"), "2.500");
}

proptest! {
    #[test]
    fn holds_and_free_add_up_to_amount_less_fees(
        amount in 1..1_000_000_000_i128,
        fee_bps in 0..=10_000_u32,
        terms in prop::collection::vec((0..=10_000_u32, 0..10_000_u32, 0..10_000_u32), 1..5),
    ) {
        let mut agreement = agreement();
        agreement.terms = terms
            .iter()
            .enumerate()
            .map(|(position, (rate_bps, fixed, minimum))| {
                let mut term = term(&position.to_string());
                term.rate_bps = *rate_bps;
                (term.fixed, term.minimum) = (Decimal::new((*fixed).into(), 3), Decimal::from(*minimum));
                term
            })
            .collect();
        let cents = Decimal::try_from_i128_with_scale(amount, 2).unwrap();
        let amount = Amount::new(cents, currency("EUR")).unwrap();
        let fees = amount.share_bps(fee_bps).unwrap();
        let mut sale = sale("EUR", "1", "0", &[]);
        (sale.amount, sale.fees) = (amount, fees);
        let amounts = hold_amounts(&agreement, &sale).unwrap();
        let all = amounts.holds.iter().map(|(_, amount, _)| *amount).chain([amounts.free, fees]);
        prop_assert_eq!(Amount::sum(currency("EUR"), all).unwrap(), amount);
        prop_assert!(amounts.holds.iter().all(|(_, amount, _)| !amount.is_zero()));
    }
}
