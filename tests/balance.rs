//! A merchant's balances: what each transfer changes, exact sums with a sign, and how they are
//! written.

#![expect(
    clippy::unwrap_used,
    reason = "what a test starts from is right by construction"
)]

use holdback::rules::balance::{Balance, Balances};
use holdback::rules::entry::{Account, Transfer};
use holdback::rules::money::{Amount, Currency, MoneyError};

fn currency(code: &str) -> Currency {
    Currency::from_code(code).unwrap()
}

fn sum(code: &str, text: &str) -> Balance {
    let amount = text.trim_start_matches('-');
    let balance = Balance::of(Amount::parse(amount, currency(code)).unwrap());
    if amount == text {
        balance
    } else {
        balance.negated().unwrap()
    }
}

fn eur(text: &str) -> Balance {
    sum("EUR", text)
}

/// Held, payable, paid, deposit, receivable.
fn balances(columns: [&str; 5]) -> Balances {
    let [held, payable, paid, deposit, receivable] = columns.map(eur);
    Balances {
        held,
        payable,
        paid,
        deposit,
        receivable,
    }
}

fn written(balances: &Balances) -> String {
    let columns = balances.columns();
    columns.map(|(_, balance)| balance.to_string()).join(" ")
}

#[test]
fn each_transfer_changes_its_two_accounts() {
    use Account::{Deposit, Held, Paid, Payable, Platform, Proceeds, Receivable, Refunded};
    // Debited, credited: held, payable, paid, deposit, receivable.
    let table = [
        (Proceeds, Held, "1.00 0.00 0.00 0.00 0.00"),
        (Held, Payable, "-1.00 1.00 0.00 0.00 0.00"),
        (Payable, Paid, "0.00 -1.00 1.00 0.00 0.00"),
        (Held, Refunded, "-1.00 0.00 0.00 0.00 0.00"),
        (Held, Deposit, "-1.00 0.00 0.00 1.00 0.00"),
        (Deposit, Refunded, "0.00 0.00 0.00 -1.00 0.00"),
        (Receivable, Refunded, "0.00 0.00 0.00 0.00 1.00"),
        (Held, Receivable, "-1.00 0.00 0.00 0.00 -1.00"),
        (Receivable, Platform, "0.00 0.00 0.00 0.00 1.00"),
        (Proceeds, Platform, "0.00 0.00 0.00 0.00 0.00"),
    ];
    for (debit, credit, expected) in table {
        let transfer = Transfer {
            debit,
            credit,
            amount: Amount::parse("1", currency("EUR")).unwrap(),
        };
        let change = Balances::change(currency("EUR"), &transfer).unwrap();
        assert_eq!(written(&change), expected, "{debit:?} to {credit:?}");
    }
}

#[test]
fn balances_add_up_account_by_account_and_the_net_position_counts_what_is_owed() {
    let one = balances(["1", "20", "300", "4000", "50000"]);
    let two = balances(["0.01", "0.02", "0.03", "0.04", "-0.05"]);
    let both = one.plus(&two).unwrap();
    assert_eq!(written(&both), "1.01 20.02 300.03 4000.04 49999.95");
    assert_eq!(both.net().unwrap(), eur("-45678.85"));
}

#[test]
fn of_a_deposit_goes_back_what_is_above_the_required_and_the_owed() {
    let deposit = |deposit, owed| balances(["0", "0", "0", deposit, owed]);
    let back = |of: Balances, required| of.withdrawable(eur(required)).unwrap();
    assert_eq!(back(deposit("100", "0"), "0"), eur("100"));
    assert_eq!(back(deposit("100", "0"), "30"), eur("70"));
    assert_eq!(back(deposit("100", "25"), "30"), eur("45"));
    assert_eq!(back(deposit("100", "70"), "30"), eur("0"));
    assert_eq!(back(deposit("100", "71"), "30"), eur("0"));
}

#[test]
fn nothing_stands_or_only_what_is_paid() {
    let table = [
        (["0", "0", "0", "0", "0"], true, true),
        (["0", "0", "5", "0", "0"], false, true),
        (["1", "0", "5", "0", "0"], false, false),
        (["0", "1", "0", "0", "0"], false, false),
        (["0", "0", "0", "1", "0"], false, false),
        (["0", "0", "0", "0", "-1"], false, false),
    ];
    for (columns, zero, at_rest) in table {
        let balances = balances(columns);
        assert_eq!(balances.is_zero(), zero, "{columns:?}");
        assert_eq!(balances.is_at_rest(), at_rest, "{columns:?}");
    }
}

#[test]
fn a_balance_is_written_with_its_sign_and_all_minor_digits() {
    let table = [
        ("EUR", "0", "0.00"),
        ("EUR", "0.07", "0.07"),
        ("EUR", "-0.07", "-0.07"),
        ("EUR", "12.3", "12.30"),
        ("EUR", "-1234.56", "-1234.56"),
        ("JPY", "0", "0"),
        ("JPY", "-1200", "-1200"),
        ("KWD", "0.001", "0.001"),
    ];
    for (code, text, expected) in table {
        let balance = sum(code, text);
        assert_eq!(balance.to_string(), expected);
        assert_eq!(balance.decimal().unwrap().to_string(), expected);
        assert_eq!(
            serde_json::to_string(&balance).unwrap(),
            format!("\"{expected}\"")
        );
        assert_eq!(balance.is_zero(), text == "0");
    }
}

#[test]
fn sums_are_exact_and_of_one_currency() {
    assert_eq!(eur("0.10").plus(eur("0.20")), Ok(eur("0.30")));
    assert_eq!(eur("0.10").plus(eur("-0.20")), Ok(eur("-0.10")));
    assert_eq!(eur("1").plus(sum("JPY", "1")), Err(MoneyError::Mixed));
}

#[test]
fn accounts_are_stored_by_number_and_named_as_in_the_contract() {
    let names = Account::ALL.map(Account::name);
    assert_eq!(
        names.join(" "),
        "proceeds held payable refunded deposit receivable paid platform"
    );
    for account in Account::ALL {
        assert_eq!(Account::from_number(account.number()), Some(account));
    }
    assert_eq!(Account::from_number(0), None);
    assert_eq!(Account::from_number(99), None);
}
