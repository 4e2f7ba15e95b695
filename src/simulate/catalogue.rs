//! The agreements and calendars that a run has met.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::rules::agreement::Agreement;
use crate::rules::calendar::{Calendar, Calendars};
use crate::rules::fact::ContentHash;
use crate::rules::ids::{AgreementId, CalendarId, MerchantId};
use crate::store::agreements::Accepted;

#[derive(Default)]
pub(super) struct Catalogue {
    /// One agreement id belongs to one merchant.
    owners: HashMap<AgreementId, MerchantId>,
    known: HashMap<(AgreementId, u64), ContentHash>,
    known_calendars: HashMap<(CalendarId, u64), ContentHash>,
    own: HashMap<MerchantId, Vec<Arc<Agreement>>>,
    /// A merchant's own and the platform's, put together when first asked for.
    of: HashMap<MerchantId, Arc<[Arc<Agreement>]>, RandomState>,
    calendars: Arc<Calendars>,
}

impl Catalogue {
    pub(super) fn calendars(&self) -> Arc<Calendars> {
        Arc::clone(&self.calendars)
    }

    /// The merchant's own agreements and the platform's.
    pub(super) fn of(&mut self, merchant: &MerchantId) -> Arc<[Arc<Agreement>]> {
        if let Some(known) = self.of.get(merchant) {
            return Arc::clone(known);
        }
        let own = self.own.get(merchant).into_iter().flatten();
        let platform = MerchantId::platform();
        let shared = self.own.get(&platform).filter(|_| *merchant != platform);
        let all: Arc<[_]> = own.chain(shared.into_iter().flatten()).cloned().collect();
        self.of.insert(merchant.clone(), Arc::clone(&all));
        all
    }

    pub(super) fn accept(&mut self, agreement: &Agreement, content: ContentHash) -> Accepted {
        let id = &agreement.agreement_id;
        let owner = self.owners.get(id);
        if owner.is_some_and(|owner| *owner != agreement.merchant_id) {
            return Accepted::Foreign;
        }
        let key = (id.clone(), agreement.version);
        if let Some(known) = self.known.get(&key) {
            return same(*known, content);
        }
        let merchant = agreement.merchant_id.clone();
        self.owners.insert(id.clone(), merchant.clone());
        self.known.insert(key, content);
        let own = self.own.entry(merchant).or_default();
        own.push(Arc::new(agreement.clone()));
        self.of.clear();
        Accepted::New { late_for: 0 }
    }

    pub(super) fn accept_calendar(&mut self, calendar: &Calendar, hash: ContentHash) -> Accepted {
        let id = &calendar.calendar;
        let key = (id.clone(), calendar.version);
        if let Some(known) = self.known_calendars.get(&key) {
            return same(*known, hash);
        }
        self.known_calendars.insert(key, hash);
        let newer = |known: &Arc<Calendar>| known.version > calendar.version;
        if !self.calendars.get(id).is_some_and(newer) {
            let calendars = &mut Arc::make_mut(&mut self.calendars).0;
            calendars.insert(id.clone(), Arc::new(calendar.clone()));
        }
        Accepted::New { late_for: 0 }
    }
}

fn same(known: ContentHash, content: ContentHash) -> Accepted {
    if known == content {
        Accepted::Duplicate
    } else {
        Accepted::Conflict
    }
}
