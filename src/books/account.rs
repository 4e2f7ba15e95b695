//! Names of accounts: `Liabilities:Holdback:M--1:EUR:Held`.
//!
//! A merchant's id may be any text; an account's component may not. The mapping is one to one, and
//! what it makes is valid for beancount (the stricter of the two) and hledger: ASCII letters and
//! digits stand for themselves, `-` is written `--`, every other character as `-` and two upper-case
//! hexadecimal digits per byte of its UTF-8. A name that would begin with anything but an upper-case
//! letter or a digit gets `X-x` before it.

use std::fmt::Write as _;

use crate::rules::entry::Account;
use crate::rules::ids::MerchantId;
use crate::rules::money::Currency;

/// Stands before a name that could not begin an account's component; no escape looks like it.
const OPENING: &str = "X-x";

/// A merchant's id as a component of an account's name.
#[must_use]
pub fn component(id: &str) -> String {
    let mut name = String::with_capacity(id.len() + OPENING.len());
    if !id.starts_with(|first: char| first.is_ascii_uppercase() || first.is_ascii_digit()) {
        name.push_str(OPENING);
    }
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() {
            name.push(char::from(byte));
        } else if byte == b'-' {
            name.push_str("--");
        } else {
            write!(name, "-{byte:02X}").expect("a String takes everything");
        }
    }
    name
}

/// The full name of an account. Debits are positive there, as these tools have it: what the platform
/// owes the merchant (held, payable, deposit) is a liability, what the merchant owes an asset; the
/// money itself comes in as proceeds and goes out as refunded or paid, which are assets too.
pub(super) fn name(merchant: &MerchantId, currency: Currency, account: Account) -> String {
    let (root, name) = match account {
        Account::Proceeds => ("Assets", "Proceeds"),
        Account::Refunded => ("Assets", "Refunded"),
        Account::Paid => ("Assets", "Paid"),
        Account::Receivable => ("Assets", "Receivable"),
        Account::Held => ("Liabilities", "Held"),
        Account::Payable => ("Liabilities", "Payable"),
        Account::Deposit => ("Liabilities", "Deposit"),
        Account::Platform => ("Equity", "Platform"),
    };
    let merchant = component(merchant.as_str());
    format!("{root}:Holdback:{merchant}:{currency}:{name}")
}
