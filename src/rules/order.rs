//! Everything known about one order: its sale, its holds, its refunds and disputes, and the facts
//! that wait for something. This is what [`super::decide`] folds facts into.

use std::collections::HashMap;
use std::sync::Arc;

use super::agreement::Agreement;
use super::entry::ReleaseIssued;
use super::fact::{Completed, ContentHash, OrderEvent, OrderFact};
use super::hold::Hold;
use super::ids::{DisputeId, HoldId, MerchantId, OrderId, ReceivableId, RefundId, ReviewId};
use super::money::{Amount, Currency, MoneyError, less};
use super::recovery::{Credit, Purse};
use super::review::Review;
use super::sums::Sums;
use super::time::Instant;

pub use super::block::{Block, BlockKind, Closing, Dispute};

/// One order. Without a sale it is a stub: something about the order came before the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub merchant: MerchantId,
    pub id: OrderId,
    pub sale: Option<Noted<Completed>>,
    pub delivered: Option<Noted<Instant>>,
    pub confirmed: Option<Noted<Instant>>,
    pub cancelled: Option<Noted<Instant>>,
    /// The currency of what persons have charged of its refunds and chargebacks before it came.
    pub charged_in: Option<Currency>,
    /// The agreement in force when the sale was applied; `None`: the sale waits for one.
    pub agreement: Option<Arc<Agreement>>,
    /// What no term holds.
    pub free: Option<Amount>,
    pub holds: Vec<Hold>,
    /// Applied refunds, in the order in which they were applied.
    pub refunds: Vec<Refund>,
    /// What they add up to, as far as it has been counted.
    pub(super) sums: Sums,
    pub disputes: Vec<Dispute>,
    /// Reviews, open or closed; each has a block of its own.
    pub reviews: Vec<Review>,
    /// Blocks other than disputes.
    pub blocks: Vec<Block>,
    pub receivables: Vec<Receivable>,
    /// What this order's facts have just given back to the merchant apart from its holds. The clock
    /// releases it, elsewhere: an order that is loaded has none.
    pub credits: Vec<Credit>,
    /// The merchant's deposit in the sale's currency, while a fact is applied that may take from it
    /// or give back to it: the caller puts it here and takes it back.
    pub purse: Option<Purse>,
    /// Releases of its holds that were published while this database did not know of them, oldest first:
    /// they go before anything else happens to the hold.
    pub foretold: Vec<Foretold>,
    /// Facts that wait: for the sale, for an agreement, or for their dispute.
    pub parked: Vec<OrderFact>,
    /// The sale's trace context, for the releases that follow from it.
    pub traceparent: Option<String>,
}

/// A release that stands in the output topic and not in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foretold {
    pub hold: HoldId,
    pub release: ReleaseIssued,
}

/// A value with the digest of the message that brought it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted<T> {
    pub value: T,
    pub content: ContentHash,
}

/// A refund that was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    pub id: RefundId,
    pub amount: Amount,
    pub at: Instant,
    pub dispute: Option<DisputeId>,
    pub content: ContentHash,
    /// What it charged the merchant: `amount` less returned fees, the outside share and what a
    /// lost chargeback had already charged.
    pub charged: Amount,
    /// Of `charged`, what came out of money that a cancellation had reversed.
    pub from_reversed: Amount,
    /// Of `charged`, what came out of the order's holds.
    pub from_holds: Amount,
    /// Of `charged`, what came out of the merchant's deposit.
    pub from_deposit: Amount,
    /// Of `charged`, what opened a receivable.
    pub from_receivable: Amount,
    /// When it turned out not to have gone through; it claims nothing then.
    pub reversed: Option<Noted<Instant>>,
}

/// A debt of the merchant, opened by this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receivable {
    pub id: ReceivableId,
    pub currency: Currency,
    pub original: Amount,
    pub left: Amount,
    /// What persons have written off of it: neither owed any more nor recovered.
    pub written_off: Amount,
    pub opened_at: Instant,
    /// Kind of the cause and its id, for instance (`refund`, `R-1`).
    pub cause: (&'static str, String),
}

impl Order {
    /// An order of which nothing is known yet.
    #[must_use]
    pub fn stub(merchant: MerchantId, id: OrderId) -> Self {
        Self {
            merchant,
            id,
            sale: None,
            delivered: None,
            confirmed: None,
            cancelled: None,
            charged_in: None,
            agreement: None,
            free: None,
            holds: Vec::new(),
            refunds: Vec::new(),
            sums: Sums::default(),
            disputes: Vec::new(),
            reviews: Vec::new(),
            blocks: Vec::new(),
            receivables: Vec::new(),
            credits: Vec::new(),
            foretold: Vec::new(),
            purse: None,
            parked: Vec::new(),
            traceparent: None,
        }
    }

    /// The currency of its money: the sale's, or that of what was charged before the sale came.
    #[must_use]
    pub fn currency(&self) -> Option<Currency> {
        let sold = self.sale.as_ref().map(|noted| noted.value.currency);
        sold.or(self.charged_in)
    }

    /// The sale and its agreement, once it is applied.
    #[must_use]
    pub fn settled(&self) -> Option<(Completed, Arc<Agreement>)> {
        let sale = self.sale.as_ref()?.value.clone();
        Some((sale, self.agreement.clone()?))
    }

    /// The digest under which a fact of this key is already known, applied or parked.
    #[must_use]
    pub fn known(&self, fact: &OrderFact) -> Option<ContentHash> {
        let applied = match &fact.what {
            OrderEvent::Completed(_) => self.sale.as_ref().map(|noted| noted.content),
            OrderEvent::Confirmed { .. } => self.confirmed.as_ref().map(|noted| noted.content),
            OrderEvent::Delivered { .. } => self.delivered.as_ref().map(|noted| noted.content),
            OrderEvent::Cancelled { .. } => self.cancelled.as_ref().map(|noted| noted.content),
            OrderEvent::Refunded(it) => self.refund(&it.refund).map(|refund| refund.content),
            OrderEvent::RefundReversed(it) => self
                .refund(&it.refund)
                .and_then(|refund| refund.reversed.as_ref())
                .map(|noted| noted.content),
            OrderEvent::DisputeOpened(it) => self.dispute(&it.dispute).map(|found| found.opened),
            OrderEvent::DisputeUpdated(it) => self.dispute(&it.dispute).and_then(|found| {
                let mut updates = found.updates.iter();
                let update = updates.find(|(version, _)| *version == it.version);
                update.map(|(_, content)| *content)
            }),
            OrderEvent::DisputeClosed(it) => self
                .dispute(&it.dispute)
                .and_then(|found| found.closed.as_ref())
                .map(|noted| noted.content),
            OrderEvent::ReviewRequested(it) => {
                self.review(&it.review).and_then(|found| found.requested)
            }
            OrderEvent::ReviewAnswered(it) => {
                let answered = self.review(&it.review).and_then(|it| it.answered.as_ref());
                answered.map(|noted| noted.content)
            }
            OrderEvent::ReviewDecided(it) => self.review(&it.review).and_then(|it| it.decided),
        };
        applied.or_else(|| {
            let key = fact.key_parts();
            let mut parked = self.parked.iter();
            parked
                .find(|waiting| waiting.key_parts() == key)
                .map(|waiting| waiting.content)
        })
    }

    /// Whether a fact has to wait for the sale, for an agreement or for its dispute.
    #[must_use]
    pub fn keeps_waiting(&self, fact: &OrderFact) -> bool {
        match &fact.what {
            OrderEvent::Completed(_) => false,
            // A person may have charged the refund before the order came.
            OrderEvent::RefundReversed(it) => self.refund(&it.refund).is_none(),
            _ if self.agreement.is_none() => true,
            OrderEvent::DisputeUpdated(it) => self.dispute(&it.dispute).is_none(),
            OrderEvent::DisputeClosed(it) => self.dispute(&it.dispute).is_none(),
            OrderEvent::ReviewAnswered(it) => self.review(&it.review).is_none(),
            OrderEvent::ReviewDecided(it) => self.review(&it.review).is_none(),
            _ => false,
        }
    }

    /// How many facts, and blocks, the order has to remember one by one.
    #[must_use]
    pub fn facts(&self) -> usize {
        let updates = self.disputes.iter().map(|it| it.updates.len());
        self.refunds.len()
            + self.disputes.len()
            + updates.sum::<usize>()
            + self.reviews.len()
            + self.blocks.len()
            + self.parked.len()
    }

    /// Whether this fact, applied or kept, makes one more of them; known ones aside.
    #[must_use]
    pub fn grows_by(&self, fact: &OrderFact) -> bool {
        match fact.what {
            OrderEvent::Completed(_)
            | OrderEvent::Confirmed { .. }
            | OrderEvent::Delivered { .. }
            | OrderEvent::Cancelled { .. } => false,
            OrderEvent::RefundReversed(_)
            | OrderEvent::DisputeClosed(_)
            | OrderEvent::ReviewAnswered(_)
            | OrderEvent::ReviewDecided(_) => self.keeps_waiting(fact),
            OrderEvent::Refunded(_)
            | OrderEvent::DisputeOpened(_)
            | OrderEvent::DisputeUpdated(_)
            | OrderEvent::ReviewRequested(_) => true,
        }
    }

    /// The refund of this id, if it was applied.
    #[must_use]
    pub fn refund(&self, id: &RefundId) -> Option<&Refund> {
        self.refunds.iter().find(|refund| refund.id == *id)
    }

    /// The refunds that went through.
    pub fn refunds_in_force(&self) -> impl Iterator<Item = &Refund> {
        self.refunds
            .iter()
            .filter(|refund| refund.reversed.is_none())
    }

    /// The review of this id, if it was asked for.
    #[must_use]
    pub fn review(&self, id: &ReviewId) -> Option<&Review> {
        self.reviews.iter().find(|review| review.id == *id)
    }

    /// The dispute of this id, if it was opened.
    #[must_use]
    pub fn dispute(&self, id: &DisputeId) -> Option<&Dispute> {
        self.disputes.iter().find(|dispute| dispute.id == *id)
    }

    /// What refunds naming this dispute add up to.
    #[must_use]
    pub fn named(&self, dispute: &DisputeId, currency: Currency) -> Amount {
        let naming = self
            .refunds_in_force()
            .filter(|refund| refund.dispute.as_ref() == Some(dispute));
        Amount::sum(currency, naming.map(|refund| refund.amount))
            .expect("a refund is applied only when all of the order's add up")
    }

    /// What refunds and lost chargebacks claim together; a chargeback and the refunds that name it
    /// are one debt, the larger of the two.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub fn debt(&self, sale: &Completed) -> Result<Amount, MoneyError> {
        self.claimed(sale.currency, sale.amount)
    }

    /// The same, where a chargeback without an amount claims so much.
    pub(super) fn claimed(&self, currency: Currency, whole: Amount) -> Result<Amount, MoneyError> {
        let mut debt = self.refunded(currency)?;
        let named = self.named_by_dispute();
        let nothing = Amount::zero(currency);
        for dispute in &self.disputes {
            let named = named.get(&dispute.id).copied().unwrap_or(nothing);
            debt = debt.plus(less(dispute.lost_chargeback(whole), named))?;
        }
        Ok(debt)
    }

    /// What a dispute blocks of this order; `None`: all of it.
    fn blocked_by(
        dispute: &Dispute,
        sale: &Completed,
        named: &HashMap<&DisputeId, Amount>,
    ) -> Option<Amount> {
        let named = named.get(&dispute.id).copied();
        let named = named.unwrap_or_else(|| Amount::zero(sale.currency));
        match (&dispute.closed, dispute.amount) {
            (None, None) => None,
            (None, Some(amount)) => Some(less(amount, named)),
            (Some(closing), _) => {
                let expected = closing.value.refund_expected;
                let charged = named.max(dispute.lost_chargeback(sale.amount));
                Some(less(expected.unwrap_or(charged), charged))
            }
        }
    }

    /// What is blocked of each hold: all, or as much as the partial blocks add up to. What lies on
    /// one hold stays there, the rest lies where a refund would take: first term first.
    pub(super) fn blocked(&self, sale: &Completed) -> Vec<Amount> {
        let open = || self.blocks.iter().filter(|it| it.cleared_at.is_none());
        let disputes = self.disputes.iter();
        let named = self.named_by_dispute();
        let partial: Option<Vec<Amount>> = disputes
            .map(|dispute| Self::blocked_by(dispute, sale, &named))
            .chain(open().filter(|it| it.hold.is_none()).map(|it| it.amount))
            .collect();
        let Some(partial) = partial else {
            return self.holds.iter().map(|hold| hold.left).collect();
        };
        let mut partial = partial.into_iter();
        let nothing = Amount::zero(sale.currency);
        let mut rest = nothing;
        let mut blocked = Vec::with_capacity(self.holds.len());
        for hold in &self.holds {
            let mut room = hold.left;
            for block in open().filter(|it| it.hold == Some(hold.id)) {
                room = block.amount.map_or(nothing, |amount| less(room, amount));
            }
            loop {
                let taken = rest.min(room);
                (rest, room) = (less(rest, taken), less(room, taken));
                if room.is_zero() {
                    break;
                }
                let Some(next) = partial.next() else { break };
                rest = next;
            }
            blocked.push(less(hold.left, room));
        }
        blocked
    }

    /// The first dispute that keeps money back.
    #[must_use]
    pub fn first_blocking(&self) -> Option<&Dispute> {
        let sale = &self.sale.as_ref()?.value;
        let named = self.named_by_dispute();
        self.disputes.iter().find(|dispute| {
            Self::blocked_by(dispute, sale, &named).is_none_or(|amount| !amount.is_zero())
        })
    }

    /// When the last block of all of this hold was cleared.
    #[must_use]
    pub fn whole_cleared_at(&self, hold: HoldId) -> Option<Instant> {
        let blocks = self.blocks.iter();
        let blocks = blocks
            .filter(|block| block.amount.is_none() && block.lies_on(hold))
            .filter_map(|block| block.cleared_at);
        let disputes = self
            .disputes
            .iter()
            .filter(|dispute| dispute.amount.is_none());
        blocks.chain(disputes.filter_map(Dispute::cleared_at)).max()
    }
}
