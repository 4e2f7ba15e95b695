//! Money: a currency, then amounts and numbers, parted by spaces. Sums and splits are exact, and
//! what is read is what stands there, against long arithmetic on the digits.

#![no_main]

use holdback_fuzz::rules::money::{Amount, Currency, plain};
use libfuzzer_sys::fuzz_target;

/// The amount in minor units by its text alone; `None` when it is none.
fn units(text: &str, digits: usize) -> Option<u128> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !number(whole) || !number(decimals) || whole.len() > 15 {
        return None;
    }
    let cut = text.split_once('.').map_or("", |(_, decimals)| decimals);
    if cut.len() > digits {
        return None;
    }
    format!("{whole}{cut:0<digits$}").parse().ok()
}

fn of(amount: Amount) -> u128 {
    let digits = amount.to_string().replace('.', "");
    digits.parse().expect("an amount is digits and a point")
}

fuzz_target!(|text: &str| {
    let mut words = text.split(' ');
    let Some(currency) = words.next().and_then(Currency::from_code) else {
        return;
    };
    let digits = usize::try_from(currency.exponent()).expect("small");
    let mut amounts = Vec::new();
    for word in words.take(24) {
        let read = Amount::parse(word, currency).ok();
        assert_eq!(read.map(of), units(word, digits), "{word}");
        if let Some(amount) = read {
            assert_eq!(Amount::parse(&amount.to_string(), currency), Ok(amount));
            amounts.push(amount);
        }
        if let Ok(number) = plain(word) {
            let rounded = Amount::from_plain(number, currency).expect("fits");
            let exact = units(word, 4).expect("a plain number has four decimals at most");
            let scale = 10_u128.pow(4 - currency.exponent());
            assert_eq!(of(rounded), (exact + scale / 2) / scale, "half up");
        }
    }
    let Some((first, weights)) = amounts.split_first() else {
        return;
    };
    sums(*first, weights, currency);
    shares(*first, weights, currency);
});

fn sums(first: Amount, others: &[Amount], currency: Currency) {
    let all = std::iter::once(first).chain(others.iter().copied());
    let sum = Amount::sum(currency, all.clone()).expect("24 amounts fit");
    assert_eq!(of(sum), all.map(of).sum::<u128>());
    for other in others {
        match first.minus(*other) {
            Ok(rest) => assert_eq!(of(rest) + of(*other), of(first)),
            Err(_) => assert!(of(first) < of(*other)),
        }
    }
}

fn shares(whole: Amount, weights: &[Amount], currency: Currency) {
    for weight in weights {
        let bps = u32::try_from(of(*weight) % 10_001).expect("small");
        let share = whole.share_bps(bps).expect("at most the whole");
        let (exact, half) = (of(whole) * u128::from(bps), 5_000);
        assert_eq!(of(share), (exact + half) / 10_000, "half up");
    }
    let parted = [whole.split(weights), whole.split_steadily(weights)];
    for parts in parted.into_iter().flatten() {
        assert_eq!(parts.len(), weights.len());
        for (part, weight) in parts.iter().zip(weights) {
            assert!(!weight.is_zero() || part.is_zero(), "nothing for no weight");
        }
        let sum = Amount::sum(currency, parts).expect("no more than the whole");
        assert_eq!(sum, whole, "parts add up");
    }
}
