//! What people do to orders and holds, as scenarios write it.

use holdback::rules::by_hand::{self, Cannot};
use holdback::rules::decide::{self, World};
use holdback::rules::entry::Entry;
use holdback::rules::ids::HoldId;
use holdback::rules::money::Amount;
use holdback::rules::order::{Block, BlockKind, Order};
use holdback::rules::release::{self, Claim};
use holdback::rules::time::Instant;

use super::setup::instant;

/// `None` when the words are about something else.
type Done = Option<Result<Result<Vec<Entry>, Cannot>, String>>;

/// `blocked O1 REF legal 30.00 on reserve`, `unblocked O1 REF`, `let O1 sale 20.00`,
/// `extended O1 sale 06-01`.
pub fn act(order: &mut Order, words: &[&str], at: Instant, zone: &str, world: World<'_>) -> Done {
    match words {
        ["blocked", _, reference, kind, rest @ ..] => Some(
            block(order, reference, kind, rest, at).map(|it| Ok(decide::block(order, it, world))),
        ),
        ["unblocked", _, reference] => Some(Ok(Ok(decide::unblock(order, reference, at, world)))),
        ["let", _, term, amount @ ..] => Some(early(order, term, amount.first(), at)),
        ["extended", _, term, until] => {
            let until = instant(until, zone, "00:00");
            Some(until.and_then(|until| extend(order, term, until, world)))
        }
        _ => None,
    }
}

fn block(
    order: &Order,
    reference: &str,
    kind: &str,
    rest: &[&str],
    at: Instant,
) -> Result<Block, String> {
    let (amount, hold) = match rest {
        [] => (None, None),
        ["on", term] => (None, Some(*term)),
        [amount] => (Some(*amount), None),
        [amount, "on", term] => (Some(*amount), Some(*term)),
        other => return Err(format!("`{}` is no part of a block", other.join(" "))),
    };
    Ok(Block {
        reference: reference.to_owned(),
        kind: match kind {
            "legal" => BlockKind::Legal,
            "review" => BlockKind::Review,
            _ => BlockKind::Manual,
        },
        reason: "because".to_owned(),
        hold: hold.map(|term| hold_id(order, term)).transpose()?,
        amount: amount.map(|text| money(order, text)).transpose()?,
        opened_at: at,
        cleared_at: None,
    })
}

fn hold_id(order: &Order, term: &str) -> Result<HoldId, String> {
    let mut holds = order.holds.iter();
    let hold = holds.find(|hold| hold.term.as_str() == term);
    Ok(hold.ok_or_else(|| format!("no hold {term}"))?.id)
}

fn money(order: &Order, text: &str) -> Result<Amount, String> {
    let sale = order.sale.as_ref().ok_or("no sale")?;
    Amount::parse(text, sale.value.currency).map_err(|error| error.to_string())
}

fn claim(order: &Order, term: &str) -> Result<Claim, String> {
    let id = hold_id(order, term)?;
    let (sale, agreement) = order.settled().ok_or("no sale")?;
    let hold = order.holds.iter().find(|hold| hold.id == id);
    Ok(Claim {
        merchant: order.merchant.clone(),
        order: order.id.clone(),
        currency: sale.currency,
        agreement,
        hold: hold.ok_or("no hold")?.clone(),
        traceparent: None,
    })
}

fn put_back(order: &mut Order, claim: Claim) {
    let mut holds = order.holds.iter_mut();
    let hold = holds.find(|hold| hold.id == claim.hold.id);
    *hold.expect("it was found before") = claim.hold;
}

fn early(
    order: &mut Order,
    term: &str,
    amount: Option<&&str>,
    at: Instant,
) -> Result<Result<Vec<Entry>, Cannot>, String> {
    let amount = amount.map(|text| money(order, text)).transpose()?;
    let mut claim = claim(order, term)?;
    let mut purse = order.purse.take().ok_or("no purse")?;
    let answer = by_hand::early(&claim.hold, amount)
        .map(|portion| release::issue(&mut claim, &portion, None, &mut purse, at));
    order.purse = Some(purse);
    put_back(order, claim);
    Ok(answer)
}

fn extend(
    order: &mut Order,
    term: &str,
    until: Instant,
    world: World<'_>,
) -> Result<Result<Vec<Entry>, Cannot>, String> {
    let mut claim = claim(order, term)?;
    let cause = format!("operation:{until}");
    let answer = by_hand::extend(&mut claim, until, world.calendars, cause);
    put_back(order, claim);
    Ok(answer.map(|entry| vec![entry]))
}
