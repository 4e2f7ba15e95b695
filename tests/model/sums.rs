//! Sections 3, 4 and 7 of the contract: how much of an order is held, charged, left and blocked.
//! Money is in whole minor units.

use holdback::rules::agreement::{Agreement, Basis, Free, RefundFees, RefundSource, Term};
use holdback::rules::fact::{Completed, DisputeKind, DisputeOutcome};
use holdback::rules::money::{Amount, Currency};
use rust_decimal::Decimal;

use super::facts::Facts;

/// Sums in minor units.
pub type Units = i128;

pub fn units(amount: Amount, currency: Currency) -> Units {
    plain_units(amount.to_string().parse().expect("a decimal"), currency)
}

/// A plain number in minor units, half up.
fn plain_units(value: Decimal, currency: Currency) -> Units {
    let (mantissa, scale) = (value.mantissa(), value.scale());
    divide(
        mantissa * 10_i128.pow(currency.exponent()),
        10_i128.pow(scale),
    )
}

/// Half up.
fn divide(part: Units, whole: Units) -> Units {
    (2 * part + whole).div_euclid(2 * whole)
}

pub fn originals<'a>(agreement: &'a Agreement, sale: &Completed) -> Vec<(&'a Term, Units)> {
    let gross = units(sale.amount, sale.currency);
    let net = gross - units(sale.fees, sale.currency);
    let mut room = net;
    let mut holds = Vec::new();
    for term in &agreement.terms {
        let matches = |(name, allowed): (&String, &Vec<String>)| {
            sale.attributes
                .get(name)
                .is_some_and(|it| allowed.contains(it))
        };
        if !term.when.iter().all(matches) {
            continue;
        }
        let basis = match term.basis {
            Basis::Gross => gross,
            Basis::Net => net,
        };
        let plain = |value| plain_units(value, sale.currency);
        let wanted = divide(basis * Units::from(term.rate_bps), 10_000) + plain(term.fixed);
        let raised = wanted.max(plain(term.minimum));
        let cut = term.maximum.map_or(raised, |it| raised.min(plain(it)));
        let original = cut.min(room);
        room -= original;
        if original > 0 {
            holds.push((term, original));
        }
    }
    holds
}

/// What the refunds that name a dispute come to.
fn named(facts: &Facts<'_>, dispute: &str, currency: Currency) -> Units {
    let refunds = facts.refunds.iter();
    let naming = refunds.filter(|it| it.dispute.as_ref().is_some_and(|it| it.as_str() == dispute));
    naming.map(|it| units(it.amount, currency)).sum()
}

/// What a lost chargeback costs more than the refunds that name it.
fn costs_more(facts: &Facts<'_>, dispute: &str, sale: &Completed) -> Units {
    let closed = facts.closed.get(dispute);
    let lost = closed.is_some_and(|it| it.outcome == DisputeOutcome::Lost);
    if !lost || facts.kind(dispute) != DisputeKind::Chargeback {
        return 0;
    }
    let whole = units(sale.amount, sale.currency);
    let amount = facts.amount(dispute);
    let claimed = amount.map_or(whole, |it| plain_units(it, sale.currency));
    (claimed - named(facts, dispute, sale.currency)).max(0)
}

/// What a dispute keeps blocked; none: everything.
fn blocks(facts: &Facts<'_>, dispute: &str, sale: &Completed) -> Option<Units> {
    let refunded = named(facts, dispute, sale.currency);
    let Some(closed) = facts.closed.get(dispute) else {
        let amount = facts.amount(dispute)?;
        return Some((plain_units(amount, sale.currency) - refunded).max(0));
    };
    let expected = closed.refund_expected.unwrap_or_default();
    let charged = refunded + costs_more(facts, dispute, sale);
    Some((plain_units(expected, sale.currency) - charged).max(0))
}

/// What the merchant bears of all that was refunded: of the order, and beyond its amount.
fn charge(agreement: &Agreement, sale: &Completed, held: Units, debt: Units) -> (Units, Units) {
    let amount = units(sale.amount, sale.currency);
    let fees = units(sale.fees, sale.currency);
    let within = debt.min(amount);
    let beyond = debt - within;
    let less_fees = match agreement.refund.fees {
        RefundFees::Kept => within,
        RefundFees::Returned => within - divide(fees * within, amount),
    };
    let charged = match agreement.refund.free {
        Free::Receivable => less_fees,
        Free::Outside => less_fees.min(divide(within * held, amount)),
    };
    (charged, beyond)
}

/// Units one by one to whom they are due most: least (2 × part + 1) / weight, first on ties.
fn split(sum: Units, weights: &[Units]) -> Vec<Units> {
    let mut parts = vec![0; weights.len()];
    for _ in 0..sum {
        let mut best = 0;
        for next in 1..weights.len() {
            if (2 * parts[next] + 1) * weights[best] < (2 * parts[best] + 1) * weights[next] {
                best = next;
            }
        }
        parts[best] += 1;
    }
    parts
}

/// Pours a sum into vessels, the first first.
fn pour(mut sum: Units, vessels: &[Units]) -> Vec<Units> {
    let mut taken = Vec::new();
    for vessel in vessels {
        let part = sum.min(*vessel);
        sum -= part;
        taken.push(part);
    }
    taken
}

/// An order's holds by sums, one entry per hold.
pub struct Sums {
    pub left: Vec<Units>,
    pub released: Vec<Units>,
    /// Consumed or reversed.
    pub gone: Vec<Units>,
    pub blocked: Vec<Units>,
    pub owes: Units,
}

pub fn sums(
    facts: &Facts<'_>,
    agreement: &Agreement,
    sale: &Completed,
    released: &[Units],
) -> Sums {
    let terms = originals(agreement, sale);
    let original: Vec<Units> = terms.iter().map(|(_, original)| *original).collect();
    let pairs = original.iter().zip(released);
    let available: Vec<Units> = pairs.map(|(all, gone)| all - gone).collect();
    let refunds = facts
        .refunds
        .iter()
        .map(|it| units(it.amount, sale.currency));
    let disputes = facts.opened.keys();
    let more = disputes.map(|id| costs_more(facts, id, sale));
    let debt: Units = refunds.chain(more).sum();
    let amount = units(sale.amount, sale.currency);
    let held: Units = original.iter().sum();
    let (charged, beyond) = charge(agreement, sale, held, debt);

    let gone = match agreement.refund.source {
        _ if facts.cancelled => available.clone(),
        RefundSource::HoldFirst => pour(charged, &available),
        RefundSource::MerchantFirst => vec![0; original.len()],
        RefundSource::Proportional => {
            let (whole, _) = charge(agreement, sale, held, amount);
            // With returned fees the contract's own proportion and its charge, each rounded,
            // can't both grow with every refund: the proportion is that of what is charged.
            let given = match agreement.refund.fees {
                _ if held == 0 => 0,
                RefundFees::Kept => divide(debt.min(amount) * held, amount),
                RefundFees::Returned => divide(charged * held, whole),
            };
            let shares = split(given, &original).into_iter().zip(&available);
            shares.map(|(share, most)| share.min(*most)).collect()
        }
    };
    let pairs = available.iter().zip(&gone);
    let left: Vec<Units> = pairs.map(|(all, gone)| all - gone).collect();
    let all: Units = left.iter().sum();
    let keep = facts.opened.keys().map(|id| blocks(facts, id, sale));
    let keep = keep.map(|keeps| keeps.unwrap_or(all)).sum();
    Sums {
        blocked: pour(keep, &left),
        owes: (charged - gone.iter().sum::<Units>()).max(0) + beyond,
        released: released.to_vec(),
        left,
        gone,
    }
}
