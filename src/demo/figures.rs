//! How the demo writes figures and dates for people.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::rules::money::Amount;

/// `1234567.50` with its thousands set apart.
#[must_use]
pub fn grouped(number: &str) -> String {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut text = String::with_capacity(number.len() * 4 / 3 + 1);
    for (position, digit) in whole.char_indices() {
        if position > 0 && (whole.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

/// An amount without its minor digits: enough for a column that is looked at, not added up.
#[must_use]
pub fn rounded(amount: Amount) -> String {
    grouped(&amount.decimal().trunc().to_string())
}

/// An amount in full.
#[must_use]
pub fn exact(amount: Amount) -> String {
    grouped(&amount.to_string())
}

/// `9 Mar` of an RFC 3339 date.
#[must_use]
pub fn day_and_month(date: &str) -> Option<String> {
    let date: Date = date.parse().ok()?;
    Some(date.strftime("%-d %b").to_string())
}

/// The date and time in UTC by a pattern of strftime.
#[must_use]
pub fn utc(at: Timestamp, pattern: &str) -> String {
    at.to_zoned(TimeZone::UTC).strftime(pattern).to_string()
}

/// A bar for each amount, the highest for the largest.
#[must_use]
pub fn bars(amounts: &[Amount]) -> String {
    const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let whole = |amount: &Amount| u128::try_from(amount.decimal().mantissa()).unwrap_or(0);
    let largest = amounts.iter().map(whole).max().unwrap_or(0).max(1);
    let bar = |amount: &Amount| {
        if amount.is_zero() {
            return '·';
        }
        let step = usize::try_from(whole(amount) * 7 / largest).unwrap_or(7);
        STEPS[step.min(7)]
    };
    amounts.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::money::Currency;

    #[test]
    fn thousands_are_set_apart_from_the_point_leftwards() {
        for (plain, written) in [
            ("0", "0"),
            ("999.50", "999.50"),
            ("1000", "1,000"),
            ("1234567.500", "1,234,567.500"),
        ] {
            assert_eq!(grouped(plain), written);
        }
    }

    #[test]
    fn bars_grow_with_the_amounts_and_nothing_is_a_dot() {
        let euro = Currency::from_code("EUR").unwrap();
        let amounts =
            ["0", "1.00", "50.00", "100.00"].map(|text| Amount::parse(text, euro).unwrap());
        assert_eq!(bars(&amounts), "·▁▄█");
    }
}
