//! Counts and sums as people read them.

use rust_decimal::Decimal;

/// `1234567` as `1,234,567`.
pub(super) fn count(count: u64) -> String {
    grouped(&count.to_string())
}

/// `-1234.50` as `-1,234.50`.
pub(super) fn sum(sum: Decimal) -> String {
    let text = sum.abs().to_string();
    let sign = if sum.is_sign_negative() && !sum.is_zero() {
        "-"
    } else {
        ""
    };
    match text.split_once('.') {
        Some((whole, digits)) => format!("{sign}{}.{digits}", grouped(whole)),
        None => format!("{sign}{}", grouped(&text)),
    }
}

/// `1 hold`, `2 holds`.
pub(super) fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", count(number))
}

fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
