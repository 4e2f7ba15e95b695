//! What is remembered of agreements and calendars from one transaction to the next, and the revision that
//! orders their arrival.
//!
//! A batch of orders reads the revision under a shared lock, a batch with agreements raises it under an
//! exclusive one, so no order is decided under a catalogue that is already old. What is remembered is
//! bounded.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::types::unreadable;
use super::{StoreError, Tx, failed};
use crate::rules::agreement::Agreement;
use crate::rules::calendar::Calendars;
use crate::rules::ids::{CalendarId, MerchantId};

/// Beyond that many merchants, or bytes of agreements and calendars, it starts afresh with the next
/// transaction: what is remembered is never more than that and what one transaction needs.
const REMEMBERED_MERCHANTS: usize = 20_000;
const REMEMBERED_BYTES: usize = 16 << 20;

/// What this process remembers of agreements and calendars, valid for one revision. The calendar of
/// every agreement in it has been looked up.
#[derive(Debug, Default)]
pub struct Catalogue {
    revision: i64,
    by_merchant: HashMap<MerchantId, Arc<[Arc<Agreement>]>>,
    by_no: HashMap<i64, Arc<Agreement>>,
    numbers: HashMap<AgreementKey, i64>,
    calendars: Arc<Calendars>,
    /// Calendars that were looked up, there or not.
    looked_up: HashSet<CalendarId>,
    /// About how many bytes of JSON all that was.
    bytes: usize,
}

/// An agreement version's identity.
type AgreementKey = (MerchantId, String, u64);

impl Catalogue {
    /// The revision that this is valid for.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// About how many bytes of JSON its agreements and calendars were.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The calendars that its agreements count with.
    #[must_use]
    pub fn calendars(&self) -> Arc<Calendars> {
        Arc::clone(&self.calendars)
    }

    /// The merchant's own agreements and the platform's; loaded before by
    /// [`Tx::open_catalogue`].
    #[must_use]
    pub fn of(&self, merchant: &MerchantId) -> Arc<[Arc<Agreement>]> {
        self.by_merchant
            .get(merchant)
            .map_or_else(|| Arc::from([]), Arc::clone)
    }

    pub(super) fn by_no(&self, no: i64) -> Result<Arc<Agreement>, StoreError> {
        self.by_no
            .get(&no)
            .map(Arc::clone)
            .ok_or_else(|| StoreError::Unreadable(format!("agreement number {no}")))
    }

    pub(super) fn number(&self, agreement: &Agreement) -> Result<i64, StoreError> {
        self.numbers
            .get(&key(agreement))
            .copied()
            .ok_or_else(|| StoreError::Unreadable(format!("agreement {}", agreement.agreement_id)))
    }

    fn learn(&mut self, no: i64, body: serde_json::Value) -> Result<Arc<Agreement>, StoreError> {
        if let Some(known) = self.by_no.get(&no) {
            return Ok(Arc::clone(known));
        }
        self.bytes += weight(&body);
        let agreement: Agreement =
            serde_json::from_value(body).map_err(|error| unreadable(&error))?;
        let agreement = Arc::new(agreement);
        self.numbers.insert(key(&agreement), no);
        self.by_no.insert(no, Arc::clone(&agreement));
        Ok(agreement)
    }
}

/// About how many bytes of text this is.
pub(super) fn weight(body: &serde_json::Value) -> usize {
    use serde_json::Value as V;
    match body {
        V::Null | V::Bool(_) | V::Number(_) => 8,
        V::String(text) => 8 + text.len(),
        V::Array(values) => 8 + values.iter().map(weight).sum::<usize>(),
        V::Object(fields) => {
            let fields = fields.iter();
            8 + fields
                .map(|(name, it)| name.len() + weight(it))
                .sum::<usize>()
        }
    }
}

fn key(agreement: &Agreement) -> AgreementKey {
    (
        agreement.merchant_id.clone(),
        agreement.agreement_id.as_str().to_owned(),
        agreement.version,
    )
}

impl Tx {
    /// Brings the catalogue up to date for these merchants and keeps it so until the transaction
    /// ends; `exclusive` when agreements or calendars are about to be accepted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_catalogue(
        &mut self,
        catalogue: &mut Catalogue,
        merchants: &[MerchantId],
        exclusive: bool,
    ) -> Result<(), StoreError> {
        let revision = if exclusive {
            sqlx::query_scalar!("SELECT revision FROM catalogue FOR UPDATE")
                .fetch_one(&mut *self.inner)
                .await
        } else {
            sqlx::query_scalar!("SELECT revision FROM catalogue FOR SHARE")
                .fetch_one(&mut *self.inner)
                .await
        }
        .map_err(failed("read the catalogue's revision"))?;
        let full = catalogue.by_merchant.len() > REMEMBERED_MERCHANTS
            || catalogue.bytes > REMEMBERED_BYTES;
        if full || revision != catalogue.revision {
            *catalogue = Catalogue {
                revision,
                ..Catalogue::default()
            };
        }
        self.widen_catalogue(catalogue, merchants).await
    }

    /// Adds these merchants to a catalogue that this transaction has opened.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn widen_catalogue(
        &mut self,
        catalogue: &mut Catalogue,
        merchants: &[MerchantId],
    ) -> Result<(), StoreError> {
        let unknown: Vec<&MerchantId> = merchants
            .iter()
            .filter(|merchant| !catalogue.by_merchant.contains_key(*merchant))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let platform = MerchantId::platform();
        let names: Vec<String> = unknown
            .iter()
            .map(|merchant| merchant.as_str().to_owned())
            .chain([platform.as_str().to_owned()])
            .collect();
        let rows = sqlx::query!(
            "SELECT merchant_id, agreement_no, body FROM agreements WHERE merchant_id = ANY($1)",
            &names[..] as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read agreements"))?;
        let mut own: HashMap<String, Vec<Arc<Agreement>>> = HashMap::new();
        for row in rows {
            let agreement = catalogue.learn(row.agreement_no, row.body)?;
            own.entry(row.merchant_id).or_default().push(agreement);
        }
        let shared = own.get(platform.as_str()).cloned().unwrap_or_default();
        for merchant in unknown {
            let mut all = own.get(merchant.as_str()).cloned().unwrap_or_default();
            if !merchant.is_platform() {
                all.extend(shared.iter().cloned());
            }
            catalogue
                .by_merchant
                .insert(merchant.clone(), Arc::from(all));
        }
        self.learn_calendars(catalogue).await
    }

    /// Looks up the calendars of agreements that have none yet.
    async fn learn_calendars(&mut self, catalogue: &mut Catalogue) -> Result<(), StoreError> {
        let named = catalogue
            .by_no
            .values()
            .filter_map(|it| it.calendar.as_ref());
        let unknown: HashSet<CalendarId> = named
            .filter(|id| !catalogue.looked_up.contains(*id))
            .cloned()
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let ids: Vec<&CalendarId> = unknown.iter().collect();
        let found = self.ruling_calendars(&ids).await?;
        let calendars = Arc::make_mut(&mut catalogue.calendars);
        for (calendar, bytes) in found {
            catalogue.bytes += bytes;
            let id = calendar.calendar.clone();
            calendars.0.insert(id, Arc::new(calendar));
        }
        catalogue.looked_up.extend(unknown);
        Ok(())
    }

    /// Makes sure that agreements referred to by number are in the catalogue.
    pub(super) async fn agreements_by_no(
        &mut self,
        numbers: &[i64],
        catalogue: &mut Catalogue,
    ) -> Result<(), StoreError> {
        let mut unknown: Vec<i64> = numbers
            .iter()
            .copied()
            .filter(|no| !catalogue.by_no.contains_key(no))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        unknown.sort_unstable();
        unknown.dedup();
        let rows = sqlx::query!(
            "SELECT agreement_no, body FROM agreements WHERE agreement_no = ANY($1)",
            &unknown[..] as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read agreements by number"))?;
        for row in rows {
            catalogue.learn(row.agreement_no, row.body)?;
        }
        self.learn_calendars(catalogue).await
    }

    /// What this process remembers is old from here on, also if the transaction fails later.
    pub(super) async fn raise_revision(
        &mut self,
        catalogue: &mut Catalogue,
    ) -> Result<(), StoreError> {
        sqlx::query!("UPDATE catalogue SET revision = revision + 1")
            .execute(&mut *self.inner)
            .await
            .map_err(failed("raise the catalogue's revision"))?;
        *catalogue = Catalogue {
            revision: -1,
            ..Catalogue::default()
        };
        Ok(())
    }
}
