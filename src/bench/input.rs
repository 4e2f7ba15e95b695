//! What the merchants' systems say in a bench: seeded messages without end.
//!
//! Guarantees that the same seed makes the same messages, and that every refund, dispute and
//! confirmation belongs to an order that comes, some of them before it.

use std::collections::VecDeque;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::cli::BenchSpread;

/// Orders that later messages may name.
const REMEMBERED: usize = 10_000;
/// Messages that may come a second time.
const REPEATABLE: usize = 1_000;
/// How many messages later what was foretold comes.
const FORETOLD: usize = 50;
/// A day and more: what is due at once.
const LONG_AGO_HOURS: i64 = 40 * 24;

/// What kind of message comes how often, per mille.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mix {
    refunds: u32,
    disputes: u32,
    confirmations: u32,
    duplicates: u32,
    /// Of all messages: those that come before their order.
    early: u32,
    /// Of the orders: those whose hold is due at once.
    due: u32,
}

impl Mix {
    /// First orders only, all due at once as soon as anything is released.
    pub(super) const ORDERS: Self = Self {
        refunds: 0,
        disputes: 0,
        confirmations: 0,
        duplicates: 0,
        early: 0,
        due: 1_000,
    };
    /// First orders only, completed just now.
    pub(super) const NEW_ORDERS: Self = Self {
        due: 0,
        ..Self::ORDERS
    };
    /// A bit of everything.
    pub(super) const MIXED: Self = Self {
        refunds: 100,
        disputes: 50,
        confirmations: 50,
        duplicates: 50,
        early: 50,
        due: 0,
    };
    /// The same, and half of it goes at once.
    pub(super) const SOAK: Self = Self {
        due: 500,
        ..Self::MIXED
    };
}

/// Which input topic a message belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    Orders,
    Refunds,
    Disputes,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub channel: Channel,
    /// The type, where it is not the topic's own.
    pub kind: Option<&'static str>,
    pub merchant: String,
    pub value: String,
    /// The order's number, where this is one for the first time.
    pub order: Option<u64>,
}

/// What later messages need to know of an order.
#[derive(Debug, Clone, Copy)]
struct Order {
    number: u64,
    merchant: u32,
    cents: u32,
    due: bool,
}

/// Messages without end.
#[derive(Debug)]
pub(super) struct Input {
    random: SmallRng,
    mix: Mix,
    /// Per merchant, the weight of it and of all before it.
    weights: Vec<u64>,
    now: jiff::Timestamp,
    next: u64,
    recent: VecDeque<Order>,
    repeatable: VecDeque<Message>,
    /// Orders of which something was told already, with the count of messages at which they come.
    foretold: VecDeque<(u64, Order)>,
    disputed: VecDeque<(u64, Order)>,
    made: u64,
}

impl Input {
    /// Messages of these merchants, with orders numbered from `first`.
    pub(super) fn new(
        seed: u64,
        merchants: u32,
        spread: BenchSpread,
        mix: Mix,
        first: u64,
        now: jiff::Timestamp,
    ) -> Self {
        Self {
            random: SmallRng::seed_from_u64(seed ^ first),
            mix,
            weights: weights(merchants, spread),
            now,
            next: first,
            recent: VecDeque::with_capacity(REMEMBERED),
            repeatable: VecDeque::with_capacity(REPEATABLE),
            foretold: VecDeque::new(),
            disputed: VecDeque::new(),
            made: 0,
        }
    }

    /// The number that the next order gets, unless something was told of it before.
    pub(super) fn next_order(&self) -> u64 {
        self.next
    }

    /// The next message.
    pub(super) fn message(&mut self) -> Message {
        self.made += 1;
        if let Some((at, order)) = self.foretold.front().copied()
            && at <= self.made
        {
            self.foretold.pop_front();
            return self.completed(order);
        }
        if self.per_mille() < self.mix.duplicates && !self.repeatable.is_empty() {
            let place = self.random.random_range(0..self.repeatable.len());
            return Message {
                order: None,
                ..self.repeatable[place].clone()
            };
        }
        let about = self.mix.refunds + self.mix.disputes + self.mix.confirmations;
        let drawn = self.per_mille();
        if drawn >= about || self.recent.is_empty() {
            let order = self.order();
            return self.completed(order);
        }
        // Of those about an order, as many come before it as of all messages shall.
        let early = self.random.random_range(0..about) < self.mix.early;
        let order = if early {
            let order = self.order();
            let at = self.made + u64::try_from(FORETOLD).unwrap_or(u64::MAX);
            self.foretold.push_back((at, order));
            order
        } else {
            let place = self.random.random_range(0..self.recent.len());
            self.recent[place]
        };
        let message = self.about(order, drawn);
        self.repeat(&message);
        message
    }

    /// A refund, a dispute's opening or closing, or a confirmation of this order.
    fn about(&mut self, order: Order, drawn: u32) -> Message {
        let merchant = name(order.merchant);
        let names = format!(
            r#""order_id":"O-{:010}","merchant_id":"{merchant}""#,
            order.number
        );
        let at = self.completed_at(order);
        let (channel, kind, value) = if drawn < self.mix.refunds {
            let amount = amount(order.cents / 10);
            let refund = self.made;
            let value = format!(
                r#"{{"refund_id":"R-{refund}",{names},"amount":"{amount}","currency":"EUR","refunded_at":"{at}"}}"#
            );
            (Channel::Refunds, None, value)
        } else if drawn < self.mix.refunds + self.mix.disputes {
            // Every other closes the oldest that is open.
            if self.disputed.len() > FORETOLD
                && let Some((dispute, order)) = self.disputed.pop_front()
            {
                return closed(dispute, order, self.completed_at(order));
            }
            let dispute = self.made;
            self.disputed.push_back((dispute, order));
            let value = format!(
                r#"{{"dispute_id":"D-{dispute}",{names},"kind":"complaint","opened_at":"{at}"}}"#
            );
            (Channel::Disputes, Some("dispute.opened.v1"), value)
        } else {
            let value = format!(r#"{{{names},"confirmed_at":"{at}","by":"buyer"}}"#);
            (Channel::Orders, Some("order.confirmed.v1"), value)
        };
        Message {
            channel,
            kind,
            merchant,
            value,
            order: None,
        }
    }

    fn order(&mut self) -> Order {
        let number = self.next;
        self.next += 1;
        let total = self.weights.last().copied().unwrap_or(1);
        let drawn = self.random.random_range(0..total);
        let merchant = self.weights.partition_point(|weight| *weight <= drawn);
        Order {
            number,
            merchant: u32::try_from(merchant).unwrap_or(u32::MAX),
            cents: self.random.random_range(100..100_000),
            due: self.per_mille() < self.mix.due,
        }
    }

    fn completed(&mut self, order: Order) -> Message {
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(order);
        let merchant = name(order.merchant);
        let value = format!(
            r#"{{"order_id":"O-{:010}","merchant_id":"{merchant}","amount":"{}","fees":"0.30","currency":"EUR","completed_at":"{}"}}"#,
            order.number,
            amount(order.cents),
            self.completed_at(order),
        );
        let message = Message {
            channel: Channel::Orders,
            kind: None,
            merchant,
            value,
            order: Some(order.number),
        };
        self.repeat(&message);
        message
    }

    fn completed_at(&self, order: Order) -> jiff::Timestamp {
        let ago = if order.due { LONG_AGO_HOURS } else { 0 };
        self.now - jiff::SignedDuration::from_hours(ago)
    }

    fn repeat(&mut self, message: &Message) {
        if self.mix.duplicates == 0 {
            return;
        }
        if self.repeatable.len() == REPEATABLE {
            self.repeatable.pop_front();
        }
        self.repeatable.push_back(message.clone());
    }

    fn per_mille(&mut self) -> u32 {
        self.random.random_range(0..1_000)
    }
}

fn closed(dispute: u64, order: Order, at: jiff::Timestamp) -> Message {
    let merchant = name(order.merchant);
    Message {
        channel: Channel::Disputes,
        kind: Some("dispute.closed.v1"),
        value: format!(
            r#"{{"dispute_id":"D-{dispute}","order_id":"O-{:010}","merchant_id":"{merchant}","outcome":"withdrawn","closed_at":"{at}"}}"#,
            order.number
        ),
        merchant,
        order: None,
    }
}

/// Running sums of how often each merchant sells.
fn weights(merchants: u32, spread: BenchSpread) -> Vec<u64> {
    let weight = |merchant: u32| match spread {
        BenchSpread::Even => 1,
        // Zipf's law with the exponent 1.
        BenchSpread::Zipf => (1 << 32) / u64::from(merchant + 1),
        BenchSpread::Half if merchant == 0 => u64::from(merchants.max(2) - 1),
        BenchSpread::Half => 1,
    };
    let sums = (0..merchants).scan(0, |sum, merchant| {
        *sum += weight(merchant);
        Some(*sum)
    });
    sums.collect()
}

fn name(merchant: u32) -> String {
    format!("M-{merchant:06}")
}

fn amount(cents: u32) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn input(mix: Mix, spread: BenchSpread) -> Input {
        Input::new(42, 100, spread, mix, 0, jiff::Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn the_same_seed_makes_the_same_messages() {
        let (mut one, mut other) = (
            input(Mix::MIXED, BenchSpread::Zipf),
            input(Mix::MIXED, BenchSpread::Zipf),
        );
        for _ in 0..5_000 {
            assert_eq!(one.message(), other.message());
        }
    }

    #[test]
    fn the_mix_is_the_one_that_was_asked_for() {
        let mut input = input(Mix::MIXED, BenchSpread::Zipf);
        let mut seen: HashMap<&str, u32> = HashMap::new();
        let (mut ordered, mut early, mut repeated) = (Vec::new(), 0, HashMap::new());
        for _ in 0..100_000 {
            let message = input.message();
            *repeated.entry(message.value.clone()).or_insert(0_u32) += 1;
            let kind = match (message.channel, message.kind) {
                (Channel::Orders, None) => "order",
                (Channel::Refunds, None) => "refund",
                (_, kind) => kind.expect("named"),
            };
            *seen.entry(kind).or_default() += 1;
            if let Some(order) = message.order {
                ordered.push(order);
            } else if kind != "order" {
                let known = ordered.iter().rev().take(REMEMBERED + FORETOLD);
                let named = known
                    .into_iter()
                    .any(|order| message.value.contains(&format!("O-{order:010}")));
                early += u32::from(!named);
            }
        }
        let about = |kind: &str, wanted: u32| {
            let count = seen[kind];
            assert!(
                count.abs_diff(wanted) < wanted / 7,
                "{kind}: {count} of {wanted}"
            );
        };
        about("order", 80_000);
        about("refund", 10_000);
        about("dispute.opened.v1", 2_500);
        about("dispute.closed.v1", 2_500);
        about("order.confirmed.v1", 5_000);
        let duplicates: u32 = repeated.values().map(|count| count - 1).sum();
        assert!(duplicates.abs_diff(5_000) < 1_000, "{duplicates}");
        assert!(early.abs_diff(5_000) < 1_000, "{early}");
    }

    #[test]
    fn merchants_sell_as_the_spread_says() {
        let share = |spread| {
            let mut input = input(Mix::ORDERS, spread);
            let first = (0..10_000).filter(|_| input.message().merchant == "M-000000");
            u32::try_from(first.count()).unwrap()
        };
        assert!(share(BenchSpread::Even).abs_diff(100) < 60);
        // 1 / (1 + 1/2 + … + 1/100)
        assert!(share(BenchSpread::Zipf).abs_diff(1_928) < 200);
        assert!(share(BenchSpread::Half).abs_diff(5_000) < 200);
    }
}
