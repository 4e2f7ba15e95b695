//! What a line of a scenario may expect.

use holdback::rules::decide::Refusal;
use holdback::rules::decide::Verdict;
use holdback::rules::entry::Event;
use holdback::rules::hold::{Hold, Tail};
use holdback::rules::release::Obstacle;
use holdback::rules::review::Review;
use holdback::rules::time::Instant;
use rust_decimal::Decimal;

use super::happenings::review_id;
use super::ledger::Ledger;
use super::setup::{day, instant, read};

/// The sums of an order, or of one of its holds.
const SUMS: [&str; 6] = [
    "held", "blocked", "consumed", "released", "reversed", "owes",
];

/// Checks every phrase. Sums: where a line says what is held (of the order, or of one hold), the
/// sums that it does not name must be zero.
pub fn check(ledger: &Ledger, phrases: &[&str]) -> Result<(), String> {
    let mut named: Vec<(Option<&Hold>, &str)> = Vec::new();
    for phrase in phrases {
        let words: Vec<&str> = phrase.split_whitespace().collect();
        let (hold, words) = of_hold(ledger, &words);
        if let [sum, amount, rest @ ..] = words
            && let Some(sum) = SUMS.iter().find(|it| *it == sum)
        {
            let expected: Decimal = read(amount)?;
            let actual = total(ledger, hold, sum);
            let actual_text = describe(ledger, hold);
            if expected != actual {
                return Err(format!("expected {phrase}, actually {actual_text}"));
            }
            named.push((hold, sum));
            if let [on, when] = rest {
                date(ledger, hold, sum, on, when)
                    .map_err(|actual| format!("expected {phrase}, actually {actual}"))?;
            }
        } else {
            single(ledger, hold, words)
                .map_err(|actual| format!("expected {phrase}, actually {actual}"))?;
        }
    }
    for (hold, _) in named.iter().filter(|(_, sum)| *sum == "held") {
        let said = |sum: &str| named.iter().any(|(of, it)| *it == sum && same(*of, *hold));
        for sum in SUMS.iter().filter(|sum| !said(sum)) {
            let of_the_order = *sum == "owes" && hold.is_some();
            if !of_the_order && !total(ledger, *hold, sum).is_zero() {
                let actual = describe(ledger, *hold);
                return Err(format!("expected no sum `{sum}`, actually {actual}"));
            }
        }
    }
    Ok(())
}

fn same(one: Option<&Hold>, other: Option<&Hold>) -> bool {
    one.map(|hold| hold.id) == other.map(|hold| hold.id)
}

/// A phrase may begin with the name of the term that it is about.
fn of_hold<'a, 'w>(ledger: &'a Ledger, words: &'w [&'w str]) -> (Option<&'a Hold>, &'w [&'w str]) {
    if let (Some(order), [first, rest @ ..]) = (ledger.order(), words) {
        let hold = order.holds.iter().find(|hold| hold.term.as_str() == *first);
        if hold.is_some() {
            return (hold, rest);
        }
    }
    (None, words)
}

fn holds<'a>(ledger: &'a Ledger, hold: Option<&'a Hold>) -> Vec<&'a Hold> {
    match (hold, ledger.order()) {
        (Some(hold), _) => vec![hold],
        (None, Some(order)) => order.holds.iter().collect(),
        (None, None) => Vec::new(),
    }
}

fn total(ledger: &Ledger, hold: Option<&Hold>, sum: &str) -> Decimal {
    let receivables = ledger.order().map(|order| order.receivables.iter());
    if sum == "owes" {
        let amounts = receivables.into_iter().flatten();
        return amounts.map(|it| it.left.decimal()).sum();
    }
    let of = |hold: &Hold| match sum {
        "held" => hold.left,
        "blocked" => hold.blocked,
        "consumed" => hold.consumed,
        "released" => hold.released,
        _ => hold.reversed,
    };
    let holds = holds(ledger, hold).into_iter();
    holds.map(|hold| of(hold).decimal()).sum()
}

fn describe(ledger: &Ledger, hold: Option<&Hold>) -> String {
    let mut words: Vec<String> = SUMS
        .iter()
        .map(|sum| (sum, total(ledger, hold, sum)))
        .filter(|(sum, total)| **sum == "held" || !total.is_zero())
        .map(|(sum, total)| format!("{sum} {total}"))
        .collect();
    for hold in holds(ledger, hold) {
        let dates = hold
            .dates
            .map(|it| format!("{} until {}", hold.own(), it.settlement_on));
        words.push(format!(
            "{}: {}",
            hold.term,
            dates.as_deref().unwrap_or("no date")
        ));
        for tail in &hold.tails {
            let until = tail.dates.map(|it| it.settlement_on.to_string());
            let until = until.as_deref().unwrap_or("a date");
            words.push(format!("tail {} until {until}", tail.amount));
        }
    }
    words.join(", ")
}

/// `held … until DAY`, `released … on DAY`.
fn date(
    ledger: &Ledger,
    hold: Option<&Hold>,
    sum: &str,
    on: &str,
    when: &str,
) -> Result<(), String> {
    let expected = day(when)?;
    let ids: Vec<_> = holds(ledger, hold).iter().map(|hold| hold.id).collect();
    let actual: Vec<_> = match (sum, on) {
        ("held", "until") => {
            let dated = holds(ledger, hold).into_iter();
            dated
                .filter(|hold| !hold.left.is_zero())
                .map(|hold| hold.dates.map(|dates| dates.settlement_on))
                .collect()
        }
        ("released", "on") => {
            let mut last = None;
            for entry in &ledger.journal {
                if let (Event::ReleaseIssued(it), Some(of)) = (&entry.event, entry.hold)
                    && ids.contains(&of)
                {
                    last = Some(it.settlement_date);
                }
            }
            last.into_iter().collect()
        }
        _ => return Err(format!("`{sum} … {on}` can't be expected")),
    };
    if actual.is_empty() || actual.iter().any(|it| *it != Some(expected)) {
        return Err(format!("{actual:?}"));
    }
    Ok(())
}

fn single(ledger: &Ledger, hold: Option<&Hold>, words: &[&str]) -> Result<(), String> {
    let first = || {
        hold.or_else(|| ledger.order()?.holds.first())
            .ok_or("there is no hold")
    };
    let zone = ledger.zone();
    let at = |text: &str| instant(text, &zone, "00:00");
    let is = |actual: Option<Instant>, text: &str| match actual {
        Some(actual) if actual == at(text)? => Ok(()),
        Some(actual) => Err(actual.to_string()),
        None => Err("unknown".to_owned()),
    };
    let dates = first().ok().and_then(|hold| hold.dates);
    match words {
        ["window", when] => is(dates.map(|it| it.window_ends_at), when),
        ["eligible", when] => is(dates.map(|it| it.eligible_at), when),
        ["due", when] => is(dates.map(|it| it.release_at), when),
        ["limit", when] => is(first()?.limit_at, when),
        ["pending"] => holds_true(first()?.anchor_at.is_none(), "anchored"),
        ["undated"] => holds_true(first()?.dates.is_none(), &format!("{dates:?}")),
        ["no", "tail"] => holds_true(first()?.tails.is_empty(), "there is one"),
        ["tail", amount, "until", when] => {
            let (amount, when): (Decimal, _) = (read(amount)?, day(when)?);
            let tails = &first()?.tails;
            let mut found = tails.iter();
            let until = |it: &Tail| it.dates.map(|dates| dates.settlement_on);
            let found = found.any(|it| it.amount.decimal() == amount && until(it) == Some(when));
            holds_true(found, &format!("{tails:?}"))
        }
        ["free", amount] => {
            let free = ledger.order().and_then(|order| order.free);
            let same = free.is_some_and(|it| it.to_string() == *amount);
            holds_true(same, &format!("{free:?}"))
        }
        ["under", agreement] => {
            let agreement_of = |it: &holdback::rules::agreement::Agreement| {
                format!("{}.v{}", it.agreement_id, it.version)
            };
            let order = ledger.order().and_then(|order| order.agreement.as_ref());
            let actual = order.map(|it| agreement_of(it)).unwrap_or_default();
            holds_true(actual == *agreement, &actual)
        }
        ["cannot", why] => {
            let cannot = format!("{:?}", ledger.cannot);
            holds_true(cannot.starts_with(&format!("Some({why}")), &cannot)
        }
        ["nothing"] => holds_true(ledger.step.is_empty(), &events(ledger)),
        ["event", name, rest @ ..] => {
            let wanted = rest
                .first()
                .map_or(Ok(1), |times| read(times.trim_start_matches('×')))?;
            let full = format!("holdback.{name}.v1");
            let found = ledger
                .step
                .iter()
                .filter(|it| it.event.type_name() == full)
                .count();
            holds_true(found == wanted, &events(ledger))
        }
        ["credit" | "deposit" | "withdrawals" | "written_off", ..] => {
            of_the_merchant(ledger, words)
        }
        ["pays", amounts @ ..] => pays(ledger, amounts),
        ["sources", sources @ ..] => sources_are(ledger, &sources.join(" ")),
        ["review", review, state @ ..] => review_is(ledger, review, state),
        ["goes" | "waits" | "wakes", _] => judged(ledger, first()?, words),
        other => outcome(ledger, other),
    }
}

fn review_is(ledger: &Ledger, review: &str, state: &[&str]) -> Result<(), String> {
    let id = review_id(review, &["", &ledger.about]);
    let found = ledger.order().and_then(|order| order.review(&id));
    let actual = found.map_or_else(|| "unknown".to_owned(), described);
    let wanted = match state {
        ["next", moment, when] => {
            let at = instant(when, &ledger.zone(), "00:00")?;
            format!("next {moment} {at}")
        }
        other => other.join(" "),
    };
    holds_true(actual == wanted, &actual)
}

/// `passed by silence`, or what comes next of an open one.
fn described(review: &Review) -> String {
    match (&review.closed, review.next()) {
        (Some(closed), _) => format!("{:?} by {:?}", closed.decision, closed.by).to_lowercase(),
        (None, Some((at, moment))) => format!("next {} {at}", format!("{moment:?}").to_lowercase()),
        (None, None) => "open without a next moment".to_owned(),
    }
}

/// What the merchant has and owes apart from holds.
fn of_the_merchant(ledger: &Ledger, words: &[&str]) -> Result<(), String> {
    match words {
        ["credit", amount] => {
            let credits = ledger.order().map(|order| order.credits.iter());
            let credits = credits.into_iter().flatten();
            let credits = credits.chain(&ledger.credits);
            let sum: Decimal = credits.map(|it| it.amount.decimal()).sum();
            holds_true(sum == read::<Decimal>(amount)?, &sum.to_string())
        }
        ["deposit", amount] => {
            let deposit = ledger.purse.as_ref().map(|purse| purse.deposit.to_string());
            holds_true(deposit.as_deref() == Some(amount), &format!("{deposit:?}"))
        }
        ["written_off", amount] => {
            let own = ledger.orders.values().flat_map(|order| &order.receivables);
            let all = own.chain(&ledger.withdrawals);
            let sum: Decimal = all.map(|it| it.written_off.decimal()).sum();
            holds_true(sum == read::<Decimal>(amount)?, &sum.to_string())
        }
        ["withdrawals", "owe", amount] => {
            let left = ledger.withdrawals.iter().map(|it| it.left.decimal());
            let left: Decimal = left.sum();
            holds_true(left == read::<Decimal>(amount)?, &left.to_string())
        }
        other => Err(format!("`{}` can't be expected", other.join(" "))),
    }
}

/// What the release loop made of a hold.
fn judged(ledger: &Ledger, hold: &Hold, words: &[&str]) -> Result<(), String> {
    let key = (ledger.about.clone(), hold.term.to_string());
    let judged = ledger.judged.get(&key);
    match words {
        ["goes", reason] => {
            let reasons: Vec<String> = ledger
                .step
                .iter()
                .filter_map(|entry| match &entry.event {
                    Event::ReleaseIssued(it) => Some(format!("{:?}", it.reason).to_lowercase()),
                    _ => None,
                })
                .collect();
            let same = !reasons.is_empty() && reasons.iter().all(|it| it == reason);
            holds_true(same, &format!("{reasons:?}"))
        }
        ["waits", obstacle] => {
            let first = judged.and_then(|it| it.obstacles.first());
            let name = first.map(|it| match it {
                Obstacle::NotYet(_) => "NotYet".to_owned(),
                other => format!("{other:?}"),
            });
            holds_true(name.as_deref() == Some(obstacle), &format!("{name:?}"))
        }
        ["wakes", when] => {
            let expected = instant(when, &ledger.zone(), "00:00")?;
            let actual = judged.and_then(|it| it.wake_at);
            holds_true(actual == Some(expected), &format!("{actual:?}"))
        }
        other => Err(format!("`{}` can't be expected", other.join(" "))),
    }
}

fn holds_true(it: bool, actual: &str) -> Result<(), String> {
    if it { Ok(()) } else { Err(actual.to_owned()) }
}

fn events(ledger: &Ledger) -> String {
    let names = ledger.step.iter().map(|entry| entry.event.type_name());
    names.collect::<Vec<_>>().join(" ")
}

/// `pays 100.00 - 30.00 - 5.00 = 65.00 due`: gross, recovered, what went to the deposit (left away
/// when it is nothing), amount and reason of each release.
fn pays(ledger: &Ledger, expected: &[&str]) -> Result<(), String> {
    let releases = ledger.step.iter().filter_map(|entry| match &entry.event {
        Event::ReleaseIssued(it) => {
            let reason = format!("{:?}", it.reason).to_lowercase();
            let (gross, recovered, amount) = (it.gross, it.recovered, it.amount);
            let to_deposit = Some(it.to_deposit).filter(|amount| !amount.is_zero());
            let to_deposit = to_deposit.map(|amount| format!(" - {amount}"));
            let to_deposit = to_deposit.unwrap_or_default();
            Some(format!(
                "{gross} - {recovered}{to_deposit} = {amount} {reason}"
            ))
        }
        _ => None,
    });
    let actual = releases.collect::<Vec<_>>().join(" ");
    holds_true(actual == expected.join(" "), &actual)
}

/// `sources hold 30.00 receivable 5.00` of the line's last `refund.applied`.
fn sources_are(ledger: &Ledger, expected: &str) -> Result<(), String> {
    let mut actual = String::from("no refund.applied");
    for entry in &ledger.step {
        if let Event::RefundApplied(it) = &entry.event {
            let sources = it.sources.iter();
            let texts = sources.map(|it| format!("{:?} {}", it.kind, it.amount).to_lowercase());
            actual = texts.collect::<Vec<_>>().join(" ");
        }
    }
    holds_true(actual == expected, &actual)
}

fn outcome(ledger: &Ledger, words: &[&str]) -> Result<(), String> {
    let actual = format!("{:?}", ledger.outcome);
    let outcome = ledger.outcome.as_ref().ok_or("no fact was applied")?;
    let accepted = outcome.as_ref().ok();
    let verdict = accepted.map(|it| it.verdict);
    let it = match words {
        ["applied"] => verdict == Some(Verdict::Applied),
        ["kept"] => verdict == Some(Verdict::Kept),
        ["duplicate"] => verdict == Some(Verdict::Duplicate),
        ["refused", why] => match outcome {
            Err(refusal) => reason(refusal) == *why,
            Ok(outcome) => outcome.refused.iter().any(|(_, it)| reason(it) == *why),
        },
        ["unparked", keys @ ..] => accepted.is_some_and(|outcome| {
            let actual: Vec<String> = outcome.unparked.iter().map(ToString::to_string).collect();
            actual == *keys
        }),
        ["alarm", name] => accepted.is_some_and(|it| it.alarms.contains(name)),
        other => return Err(format!("`{}` can't be expected", other.join(" "))),
    };
    holds_true(it, &actual)
}

fn reason(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Conflict(_) => "conflict",
        Refusal::Mismatch(_) => "mismatch",
        Refusal::Money(_) => "money",
        Refusal::RefundExceedsOrder => "refund_exceeds_order",
        Refusal::NeedsApproval => "approval",
    }
}
