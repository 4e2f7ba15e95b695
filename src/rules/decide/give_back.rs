//! Money that a refund or lost chargeback had taken and that comes back: because the order is
//! cancelled, because the chargeback turned out smaller after it was charged, or because the refund
//! did not go through.

use super::super::agreement::RefundSource;
use super::super::entry::{
    Account, CreditOpened, DepositChanged, Direction, Event, HoldRestored, ReceivableRecovered,
    ReceivableWrittenOff, RefundApplied, RefundReversed, Source, SourceKind, Transfer,
};
use super::super::ids::{CreditId, HoldId};
use super::super::money::{Amount, Currency, MoneyError, less};
use super::super::order::Order;
use super::super::recovery::Credit;
use super::charge::{self, Charge, Claim};
use super::{Step, Terms, sale, transfer};

/// Of what a cancellation reversed, gives back what this order's refunds had taken elsewhere: to the
/// platform what it has written off, to receivables where they are open, to the merchant where a release has paid them since, then to the
/// deposit.
pub(super) fn by_cancellation(step: &mut Step<'_>, terms: &Terms) -> Result<(), MoneyError> {
    let by = "cancellation";
    let reversed = charge::reversed(step.order, &terms.sale)?;
    let borne = make_good(step, reversed, by, Account::Proceeds);
    met_by_reversal(step.order, borne, |charge| charge.from_receivable)?;
    let rest = less(reversed, borne);
    let repaid = repay(step, rest, by, Account::Proceeds);
    met_by_reversal(step.order, repaid, |charge| charge.from_receivable)?;
    let rest = less(rest, repaid);
    let credited = rest.min(recovered(step.order, terms.sale.currency)?);
    met_by_reversal(step.order, credited, |charge| charge.from_receivable)?;
    credit(step, terms.sale.currency, credited, by, Account::Proceeds);
    let deposited = less(rest, credited).min(from_deposit(step.order, terms.sale.currency)?);
    met_by_reversal(step.order, deposited, |charge| charge.from_deposit)?;
    to_deposit(step, deposited, by, Account::Proceeds)
}

/// Notes that so much of what a source had given is met by reversed money after all.
fn met_by_reversal(
    order: &mut Order,
    amount: Amount,
    source: impl for<'a> Fn(&'a mut Charge<'_>) -> &'a mut Amount,
) -> Result<(), MoneyError> {
    let mut rest = amount;
    for (_, mut record) in charge::charges(order) {
        let source = source(&mut record);
        let part = rest.min(*source);
        *source = less(*source, part);
        *record.from_reversed = record.from_reversed.plus(part)?;
        rest = less(rest, part);
    }
    Ok(())
}

/// What this order's charges have taken out of the deposit.
fn from_deposit(order: &mut Order, currency: Currency) -> Result<Amount, MoneyError> {
    let charges = charge::charges(order).map(|(_, record)| *record.from_deposit);
    Amount::sum(currency, charges)
}

/// Puts a sum back into the merchant's deposit.
fn to_deposit(
    step: &mut Step<'_>,
    amount: Amount,
    by: &'static str,
    debit: Account,
) -> Result<(), MoneyError> {
    if amount.is_zero() {
        return Ok(());
    }
    let purse = step.order.purse.as_mut();
    let purse = purse.expect("what was taken from a deposit goes back to it");
    purse.deposit = purse.deposit.plus(amount)?;
    purse.grown_by = Some(step.cause.clone());
    let changed = DepositChanged::new(amount, Direction::Credit, purse.deposit, by);
    let moved = transfer(debit, Account::Deposit, amount);
    step.say(None, Event::DepositChanged(changed), moved);
    Ok(())
}

/// What releases have paid of the receivables that this order's charges opened.
fn recovered(order: &mut Order, currency: Currency) -> Result<Amount, MoneyError> {
    let unpaid = order.receivables.iter();
    let unpaid = unpaid.flat_map(|it| [it.left, it.written_off]);
    let unpaid = Amount::sum(currency, unpaid)?;
    let charges = charge::charges(order).map(|(_, record)| *record.from_receivable);
    Ok(less(Amount::sum(currency, charges)?, unpaid))
}

/// Owes the merchant a sum that a release had paid for them.
fn credit(
    step: &mut Step<'_>,
    currency: Currency,
    amount: Amount,
    by: &'static str,
    debit: Account,
) {
    if amount.is_zero() {
        return;
    }
    let credit_id = CreditId::of(&step.order.merchant, &step.cause);
    step.order.credits.push(Credit {
        id: credit_id,
        order: Some(step.order.id.clone()),
        currency,
        amount,
        opened_at: step.world.now,
        traceparent: step.traceparent.clone(),
    });
    let event = Event::CreditOpened(CreditOpened {
        credit_id,
        amount,
        by,
        adjustment_id: None,
    });
    step.say(None, event, transfer(debit, Account::Held, amount));
}

/// Gives back what a lost chargeback no longer claims, in the reverse order of the sources, so
/// that the holds and receivables are as if it had claimed the lower sum at once.
pub(super) fn by_dispute(
    step: &mut Step<'_>,
    terms: &Terms,
    amount: Amount,
    claim: &Claim<'_>,
) -> Result<(), MoneyError> {
    let shares = beyond_their_shares(step.order, terms, amount)?;
    let (_, rest) = sources(
        step,
        terms.sale.currency,
        shares,
        (amount, "dispute"),
        claim,
    )?;
    let event = Event::RefundApplied(RefundApplied {
        refund_id: None,
        dispute_id: claim.dispute.cloned(),
        amount: claim.amount,
        charged: Amount::zero(terms.sale.currency),
        sources: Vec::new(),
    });
    let unmet = transfer(Account::Refunded, Account::Proceeds, rest);
    step.say(None, event, unmet);
    if step.order.cancelled.is_some() {
        sale::reverse(step);
    }
    Ok(())
}

/// Gives back what a refund that did not go through had charged, in the reverse order of the
/// sources, as if it had never come; what a released or reversed hold gave becomes a credit. `shares`
/// goes back to each hold first.
pub(super) fn by_reversal(
    step: &mut Step<'_>,
    currency: Currency,
    shares: Vec<Amount>,
    amount: Amount,
    claim: &Claim<'_>,
) -> Result<(), MoneyError> {
    let (sources, rest) = sources(step, currency, shares, (amount, "refund_reversed"), claim)?;
    let event = Event::RefundReversed(RefundReversed {
        refund_id: claim.refund.cloned().expect("a reversal names its refund"),
        amount: claim.amount,
        returned: amount,
        sources,
    });
    let unmet = transfer(Account::Refunded, Account::Proceeds, rest);
    step.say(None, event, unmet);
    Ok(())
}

/// Gives a sum back to what it was taken from; answers where it went, and the rest, which had come out of
/// reversed money.
fn sources(
    step: &mut Step<'_>,
    currency: Currency,
    shares: Vec<Amount>,
    (amount, by): (Amount, &'static str),
    claim: &Claim<'_>,
) -> Result<(Vec<Source>, Amount), MoneyError> {
    let zero = Amount::zero(currency);
    let mut rest = shares.iter().fold(amount, |rest, it| less(rest, *it));
    let borne = make_good(step, rest, by, Account::Refunded);
    lower(step.order, claim, borne, |charge| charge.from_receivable);
    rest = less(rest, borne);
    let repaid = repay(step, rest, by, Account::Refunded);
    lower(step.order, claim, repaid, |charge| charge.from_receivable);
    rest = less(rest, repaid);
    let recovered = rest.min(recovered(step.order, currency)?);
    lower(step.order, claim, recovered, |charge| {
        charge.from_receivable
    });
    rest = less(rest, recovered);
    let deposited = rest.min(from_deposit(step.order, currency)?);
    lower(step.order, claim, deposited, |charge| charge.from_deposit);
    rest = less(rest, deposited);
    let holds = from_holds(step.order, currency, shares, rest)?;
    rest = holds
        .iter()
        .fold(less(amount, repaid), |rest, it| less(rest, *it));
    rest = less(rest, borne);
    rest = less(less(rest, recovered), deposited);
    lower(step.order, claim, rest, |charge| charge.from_reversed);
    let mut credited = recovered;
    let mut restored = Vec::new();
    for (position, back) in holds.into_iter().enumerate() {
        lower(step.order, claim, back, |charge| charge.from_holds);
        let refund = claim.refund.is_some();
        if refund && is_gone(step.order, position) {
            credited = credited.plus(back)?;
        } else if !back.is_zero() {
            restored.push((position, back));
        }
    }
    credit(step, currency, credited, by, Account::Refunded);
    to_deposit(step, deposited, by, Account::Refunded)?;
    let mut said = Vec::with_capacity(restored.len());
    for (position, back) in restored {
        let hold = Some(step.order.holds[position].id);
        said.push(source(SourceKind::Hold, hold, back));
        restore(step, position, back, claim);
    }
    let others = [
        (SourceKind::WrittenOff, borne),
        (SourceKind::Receivable, repaid),
        (SourceKind::Credit, credited),
        (SourceKind::Deposit, deposited),
    ];
    let others = others.map(|(kind, amount)| source(kind, None, amount));
    let reversed = source(SourceKind::Reversed, None, rest);
    let all = others.into_iter().chain(said).chain([reversed]);
    Ok((all.filter(|it| it.amount != zero).collect(), rest))
}

fn source(kind: SourceKind, hold_id: Option<HoldId>, amount: Amount) -> Source {
    Source {
        kind,
        hold_id,
        receivable_id: None,
        amount,
    }
}

/// Whether the hold was released or reversed: its money can't come back to it.
fn is_gone(order: &Order, position: usize) -> bool {
    let hold = &order.holds[position];
    order.cancelled.is_some() || hold.left.is_zero() && !hold.released.is_zero()
}

/// What proportional refunds have taken out of each hold beyond its share of now, together at most
/// `amount`; nothing when refunds are not proportional or the holds are reversed.
pub(super) fn beyond_their_shares(
    order: &mut Order,
    terms: &Terms,
    amount: Amount,
) -> Result<Vec<Amount>, MoneyError> {
    let mut backs = vec![Amount::zero(terms.sale.currency); order.holds.len()];
    let proportional = terms.agreement.refund.source == RefundSource::Proportional;
    if proportional && order.cancelled.is_none() {
        let mut rest = amount;
        let given = given(order, terms.sale.currency)?;
        for (position, share) in charge::shares(order, terms)?.into_iter().enumerate() {
            let back = less(given[position], share).min(rest);
            backs[position] = back;
            rest = less(rest, back);
        }
    }
    Ok(backs)
}

/// What each hold gets back: its own of `shares`, and of `rest`, the last term first, what it has
/// given besides.
fn from_holds(
    order: &mut Order,
    currency: Currency,
    shares: Vec<Amount>,
    rest: Amount,
) -> Result<Vec<Amount>, MoneyError> {
    let given = given(order, currency)?;
    let mut rest = rest;
    let mut holds = shares;
    for position in (0..holds.len()).rev() {
        let back = less(given[position], holds[position]).min(rest);
        holds[position] = holds[position].plus(back)?;
        rest = less(rest, back);
    }
    Ok(holds)
}

/// What each hold has given and not got back. What came back as a credit, since its hold was gone,
/// is consumed for good, but no charge has it on record any more.
fn given(order: &mut Order, currency: Currency) -> Result<Vec<Amount>, MoneyError> {
    let on_record = charge::charges(order).map(|(_, record)| *record.from_holds);
    let on_record = Amount::sum(currency, on_record)?;
    let mut given: Vec<Amount> = order.holds.iter().map(|hold| hold.consumed).collect();
    let mut credited = less(Amount::sum(currency, given.iter().copied())?, on_record);
    let mut positions: Vec<usize> = (0..given.len()).rev().collect();
    positions.sort_by_key(|position| !is_gone(order, *position));
    for position in positions {
        let part = credited.min(given[position]);
        given[position] = less(given[position], part);
        credited = less(credited, part);
    }
    Ok(given)
}

fn restore(step: &mut Step<'_>, position: usize, amount: Amount, claim: &Claim<'_>) {
    let hold = &mut step.order.holds[position];
    hold.restore(amount);
    let event = Event::HoldRestored(HoldRestored {
        amount,
        left: hold.left,
        refund_id: claim.refund.cloned(),
        dispute_id: claim.dispute.cloned(),
    });
    let moved = transfer(Account::Refunded, Account::Held, amount);
    step.say(Some(position), event, moved);
}

/// Gives the platform back what it has borne of the order's receivables, oldest first, out of at most
/// `amount`; answers how much it took. What was written off was never the merchant's to get back.
fn make_good(step: &mut Step<'_>, amount: Amount, by: &'static str, debit: Account) -> Amount {
    let mut rest = amount;
    for position in 0..step.order.receivables.len() {
        let receivable = &mut step.order.receivables[position];
        let amount = rest.min(receivable.written_off);
        if amount.is_zero() {
            continue;
        }
        receivable.written_off = less(receivable.written_off, amount);
        rest = less(rest, amount);
        let event = Event::ReceivableWrittenOff(ReceivableWrittenOff {
            receivable_id: receivable.id,
            amount,
            left: receivable.left,
            written_off: receivable.written_off,
            made_good: true,
            by,
        });
        step.say(None, event, transfer(debit, Account::Platform, amount));
    }
    less(amount, rest)
}

/// Pays the order's receivables, oldest first, out of at most `amount`; answers how much it took.
fn repay(step: &mut Step<'_>, amount: Amount, by: &'static str, debit: Account) -> Amount {
    let mut rest = amount;
    for position in 0..step.order.receivables.len() {
        let receivable = &mut step.order.receivables[position];
        let amount = rest.min(receivable.left);
        if amount.is_zero() {
            continue;
        }
        receivable.left = less(receivable.left, amount);
        rest = less(rest, amount);
        let event = Event::ReceivableRecovered(ReceivableRecovered {
            receivable_id: receivable.id,
            amount,
            left: receivable.left,
            by,
            release_id: None,
            adjustment_id: None,
        });
        let credit = Account::Receivable;
        let moved = Transfer {
            debit,
            credit,
            amount,
        };
        step.say(None, event, Some(moved));
    }
    less(amount, rest)
}

/// Takes a sum off one source of the charges on record, the claim's own first.
fn lower(
    order: &mut Order,
    claim: &Claim<'_>,
    amount: Amount,
    source: impl for<'a> Fn(&'a mut Charge<'_>) -> &'a mut Amount,
) {
    let own = claim.cause();
    let mut records: Vec<_> = charge::charges(order).collect();
    records.sort_by_key(|(cause, _)| *cause != own);
    let mut rest = amount;
    for (_, record) in &mut records {
        let source = source(record);
        let off = rest.min(*source);
        *source = less(*source, off);
        *record.charged = less(*record.charged, off);
        rest = less(rest, off);
    }
}
