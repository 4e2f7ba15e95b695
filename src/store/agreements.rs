//! Agreements and calendars, and the revision that orders their arrival against the orders that
//! use them: a batch of orders reads the revision under a shared lock, a batch with agreements
//! raises it under an exclusive one, so no order is decided under a catalogue that is already old.

use std::collections::HashMap;
use std::sync::Arc;

use super::types::{content, unreadable};
use super::{StoreError, Tx, failed};
use crate::rules::agreement::Agreement;
use crate::rules::calendar::{Calendar, Calendars};
use crate::rules::fact::ContentHash;
use crate::rules::ids::MerchantId;
use crate::rules::time::Instant;

/// Agreements of this many merchants are remembered at most; then it starts afresh.
const REMEMBERED_MERCHANTS: usize = 20_000;

/// What this process remembers of agreements and calendars, valid for one revision.
#[derive(Debug, Default)]
pub struct Catalogue {
    revision: i64,
    by_merchant: HashMap<MerchantId, Arc<[Arc<Agreement>]>>,
    by_no: HashMap<i64, Arc<Agreement>>,
    numbers: HashMap<AgreementKey, i64>,
    calendars: Arc<Calendars>,
}

/// An agreement version's identity.
type AgreementKey = (MerchantId, String, u64);

/// What became of an agreement or a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// New; for an agreement, how many orders it would have covered.
    New {
        late_for: u64,
    },
    Duplicate,
    /// The same id and version with other content.
    Conflict,
    /// The agreement's id belongs to another merchant.
    Foreign,
}

impl Catalogue {
    /// The revision that this is valid for.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The calendars of this revision.
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
        let agreement: Agreement =
            serde_json::from_value(body).map_err(|error| unreadable(&error))?;
        let agreement = Arc::new(agreement);
        self.numbers.insert(key(&agreement), no);
        self.by_no.insert(no, Arc::clone(&agreement));
        Ok(agreement)
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
        if revision != catalogue.revision || catalogue.by_merchant.len() > REMEMBERED_MERCHANTS {
            *catalogue = Catalogue {
                revision,
                calendars: Arc::new(self.latest_calendars().await?),
                ..Catalogue::default()
            };
        }
        self.learn_merchants(catalogue, merchants).await
    }

    async fn learn_merchants(
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
        Ok(())
    }

    async fn latest_calendars(&mut self) -> Result<Calendars, StoreError> {
        let rows = sqlx::query_scalar!(
            "SELECT DISTINCT ON (calendar) body FROM calendars ORDER BY calendar, version DESC"
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read calendars"))?;
        let mut calendars = Calendars::default();
        for body in rows {
            let calendar: Calendar =
                serde_json::from_value(body).map_err(|error| unreadable(&error))?;
            calendars
                .0
                .insert(calendar.calendar.clone(), Arc::new(calendar));
        }
        Ok(calendars)
    }

    /// Puts an agreement version into the books; the catalogue must be open exclusively.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn accept_agreement(
        &mut self,
        catalogue: &mut Catalogue,
        agreement: &Agreement,
        hash: ContentHash,
    ) -> Result<Accepted, StoreError> {
        let version = i64::try_from(agreement.version).map_err(|error| unreadable(&error))?;
        let known = sqlx::query!(
            "SELECT merchant_id, version, content FROM agreements WHERE agreement_id = $1",
            agreement.agreement_id.as_str(),
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("look for an agreement"))?;
        if known
            .iter()
            .any(|row| row.merchant_id != agreement.merchant_id.as_str())
        {
            return Ok(Accepted::Foreign);
        }
        if let Some(row) = known.iter().find(|row| row.version == version) {
            return Ok(same(content(&row.content)?, hash));
        }
        let body = serde_json::to_value(agreement).map_err(|error| unreadable(&error))?;
        sqlx::query!(
            "INSERT INTO agreements
                 (merchant_id, agreement_id, version, content, body, accepted_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
            agreement.merchant_id.as_str(),
            agreement.agreement_id.as_str(),
            version,
            &hash.0[..],
            body,
            self.now as Instant,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("write an agreement"))?;
        self.raise_revision(catalogue).await?;
        let late_for = self.count_late(agreement, version).await?;
        Ok(Accepted::New { late_for })
    }

    /// Orders that were applied under an agreement that this one would have come before
    /// (contract, section 4, order of precedence).
    async fn count_late(
        &mut self,
        agreement: &Agreement,
        version: i64,
    ) -> Result<u64, StoreError> {
        let count = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!"
               FROM orders o JOIN agreements a ON a.agreement_no = o.agreement_no
               WHERE ($1 = '*' OR o.merchant_id = $1)
                 AND ($2::text IS NULL OR o.currency = $2)
                 AND o.completed_at >= $3
                 AND ($4::timestamptz IS NULL OR o.completed_at < $4)
                 AND ($1 <> '*', $2::text IS NOT NULL, $3::timestamptz, $5::bigint, $6::text COLLATE "C")
                   > (a.merchant_id <> '*', a.body->>'currency' IS NOT NULL,
                      (a.body->>'effective_from')::timestamptz, a.version,
                      a.agreement_id COLLATE "C")"#,
            agreement.merchant_id.as_str(),
            agreement.currency.map(|currency| currency.code()),
            agreement.effective_from as Instant,
            agreement.effective_until as Option<Instant>,
            version,
            agreement.agreement_id.as_str(),
        )
        .fetch_one(&mut *self.inner)
        .await
        .map_err(failed("count orders that an agreement came late for"))?;
        u64::try_from(count).map_err(|error| unreadable(&error))
    }

    /// Puts a calendar version into the books; the catalogue must be open exclusively.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn accept_calendar(
        &mut self,
        catalogue: &mut Catalogue,
        calendar: &Calendar,
        hash: ContentHash,
    ) -> Result<Accepted, StoreError> {
        let version = i64::try_from(calendar.version).map_err(|error| unreadable(&error))?;
        let known = sqlx::query_scalar!(
            "SELECT content FROM calendars WHERE calendar = $1 AND version = $2",
            calendar.calendar.as_str(),
            version,
        )
        .fetch_optional(&mut *self.inner)
        .await
        .map_err(failed("look for a calendar"))?;
        if let Some(bytes) = known {
            return Ok(same(content(&bytes)?, hash));
        }
        let body = serde_json::to_value(calendar).map_err(|error| unreadable(&error))?;
        sqlx::query!(
            "INSERT INTO calendars (calendar, version, content, body) VALUES ($1, $2, $3, $4)",
            calendar.calendar.as_str(),
            version,
            &hash.0[..],
            body,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("write a calendar"))?;
        self.raise_revision(catalogue).await?;
        Ok(Accepted::New { late_for: 0 })
    }

    /// What this process remembers is old from here on, also if the transaction fails later.
    async fn raise_revision(&mut self, catalogue: &mut Catalogue) -> Result<(), StoreError> {
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

fn same(known: ContentHash, hash: ContentHash) -> Accepted {
    if known == hash {
        Accepted::Duplicate
    } else {
        Accepted::Conflict
    }
}
