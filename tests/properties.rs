//! What must be true of any order, whatever happens to it and in whatever order it arrives.
//!
//! Facts are generated from small numbers, so that amounts meet and times collide. The net position
//! is compared with a model that is written down independently below.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use holdback::rules::agreement::{
    Agreement, Anchor, AtLimit, Basis, Confirmation, Count, Cycle, DayKind, Excess, Free,
    RefundFees, RefundSource, RefundTerms, Roll, SettlementTerms, Term,
};
use holdback::rules::calendar::Calendars;
use holdback::rules::decide::{self, Verdict, World};
use holdback::rules::entry::{Account, Entry};
use holdback::rules::fact::{
    Completed, ConfirmedBy, ContentHash, DisputeClosed, DisputeKind, DisputeOpened, DisputeOutcome,
    DisputeUpdated, OrderEvent, OrderFact, Refunded,
};
use holdback::rules::ids::{AgreementId, DisputeId, MerchantId, OrderId, RefundId, TermName};
use holdback::rules::money::{Amount, Currency};
use holdback::rules::order::Order;
use holdback::rules::release::{self, Claim, Clock};
use holdback::rules::time::Instant;
use jiff::Timestamp;
use jiff::civil::Time;
use proptest::prelude::*;
use rust_decimal::Decimal;
use sha2::{Digest, Sha256};

const DAY: i64 = 86_400;

fn cny() -> Currency {
    Currency::from_code("CNY").unwrap()
}

fn cents(units: i64) -> Amount {
    Amount::new(Decimal::new(units, 2), cny()).unwrap()
}

fn units(amount: Amount) -> i64 {
    i64::try_from(amount.decimal().mantissa()).unwrap()
}

/// Seconds after the start of 1 May 2026 in UTC.
fn at(seconds: i64) -> Instant {
    let start: Timestamp = "2026-05-01T00:00:00Z".parse().unwrap();
    Instant::new(Timestamp::from_second(start.as_second() + seconds).unwrap())
}

/// A case: an agreement, and what happens to one order under it.
#[derive(Debug, Clone)]
struct Case {
    agreement: Arc<Agreement>,
    amount: i64,
    fees: i64,
    facts: Vec<OrderFact>,
}

fn fact(what: OrderEvent) -> OrderFact {
    let digest = Sha256::digest(format!("{what:?}"));
    OrderFact {
        merchant: MerchantId::parse("M").unwrap(),
        order: OrderId::parse("O").unwrap(),
        content: ContentHash(digest[..16].try_into().unwrap()),
        traceparent: None,
        what,
    }
}

fn term(name: usize, (rate_bps, days, anchor): (u32, u32, Anchor)) -> Term {
    Term {
        name: TermName::parse(&format!("t{name}")).unwrap(),
        basis: Basis::Gross,
        rate_bps,
        fixed: Decimal::ZERO,
        minimum: Decimal::ZERO,
        maximum: None,
        when: BTreeMap::new(),
        anchor,
        days,
        day_kind: DayKind::Calendar,
        count: Count::EndOfDay,
        limit_days: 180,
        at_limit: AtLimit::Alert,
    }
}

fn agreements() -> impl Strategy<Value = Arc<Agreement>> {
    let terms = prop::collection::vec(
        (
            prop::sample::select(vec![0, 333, 1000, 3333, 6000, 10_000]),
            prop::sample::select(vec![0_u32, 2, 7, 30]),
            prop::sample::select(vec![
                Anchor::Completed,
                Anchor::Delivered,
                Anchor::Confirmed,
            ]),
        ),
        1..4,
    );
    let cycle = prop::sample::select(vec![
        Cycle::Daily,
        Cycle::Weekly {
            weekdays: vec![1, 4],
            every: 1,
        },
    ]);
    let source = prop::sample::select(vec![
        RefundSource::HoldFirst,
        RefundSource::Proportional,
        RefundSource::MerchantFirst,
    ]);
    let fees = prop::sample::select(vec![RefundFees::Kept, RefundFees::Returned]);
    let free = prop::sample::select(vec![Free::Receivable, Free::Outside]);
    (terms, cycle, source, fees, free, any::<bool>()).prop_map(
        |(terms, cycle, source, fees, free, required)| {
            Arc::new(Agreement {
                agreement_id: AgreementId::parse("AG").unwrap(),
                version: 1,
                merchant_id: MerchantId::parse("M").unwrap(),
                effective_from: at(-100 * DAY),
                effective_until: None,
                currency: None,
                time_zone: "Asia/Shanghai".to_owned(),
                calendar: None,
                terms: (0..).zip(terms).map(|(name, it)| term(name, it)).collect(),
                confirmation: Confirmation {
                    required,
                    auto_after_hours: 240,
                },
                settlement: SettlementTerms {
                    cycle,
                    cut_off: Time::midnight(),
                    roll: Roll::Following,
                    minimum: Decimal::ZERO,
                    minimum_max_days: 90,
                },
                refund: RefundTerms {
                    source,
                    excess: Excess::Receivable,
                    fees,
                    free,
                },
            })
        },
    )
}

/// Something after the sale, with the second at which it happened.
fn happening(latest: i64) -> impl Strategy<Value = OrderEvent> {
    let seconds = 1..latest;
    let dispute = prop::sample::select(vec!["D1", "D2", "D3"]);
    let contested = prop::option::of(prop::sample::select(vec![1_i64, 30, 500, 2500, 12_000]));
    let kind = prop::sample::select(vec![
        DisputeKind::Complaint,
        DisputeKind::Chargeback,
        DisputeKind::Chargeback,
        DisputeKind::Return,
    ]);
    let outcome = prop::sample::select(vec![
        DisputeOutcome::Won,
        DisputeOutcome::Lost,
        DisputeOutcome::Lost,
    ]);
    let id = |text: &str| DisputeId::parse(text).unwrap();
    let plain = |units: Option<i64>| units.map(|it| Decimal::new(it, 2));
    let refund = (
        1..6_u8,
        prop::sample::select(vec![1_i64, 7, 100, 999, 3000]),
        seconds.clone(),
        prop::option::of(dispute.clone()),
    )
        .prop_map(move |(number, amount, seconds, dispute)| {
            OrderEvent::Refunded(Refunded {
                refund: RefundId::parse(&format!("R{number}")).unwrap(),
                amount: cents(amount),
                currency: cny(),
                at: at(seconds),
                reason: None,
                dispute: dispute.map(id),
            })
        });
    let opened = (
        dispute.clone(),
        kind.clone(),
        contested.clone(),
        seconds.clone(),
    )
        .prop_map(move |(dispute, kind, amount, seconds)| {
            OrderEvent::DisputeOpened(DisputeOpened {
                dispute: id(dispute),
                kind,
                amount: plain(amount),
                at: at(seconds),
            })
        });
    let updated = (
        dispute.clone(),
        1..4_u64,
        prop::option::of(kind),
        contested.clone(),
        seconds.clone(),
    )
        .prop_map(move |(dispute, version, kind, amount, seconds)| {
            OrderEvent::DisputeUpdated(DisputeUpdated {
                dispute: id(dispute),
                version,
                kind,
                amount: plain(amount),
                at: at(seconds),
            })
        });
    let closed = (dispute, outcome, contested, seconds.clone()).prop_map(
        move |(dispute, outcome, expected, seconds)| {
            OrderEvent::DisputeClosed(DisputeClosed {
                dispute: id(dispute),
                outcome,
                at: at(seconds),
                refund_expected: plain(expected),
            })
        },
    );
    let simple = (0..12_u8, seconds).prop_map(|(kind, seconds)| match kind {
        0..5 => OrderEvent::Delivered { at: at(seconds) },
        5..10 => OrderEvent::Confirmed {
            at: at(seconds),
            by: ConfirmedBy::Buyer,
        },
        _ => OrderEvent::Cancelled {
            at: at(seconds),
            reason: None,
        },
    });
    prop_oneof![3 => refund, 3 => opened, 1 => updated, 2 => closed, 2 => simple]
}

/// A case whose facts happen within so many seconds of the sale; one fact per key.
fn cases(latest: i64) -> impl Strategy<Value = Case> {
    (
        agreements(),
        prop::sample::select(vec![1_i64, 10, 101, 4999, 10_000]),
        0..11_i64,
        prop::collection::vec(happening(latest), 0..14),
    )
        .prop_map(|(agreement, amount, fees, happenings)| {
            let fees = amount * fees / 20;
            let sale = OrderEvent::Completed(Completed {
                amount: cents(amount),
                fees: cents(fees),
                currency: cny(),
                at: at(0),
                attributes: BTreeMap::new(),
            });
            let mut keys = HashSet::new();
            let facts = std::iter::once(sale).chain(happenings).map(fact);
            Case {
                agreement,
                amount,
                fees,
                facts: facts.filter(|fact| keys.insert(fact.key())).collect(),
            }
        })
}

/// The case, and its facts in any other order.
fn shuffled(latest: i64) -> impl Strategy<Value = (Case, Vec<OrderFact>)> {
    cases(latest).prop_flat_map(|case| {
        let facts = Just(case.facts.clone()).prop_shuffle();
        (Just(case), facts)
    })
}

/// An order under way, with its journal.
struct Run {
    agreements: Vec<Arc<Agreement>>,
    order: Order,
    journal: Vec<Entry>,
}

impl Run {
    fn new(case: &Case) -> Self {
        let merchant = MerchantId::parse("M").unwrap();
        Self {
            agreements: vec![case.agreement.clone()],
            order: Order::stub(merchant, OrderId::parse("O").unwrap()),
            journal: Vec::new(),
        }
    }

    fn all(case: &Case, facts: &[OrderFact]) -> Self {
        let mut run = Self::new(case);
        for fact in facts {
            run.apply(fact);
        }
        run
    }

    fn apply(&mut self, fact: &OrderFact) -> Verdict {
        let calendars = Calendars::default();
        let world = World {
            agreements: &self.agreements,
            calendars: &calendars,
            now: at(0),
        };
        let outcome = decide::apply(&mut self.order, fact.clone(), world).unwrap();
        assert!(outcome.refused.is_empty(), "{:?}", outcome.refused);
        self.journal.extend(outcome.entries);
        outcome.verdict
    }

    /// Looks at every hold at that moment, with an open gate; answers what went.
    fn release(&mut self, now: Instant) -> i64 {
        let clock = Clock {
            now,
            gate: Some(now),
            not_before: at(-1000 * DAY),
        };
        let mut went = 0;
        let Some(agreement) = self.order.agreement.clone() else {
            return 0;
        };
        for hold in &mut self.order.holds {
            let mut claim = Claim {
                merchant: self.order.merchant.clone(),
                order: self.order.id.clone(),
                currency: cny(),
                agreement: agreement.clone(),
                hold: hold.clone(),
                traceparent: None,
            };
            let judgement = release::judge(&claim, clock);
            for portion in &judgement.portions {
                let due = portion.dates.expect("what is due has dates");
                assert!(due.release_at <= now, "released before {due:?}");
                assert!(due.eligible_at <= due.release_at, "{due:?}");
                assert!(portion.amount <= hold.free(), "released while blocked");
                went += units(portion.amount);
                self.journal
                    .push(release::issue(&mut claim, portion, None, now));
            }
            if judgement.limit_alert {
                self.journal.push(release::limit_reached(&mut claim, now));
            }
            assert_eq!(judgement.wake_at.is_none(), claim.hold.left.is_zero());
            *hold = claim.hold;
        }
        went
    }

    fn balance(&self, account: Account) -> i64 {
        let transfers = self.journal.iter().filter_map(|entry| entry.transfer);
        transfers.fold(0, |sum, it| {
            let credit = if it.credit == account {
                units(it.amount)
            } else {
                0
            };
            let debit = if it.debit == account {
                units(it.amount)
            } else {
                0
            };
            sum + credit - debit
        })
    }

    /// Held + payable − owed; what is owed stands as a debit in its account.
    fn net(&self) -> i64 {
        [Account::Held, Account::Payable, Account::Receivable]
            .map(|account| self.balance(account))
            .iter()
            .sum()
    }

    fn check(&self) {
        let holds = &self.order.holds;
        for hold in holds {
            assert!(hold.check(), "{hold:?}");
        }
        let left: i64 = holds.iter().map(|hold| units(hold.left)).sum();
        assert_eq!(self.balance(Account::Held), left, "held is what is left");
        let released: i64 = holds.iter().map(|hold| units(hold.released)).sum();
        assert_eq!(
            self.balance(Account::Payable),
            released,
            "payable is what was released"
        );
        let owed: i64 = self.order.receivables.iter().map(|it| units(it.left)).sum();
        assert_eq!(
            self.balance(Account::Receivable),
            -owed,
            "what is owed is booked"
        );
        let mut ids = HashSet::new();
        for entry in &self.journal {
            let new = ids.insert(entry.event_id(&self.order.merchant));
            assert!(new, "one id for two events: {entry:?}");
        }
    }
}

/// The model: what an order's merchant should have of it, in cents, from the facts alone.
/// `released` is what went before a cancellation could reverse it.
fn model(case: &Case, released: i64) -> i64 {
    let mut terms: Vec<i64> = Vec::new();
    let mut room = case.amount - case.fees;
    for term in &case.agreement.terms {
        let share = (case.amount * i64::from(term.rate_bps) * 2 + 10_000) / 20_000;
        terms.push(share.min(room));
        room -= share.min(room);
    }
    let original: i64 = terms.iter().sum();
    let mut named: BTreeMap<Option<String>, i64> = BTreeMap::new();
    let mut kinds: BTreeMap<String, (u64, DisputeKind)> = BTreeMap::new();
    let mut amounts: BTreeMap<String, (u64, Option<i64>)> = BTreeMap::new();
    let mut lost: HashSet<String> = HashSet::new();
    let mut opened: HashSet<String> = HashSet::new();
    let mut cancelled = false;
    let in_cents = |it: Decimal| {
        i64::try_from((it * Decimal::ONE_HUNDRED).mantissa()).unwrap()
            / 10_i64.pow((it * Decimal::ONE_HUNDRED).scale())
    };
    for fact in &case.facts {
        match &fact.what {
            OrderEvent::Refunded(it) => {
                let dispute = it.dispute.as_ref().map(ToString::to_string);
                *named.entry(dispute).or_default() += units(it.amount);
            }
            OrderEvent::DisputeOpened(it) => {
                let id = it.dispute.to_string();
                opened.insert(id.clone());
                kinds.entry(id.clone()).or_insert((0, it.kind));
                amounts.entry(id).or_insert((0, it.amount.map(in_cents)));
            }
            OrderEvent::DisputeUpdated(it) => {
                let id = it.dispute.to_string();
                let newer = |known: Option<u64>| known.is_none_or(|known| it.version > known);
                if let Some(kind) = it.kind
                    && newer(kinds.get(&id).map(|known| known.0))
                {
                    kinds.insert(id.clone(), (it.version, kind));
                }
                if let Some(amount) = it.amount
                    && newer(amounts.get(&id).map(|known| known.0))
                {
                    amounts.insert(id, (it.version, Some(in_cents(amount))));
                }
            }
            OrderEvent::DisputeClosed(it) if it.outcome == DisputeOutcome::Lost => {
                lost.insert(it.dispute.to_string());
            }
            OrderEvent::Cancelled { .. } => cancelled = true,
            _ => {}
        }
    }
    let mut debt: i64 = named.values().sum();
    for id in lost.intersection(&opened) {
        if kinds[id].1 == DisputeKind::Chargeback {
            let claimed = amounts[id].1.unwrap_or(case.amount);
            let refunded = named.get(&Some(id.clone())).copied().unwrap_or(0);
            debt += (claimed - refunded).max(0);
        }
    }
    let half_up = |whole: i64, part: i64, of: i64| (whole * part * 2 + of) / (of * 2);
    let covered = debt.min(case.amount);
    let mut charged = covered;
    if case.agreement.refund.fees == RefundFees::Returned {
        charged -= half_up(case.fees, covered, case.amount);
    }
    if case.agreement.refund.free == Free::Outside {
        charged = charged.min(half_up(original, covered, case.amount));
    }
    charged += debt - covered;
    if cancelled {
        released - (charged - (original - released)).max(0)
    } else {
        original - charged
    }
}

/// Everything about the holds that arrival must not change while nothing has fallen due.
fn shape(order: &Order) -> Vec<String> {
    let holds = order.holds.iter();
    holds
        .map(|hold| {
            let dates = hold.dates.filter(|_| !hold.left.is_zero());
            let (left, blocked, tails) = (hold.left, hold.blocked, &hold.tails);
            let anchor = hold.anchor_at;
            format!(
                "{} {left} {blocked} {anchor:?} {dates:?} {tails:?}",
                hold.term
            )
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    /// Conservation, and the model's net position after each fact that could be applied.
    #[test]
    fn money_is_conserved_and_the_net_position_is_the_model_s(case in cases(40 * DAY)) {
        let mut run = Run::new(&case);
        for (count, fact) in (1..).zip(&case.facts) {
            run.apply(fact);
            run.check();
            let so_far = Case { facts: case.facts[..count].to_vec(), ..case.clone() };
            prop_assert_eq!(run.net(), model(&so_far, 0), "after {:?}", fact.key());
        }
        // What was reversed and not refunded is back where it came from.
        let proceeds = run.balance(Account::Proceeds) + run.balance(Account::Refunded);
        prop_assert_eq!(proceeds + run.net(), 0);
    }

    /// Promise 4, first half: the net position, whatever falls due in between.
    #[test]
    fn arrival_changes_no_net_position((case, facts) in shuffled(40 * DAY)) {
        let one = Run::all(&case, &case.facts);
        let other = Run::all(&case, &facts);
        other.check();
        prop_assert_eq!(one.net(), model(&case, 0));
        prop_assert_eq!(other.net(), model(&case, 0));
        let of_a_dispute = |fact: &OrderFact| {
            matches!(fact.what, OrderEvent::DisputeUpdated(_) | OrderEvent::DisputeClosed(_))
        };
        prop_assert!(other.order.parked.iter().all(of_a_dispute), "only what has no opening waits");
    }

    /// Promise 4, second half: nothing is due on the first day of holds of 2 days and more.
    #[test]
    fn arrival_changes_no_hold_while_nothing_is_due((case, facts) in shuffled(DAY / 2)) {
        let one = Run::all(&case, &case.facts);
        let other = Run::all(&case, &facts);
        prop_assert_eq!(shape(&one.order), shape(&other.order));
    }

    /// Each fact twice is each fact once, at once or later.
    #[test]
    fn twice_is_once((case, again) in shuffled(40 * DAY)) {
        let once = Run::all(&case, &case.facts);
        let mut twice = Run::new(&case);
        for fact in &case.facts {
            twice.apply(fact);
            prop_assert_eq!(twice.apply(fact), Verdict::Duplicate);
        }
        for fact in &again {
            prop_assert_eq!(twice.apply(fact), Verdict::Duplicate);
        }
        prop_assert_eq!(&once.order, &twice.order);
        prop_assert_eq!(&once.journal, &twice.journal);
    }

    /// With releases between the facts: never early, never blocked money, nothing made or lost;
    /// at the end, with all blocks gone and all dates past, nothing free is left.
    #[test]
    fn releases_are_never_early_and_lose_nothing((case, facts) in shuffled(40 * DAY), steps in prop::collection::vec(0..6_i64, 15)) {
        let mut run = Run::new(&case);
        let mut day = 0;
        let mut released_before_cancel = 0;
        for (fact, step) in facts.iter().zip(&steps) {
            run.apply(fact);
            run.check();
            day += step;
            let went = run.release(at(day * DAY));
            run.check();
            prop_assert!(went == 0 || run.order.cancelled.is_none(), "a cancelled order has nothing to go");
            released_before_cancel += went;
        }
        prop_assert_eq!(run.net(), model(&case, released_before_cancel));
        run.release(at(400 * DAY));
        run.check();
        for hold in &run.order.holds {
            prop_assert!(hold.dates.is_none() || hold.free().is_zero(), "free money stays: {:?}", hold);
        }
        prop_assert_eq!(run.net(), model(&case, released_before_cancel));
    }

    /// Both ways of splitting add up; the steady one never takes back when the sum grows.
    #[test]
    fn splits_add_up_and_the_steady_one_never_falls(
        total in 0..5000_i64,
        weights in prop::collection::vec(0..3000_i64, 1..6),
    ) {
        let weights: Vec<Amount> = weights.into_iter().map(cents).collect();
        prop_assume!(weights.iter().any(|weight| !weight.is_zero()));
        let sum = |parts: &[Amount]| parts.iter().map(|part| units(*part)).sum::<i64>();
        let hamilton = cents(total).split(&weights).unwrap();
        let steady = cents(total).split_steadily(&weights).unwrap();
        prop_assert_eq!(sum(&hamilton), total);
        prop_assert_eq!(sum(&steady), total);
        let more = cents(total + 1).split_steadily(&weights).unwrap();
        prop_assert!(steady.iter().zip(&more).all(|(less, more)| less <= more));
        if weights.len() < 3 {
            prop_assert_eq!(&hamilton, &steady);
        }
        let whole = Amount::sum(cny(), weights.iter().copied()).unwrap();
        prop_assert_eq!(&whole.split_steadily(&weights).unwrap(), &weights);
    }
}
