//! The orders that a run remembers: by id, by place, and for how long.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;
use jiff::SignedDuration;

use crate::ingest::fold::OwnId;
use crate::rules::agreement::Agreement;
use crate::rules::fact::{FactKey, FactKind};
use crate::rules::ids::{OrderId, ReleaseId};
use crate::rules::order::Order;
use crate::rules::release;
use crate::rules::time::Instant;
use crate::store::cases::OrderKey;

/// One order with what a run needs besides.
pub(super) struct Case {
    pub(super) order: Order,
    /// The lines of the facts that wait.
    pub(super) lines: Vec<(FactKey, u64)>,
    /// When it last changed, once nothing of it is open.
    finished_at: Option<Instant>,
}

#[derive(Default)]
pub(super) struct Orders {
    cases: Vec<Option<Box<Case>>>,
    vacant: Vec<usize>,
    /// The place of the order of each id, and of its namesakes: merchants rarely share ids.
    by_id: HashMap<OrderId, usize, RandomState>,
    namesakes: HashMap<OrderId, Vec<usize>, RandomState>,
    /// The order that each refund and dispute belongs to.
    pub(super) homes: HashMap<OwnId, OrderId, RandomState>,
    /// Finished orders in the order in which they finished.
    finished: VecDeque<(Instant, usize)>,
}

impl Case {
    /// When each hold is to be looked at.
    pub(super) fn looks(&self) -> Vec<Option<Instant>> {
        self.order.holds.iter().map(release::wake_at).collect()
    }

    /// Whether anything is known of the order.
    pub(super) fn is_heard(&self) -> bool {
        let Order {
            sale,
            parked,
            blocks,
            credits,
            ..
        } = &self.order;
        let waits = !parked.is_empty() || !credits.is_empty();
        sale.is_some() || waits || !blocks.is_empty()
    }

    /// Whether nothing of it can change by itself.
    fn is_finished(&self) -> bool {
        let order = &self.order;
        order.agreement.is_some()
            && order.parked.is_empty()
            && order.credits.is_empty()
            && order.receivables.iter().all(|it| it.left.is_zero())
            && order.holds.iter().all(|hold| hold.left.is_zero())
            && order.disputes.iter().all(|it| it.closed.is_some())
            && order.blocks.iter().all(|it| it.cleared_at.is_some())
    }
}

impl Orders {
    pub(super) fn at(&self, place: usize) -> Option<&Case> {
        self.cases.get(place)?.as_deref()
    }

    pub(super) fn at_mut(&mut self, place: usize) -> &mut Case {
        self.cases[place]
            .as_deref_mut()
            .expect("a place is kept while its order is")
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Case> {
        self.cases.iter().flatten().map(Box::as_ref)
    }

    /// The place of an order; one that nobody has heard of gets one.
    pub(super) fn find_or_make(&mut self, (merchant, order): &OrderKey) -> usize {
        let found = self.places(order).find(|place| {
            self.at(*place)
                .is_some_and(|case| case.order.merchant == *merchant)
        });
        if let Some(place) = found {
            return place;
        }
        let case = Some(Box::new(Case {
            order: Order::stub(merchant.clone(), order.clone()),
            lines: Vec::new(),
            finished_at: None,
        }));
        let place = match self.vacant.pop() {
            Some(place) => {
                self.cases[place] = case;
                place
            }
            None => {
                self.cases.push(case);
                self.cases.len() - 1
            }
        };
        match self.by_id.entry(order.clone()) {
            Entry::Vacant(free) => {
                free.insert(place);
            }
            Entry::Occupied(_) => {
                let namesakes = self.namesakes.entry(order.clone());
                namesakes.or_default().push(place);
            }
        }
        place
    }

    /// The places of the orders of this id.
    fn places(&self, order: &OrderId) -> impl Iterator<Item = usize> {
        let first = self.by_id.get(order).into_iter();
        let more = self.namesakes.get(order).into_iter().flatten();
        first.chain(more).copied()
    }

    /// The orders of other merchants under the same id.
    pub(super) fn namesakes(&self, place: usize) -> Vec<&Order> {
        let order = self.at(place).map(|case| &case.order.id);
        let Some(order) = order.filter(|id| self.namesakes.contains_key(*id)) else {
            return Vec::new();
        };
        self.places(order)
            .filter(|other| *other != place)
            .filter_map(|other| self.at(other))
            .map(|case| &case.order)
            .collect()
    }

    /// The keys of the orders that answer yes, sorted.
    pub(super) fn keys(&self, wanted: impl Fn(&Order) -> bool) -> Vec<OrderKey> {
        let orders = self.all().map(|case| &case.order);
        let mut keys: Vec<OrderKey> = orders
            .filter(|order| wanted(order))
            .map(|order| (order.merchant.clone(), order.id.clone()))
            .collect();
        keys.sort_unstable();
        keys
    }

    /// Orders that were applied under an agreement that this one would have come before.
    pub(super) fn late_for(&self, new: &Agreement) -> u64 {
        let late = self.all().filter(|case| {
            let order = &case.order;
            let (Some(sale), Some(old)) = (&order.sale, &order.agreement) else {
                return false;
            };
            let sale = &sale.value;
            new.covers(&order.merchant, sale.currency, sale.at) && new.rank() > old.rank()
        });
        u64::try_from(late.count()).unwrap_or(u64::MAX)
    }

    /// Notes that an order changed: one of which nothing is known is let go at once, a finished
    /// one when its time has come.
    pub(super) fn touched(&mut self, place: usize, now: Instant) {
        let case = self.at_mut(place);
        if !case.is_heard() {
            self.remove(place);
            return;
        }
        case.finished_at = case.is_finished().then_some(now);
        if case.finished_at.is_some() {
            self.finished.push_back((now, place));
        }
    }

    /// Forgets the orders that were finished so long ago, and their releases.
    pub(super) fn forget(
        &mut self,
        now: Instant,
        after: SignedDuration,
        mut forget: impl FnMut(ReleaseId),
    ) {
        while let Some((at, place)) = self.finished.front().copied() {
            if now.timestamp().duration_since(at.timestamp()) <= after {
                break;
            }
            self.finished.pop_front();
            let Some(case) = self.at(place).filter(|case| case.finished_at == Some(at)) else {
                continue;
            };
            for hold in &case.order.holds {
                for number in 1..=hold.releases {
                    forget(ReleaseId::of(hold.id, number));
                }
            }
            self.remove(place);
        }
    }

    fn remove(&mut self, place: usize) {
        let Some(case) = self.cases[place].take() else {
            return;
        };
        self.vacant.push(place);
        let order = &case.order;
        for refund in &order.refunds {
            let id = refund.id.as_str().to_owned();
            let key = (order.merchant.clone(), FactKind::Refunded, id);
            self.homes.remove(&key);
        }
        for dispute in &order.disputes {
            let id = dispute.id.as_str().to_owned();
            let key = (order.merchant.clone(), FactKind::DisputeOpened, id);
            self.homes.remove(&key);
        }
        let places: Vec<usize> = self.places(&order.id).filter(|it| *it != place).collect();
        let Some((first, more)) = places.split_first() else {
            self.by_id.remove(&order.id);
            return;
        };
        self.by_id.insert(order.id.clone(), *first);
        if more.is_empty() {
            self.namesakes.remove(&order.id);
        } else {
            self.namesakes.insert(order.id.clone(), more.to_vec());
        }
    }
}
