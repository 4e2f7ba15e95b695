//! How much of a sale each term of its agreement holds, and how that was calculated.

use super::agreement::{Agreement, Basis, Term};
use super::fact::Completed;
use super::money::{Amount, MoneyError};

/// What an agreement makes of a sale. Holds and `free` add up to amount less fees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermAmounts {
    /// The term's position in the agreement, what it holds (above zero), and the steps of the
    /// calculation for people.
    pub holds: Vec<(usize, Amount, String)>,
    /// What no term holds.
    pub free: Amount,
}

/// Splits a sale by the terms of its agreement, in their order: a later term gets at most what the
/// earlier ones leave of amount less fees.
///
/// # Errors
/// [`MoneyError::BelowZero`] for fees above the amount, [`MoneyError::Overflow`] for an agreed sum
/// beyond all range.
pub fn hold_amounts(agreement: &Agreement, sale: &Completed) -> Result<TermAmounts, MoneyError> {
    let net = sale.amount.minus(sale.fees)?;
    let mut free = net;
    let mut holds = Vec::new();
    for (position, term) in agreement.terms.iter().enumerate() {
        if !applies(term, sale) {
            continue;
        }
        let (amount, calculation) = calculate(term, sale, net, free)?;
        if !amount.is_zero() {
            free = free.minus(amount)?;
            holds.push((position, amount, calculation));
        }
    }
    Ok(TermAmounts { holds, free })
}

fn applies(term: &Term, sale: &Completed) -> bool {
    term.when.iter().all(|(attribute, allowed)| {
        sale.attributes
            .get(attribute)
            .is_some_and(|value| allowed.contains(value))
    })
}

fn calculate(
    term: &Term,
    sale: &Completed,
    net: Amount,
    free: Amount,
) -> Result<(Amount, String), MoneyError> {
    let in_currency = |value| Amount::from_plain(value, sale.currency);
    let basis = match term.basis {
        Basis::Gross => sale.amount,
        Basis::Net => net,
    };
    let fixed = in_currency(term.fixed)?;
    let agreed = basis.share_bps(term.rate_bps)?.plus(fixed)?;
    let mut steps = format!("{basis} × {}/10000 + {fixed} = {agreed}", term.rate_bps);
    let mut amount = agreed.max(in_currency(term.minimum)?);
    if amount > agreed {
        steps.push_str(&format!(", raised to the minimum {amount}"));
    }
    let maximum = term.maximum.map(in_currency).transpose()?;
    if let Some(maximum) = maximum.filter(|maximum| amount > *maximum) {
        steps.push_str(&format!(", cut to the maximum {maximum}"));
        amount = maximum;
    }
    if amount > free {
        steps.push_str(&format!(", cut to what is left {free}"));
        amount = free;
    }
    Ok((amount, steps))
}
