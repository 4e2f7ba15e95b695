//! The payouts that answer a run's releases.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::ingest::answers;
use crate::message::Rejection;
use crate::rules::entry::{Entry, Event};
use crate::rules::fact::{ContentHash, PayoutResult};
use crate::rules::ids::{MerchantId, ReleaseId, SettlementId};
use crate::rules::payout::{self, Payout, PayoutState};
use crate::store::payouts::{ResultKey, result_key};

/// The releases that payouts may answer, and the answers so far.
#[derive(Default)]
pub(super) struct Payouts {
    /// Each with the settlement that it is part of; boxed, for there are many and a map has room
    /// for twice as many as it has.
    releases: HashMap<ReleaseId, Box<(Payout, Option<SettlementId>)>, RandomState>,
    settlements: HashMap<SettlementId, Together, RandomState>,
    known: HashMap<ResultKey, ContentHash>,
}

/// The releases of a settlement.
#[derive(Default)]
struct Together {
    releases: Vec<ReleaseId>,
    forgotten: usize,
}

impl Payouts {
    pub(super) fn issued(&mut self, merchant: &MerchantId, entry: &Entry) {
        let (Event::ReleaseIssued(release), Some(currency)) = (&entry.event, entry.currency) else {
            return;
        };
        if let Some(settlement) = release.settlement_id {
            let together = self.settlements.entry(settlement).or_default();
            together.releases.push(release.release_id);
        }
        let payout = Payout {
            merchant: merchant.clone(),
            release: release.release_id,
            order: entry.order.clone(),
            hold: entry.hold,
            currency,
            amount: release.amount,
            attempt: release.attempt,
            state: PayoutState::Issued,
            at: None,
        };
        let known = Box::new((payout, release.settlement_id));
        self.releases.insert(release.release_id, known);
    }

    /// Applies a result to the releases that it is about.
    pub(super) fn answer(&mut self, result: &PayoutResult) -> Result<Vec<Entry>, Rejection> {
        let key = result_key(result);
        match self.known.insert(key.clone(), result.content) {
            Some(first) if first == result.content => return Ok(Vec::new()),
            Some(first) => {
                self.known.insert(key, first);
                return Err(answers::conflict());
            }
            None => {}
        }
        let single = ReleaseId(key.1);
        let single = std::slice::from_ref(&single);
        let releases = self.settlements.get(&SettlementId(key.1));
        let releases = releases.map_or(single, |it| it.releases.as_slice());
        let mut entries = Vec::new();
        for release in releases {
            let payout = self.releases.get_mut(release).map(|known| &mut known.0);
            if let Some(payout) = payout.filter(|it| it.merchant == result.merchant) {
                entries.append(&mut payout::apply(payout, result));
            }
        }
        Ok(entries)
    }

    /// Forgets a release of an order that is forgotten.
    pub(super) fn forget(&mut self, release: ReleaseId) {
        let known = self.releases.remove(&release);
        let Some(settlement) = known.and_then(|known| known.1) else {
            return;
        };
        if let Some(together) = self.settlements.get_mut(&settlement) {
            together.forgotten += 1;
            if together.forgotten == together.releases.len() {
                self.settlements.remove(&settlement);
            }
        }
    }
}
