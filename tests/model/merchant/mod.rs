//! The rules against a ledger of a merchant's whole history: deposits, adjustments, refunds that
//! come back, lost chargebacks, debts and what pays them, top-ups, credits and payout results,
//! across two or three orders with one agreement.
//!
//! The ledger (`ledger`, `order`) was written from the contract before the rules were read, and
//! compares balances, receivables per cause and releases after every line of `holdback simulate`.
//! Besides, another order of arrival must come to the same net position, and to the sum that the
//! facts alone say.
//!
//! Where the contract is silent, the ledger follows the rules: the sources that get a reversed
//! refund's money back are those of all charges of its order together, receivables first, paid ones
//! as a credit, then the deposit, even where that refund alone came out of the deposit; what comes
//! back to an empty hold is eligible from then. A credit of an order waits with what is held until
//! the clock goes on, longer while a review block keeps the order, pays debts then and tops no
//! deposit up. The oldest receivable is that of the earliest fact. A deposit that something gave
//! back pays receivables like one credited. What is due at one instant goes by order and term,
//! credits before it, of them first those of no order.
//!
//! Where the contract says two things: a refund that is reversed after its order's cancellation is
//! a credit as far as a hold gave it (section 2), and nothing if it came after the cancellation,
//! though arrival must not matter (promise 4). Other orders of arrival are not compared for these.

mod history;
mod ledger;
mod lines;
mod machine;
mod order;
mod words;

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};

use holdback::rules::entry::Account;
use proptest::test_runner::{TestCaseError, TestError, TestRunner};

use history::{History, histories};
use ledger::Ledger;
use machine::{Heard, Machine, cents, named, sorted};
use words::{Cents, DAY, Seconds, Step, What};

use super::config;

/// As many as `cargo test` has time for.
const CASES: u32 = 500;
/// When all that may go has gone.
const END: Seconds = 150 * DAY;

/// Both sides of what must be equal.
#[derive(Default)]
struct Compared(String);

impl Compared {
    fn same<T: PartialEq + Debug>(&mut self, what: &str, rules: &T, model: &T) {
        if rules != model {
            writeln!(self.0, "{what} by the rules: {rules:?}").expect("a text takes any");
            writeln!(self.0, "{what} by the model: {model:?}").expect("a text takes any");
        }
    }
}

fn compare(heard: &mut Heard, ledger: &Ledger) -> String {
    let mut compared = Compared::default();
    for (account, sum) in [
        (Account::Held, ledger.held()),
        (Account::Payable, ledger.payable()),
        (Account::Paid, ledger.paid()),
        (Account::Deposit, ledger.deposit),
        (Account::Receivable, -ledger.owed()),
        (Account::Refunded, ledger.refunded),
    ] {
        compared.same(&format!("{account:?}"), &heard.balance(account), &sum);
    }
    let mut debts: BTreeMap<String, Cents> = BTreeMap::new();
    for debt in ledger.debts.iter().filter(|it| it.left > 0) {
        *debts.entry(debt.cause.clone()).or_default() += debt.left;
    }
    compared.same("receivables", &heard.debts(), &debts);
    compared.same("left", &heard.left, &ledger.left());
    let (rules, model) = (sorted(&heard.releases), sorted(&ledger.releases));
    for (rules, model) in rules.iter().zip(&model) {
        compared.same(&named(model.whence), rules, model);
    }
    compared.same("releases", &rules.len(), &model.len());
    heard.sound();
    compared.same("wrong", &heard.wrong, &Vec::new());
    compared.0
}

/// The lines until the first difference between the rules and the model, and the difference.
fn difference(history: &History) -> Option<(Vec<String>, String)> {
    let mut ledger = Ledger::new(history.terms.clone());
    let mut machine = Machine::new(lines::agreement(&history.terms));
    for step in &history.steps {
        let line = match step {
            Step::Payout { pick, paid, .. } => {
                // One that nothing was released for yet does not come.
                let Some(payee) = ledger.payee(*pick, *paid) else {
                    continue;
                };
                lines::step(step, machine.release_id(payee).as_deref())
            }
            _ => lines::step(step, None),
        };
        ledger.act(step);
        machine.take(line);
        let differs = compare(&mut machine.heard.borrow_mut(), &ledger);
        if !differs.is_empty() {
            return Some((machine.lines, differs));
        }
    }
    let all = machine.lines.clone();
    let (holds, heard) = machine.finish(END);
    ledger.clock(END + 1);
    let mut compared = Compared(compare(&mut heard.borrow_mut(), &ledger));
    for ((order, n), hold) in &holds {
        let parts = [
            hold.original,
            hold.left,
            hold.consumed,
            hold.released,
            hold.reversed,
        ];
        let model = &ledger.orders[order].holds[*n];
        assert!(model.adds_up(), "the model's own {model:?}");
        let model = [
            model.original,
            model.left,
            model.consumed,
            model.released,
            model.reversed,
        ];
        let what = format!("hold t{} of {}", n + 1, lines::order_id(*order));
        compared.same(&what, &parts.map(cents), &model);
    }
    (!compared.0.is_empty()).then_some((all, compared.0))
}

/// The facts in another order of arrival, for which the contract promises the same net position.
fn rearranged(history: &History) -> Option<History> {
    let mut other = history.clone();
    other.steps.retain(|it| !matches!(it, Step::Payout { .. }));
    let mut cancelled = false;
    for order in 0..3 {
        let facts = other.steps.iter().filter_map(|it| match it {
            Step::Order {
                order: of, what, ..
            } if *of == order => Some(what),
            _ => None,
        });
        let facts: Vec<&What> = facts.collect();
        let gone = facts.contains(&&What::Cancelled);
        let back = facts.iter().any(|it| matches!(it, What::Reversed { .. }));
        let refunds = facts.iter().map(|it| match it {
            What::Refunded { amount, .. } => *amount,
            _ => 0,
        });
        let refunds: Cents = refunds.sum();
        let sale = facts.iter().map(|it| match it {
            What::Completed { amount, .. } => *amount,
            _ => 0,
        });
        let fits = refunds <= sale.sum() || other.terms.excess_receivable;
        if !fits || gone && back {
            return None;
        }
        cancelled |= gone;
    }
    if cancelled {
        // What was released before a cancellation stays released: nothing may be.
        other.terms.terms.iter_mut().for_each(|it| it.1 = 100);
    }
    Some(other)
}

/// Whether the order of arrival matters.
fn arrival_matters(history: &History) -> Option<(Vec<String>, String)> {
    let mut other = rearranged(history)?;
    let run = |history: &History| {
        let mut machine = Machine::new(lines::agreement(&history.terms));
        for step in &history.steps {
            machine.take(lines::step(step, None));
        }
        let lines = machine.lines.clone();
        let (_, heard) = machine.finish(END);
        let accounts = [
            Account::Held,
            Account::Payable,
            Account::Paid,
            Account::Deposit,
            Account::Receivable,
        ];
        let net: Cents = accounts.iter().map(|it| heard.borrow().balance(*it)).sum();
        (lines, net)
    };
    let mut ledger = Ledger::new(other.terms.clone());
    other.steps.iter().for_each(|step| ledger.act(step));
    ledger.clock(END + 1);
    let mut compared = Compared::default();
    let by_facts = ledger.net_by_facts();
    assert_eq!(ledger.net(), by_facts, "the model's own net position");
    compared.same("net position", &run(&other).1, &by_facts);
    let mut keyed: Vec<_> = history.shuffle.iter().zip(other.steps).collect();
    keyed.sort_by_key(|it| it.0);
    other.steps = keyed.into_iter().map(|it| it.1).collect();
    let (lines, net) = run(&other);
    compared.same("net position rearranged", &net, &by_facts);
    (!compared.0.is_empty()).then_some((lines, compared.0))
}

#[test]
fn the_rules_and_a_merchants_ledger_agree_after_every_line_of_random_histories() {
    let differ = |it: &History| difference(it).or_else(|| arrival_matters(it));
    let found =
        TestRunner::new(config(CASES)).run(&histories(), |history| match differ(&history) {
            None => Ok(()),
            Some(_) => Err(TestCaseError::fail("the rules and the model differ")),
        });
    if let Err(TestError::Fail(_, history)) = &found {
        let (lines, text) = differ(history).expect("it was found");
        panic!("after the last line of\n\n{}\n\n{text}", lines.join("\n"));
    }
    found.unwrap();
}
