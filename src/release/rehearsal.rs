//! What one settlement date would release if nothing changes: the release's own rules on the holds as
//! they stand, with nothing written. Whatever belongs to that date is told, what stays with the reason.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde::Serialize;

use super::booking::with_minimum;
use crate::rules::calendar::Calendars;
use crate::rules::entry::ReleaseReason;
use crate::rules::forecast;
use crate::rules::ids::MerchantId;
use crate::rules::money::{Amount, Currency, MoneyError, less};
use crate::rules::pause::Pauses;
use crate::rules::release::{self, Claim, Clock, Judgement};
use crate::rules::time::Instant;

/// One merchant's and currency's part of a settlement date. All but `holds` and `earlier` are amounts
/// of that date and add up to everything that it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    pub merchant_id: MerchantId,
    pub currency: Currency,
    /// Holds of which something goes.
    pub holds: u64,
    /// What goes, before debts and the deposit take their part.
    pub gross: Amount,
    /// Stays: a dispute or a manual block keeps it.
    pub blocked: Amount,
    /// Stays: a legal block, a review or a refused message keeps it.
    pub barred: Amount,
    /// Stays: was due before `release.not_before` and waits for a person.
    pub before_start: Amount,
    /// Stays: all of it together is under the settlement's minimum and moves to the next date.
    pub under_minimum: Amount,
    /// Stays while releases are paused.
    pub paused: Amount,
    /// Free money of earlier dates that is still here: it goes under those.
    pub earlier: Amount,
}

impl Row {
    /// What stays, each with the reason.
    #[must_use]
    pub fn stays(&self) -> [(&'static str, Amount); 5] {
        [
            ("blocked", self.blocked),
            ("under review or legal block", self.barred),
            ("due before release.not_before", self.before_start),
            ("under the settlement's minimum", self.under_minimum),
            ("paused", self.paused),
        ]
    }
}

/// What a release looks at besides the holds.
#[derive(Debug)]
pub struct Circumstances {
    pub now: Instant,
    pub not_before: Instant,
    pub calendars: Calendars,
    pub pauses: Pauses,
    /// Settlements of the date of which some was released: no minimum keeps the rest.
    pub begun: BTreeSet<(MerchantId, Currency)>,
}

/// Takes the holds in, merchant by merchant.
#[derive(Debug)]
pub struct Rehearsal {
    on: Date,
    it: Circumstances,
    /// What the current merchant has on that date or before.
    judged: Vec<(Claim, Judgement)>,
    rows: Vec<Row>,
}

impl Rehearsal {
    /// Of this settlement date.
    #[must_use]
    pub fn new(on: Date, circumstances: Circumstances) -> Self {
        Self {
            on,
            it: circumstances,
            judged: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Adds a hold; all of a merchant's come after one another.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub fn add(&mut self, claim: Claim) -> Result<(), MoneyError> {
        let another = |(before, _): &(Claim, Judgement)| before.merchant != claim.merchant;
        if self.judged.last().is_some_and(another) {
            self.settle()?;
        }
        let dates = claim.hold.parts().filter_map(|part| part.dates);
        let at = dates.filter(|dates| dates.settlement_on <= self.on);
        let at = at.map(|dates| dates.release_at);
        let limit = forecast::limit(&claim).filter(|(_, on)| *on <= self.on);
        let Some(at) = at.chain(limit.map(|(at, _)| at)).max() else {
            return Ok(());
        };
        let then = at.max(self.it.now);
        let clock = Clock {
            now: then,
            gate: Some(then),
            not_before: self.it.not_before,
        };
        let judgement = release::judge(&claim, clock);
        self.judged.push((claim, judgement));
        Ok(())
    }

    /// The rows, by merchant and currency.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub fn finish(mut self) -> Result<Vec<Row>, MoneyError> {
        self.settle()?;
        Ok(self.rows)
    }

    /// Ends the current merchant.
    fn settle(&mut self) -> Result<(), MoneyError> {
        let judged = std::mem::take(&mut self.judged);
        let both = judged.iter().map(|(claim, judgement)| (claim, judgement));
        let under: BTreeSet<Currency> = with_minimum(both, &self.it.calendars)
            .into_iter()
            .filter(|(key, group)| key.2 == self.on && group.due < group.minimum)
            .filter(|(key, _)| !self.it.begun.contains(&(key.0.clone(), key.1)))
            .map(|(key, _)| key.1)
            .collect();
        let mut rows: BTreeMap<Currency, Row> = BTreeMap::new();
        for (claim, judgement) in &judged {
            let currency = claim.currency;
            let row = rows
                .entry(currency)
                .or_insert_with(|| nothing(&claim.merchant, currency));
            self.count(row, claim, judgement, under.contains(&currency))?;
        }
        let told = |row: &Row| {
            let stays = row.stays().into_iter().map(|(_, amount)| amount);
            let mut all = stays.chain([row.gross, row.earlier]);
            all.any(|amount| !amount.is_zero())
        };
        self.rows.extend(rows.into_values().filter(told));
        Ok(())
    }

    /// Adds one hold's money of that date to its row.
    fn count(
        &self,
        row: &mut Row,
        claim: &Claim,
        judgement: &Judgement,
        under_minimum: bool,
    ) -> Result<(), MoneyError> {
        let zero = Amount::zero(row.currency);
        let (mut due, mut by_limit) = (zero, zero);
        for portion in &judgement.portions {
            let dates = portion.dates.map(|dates| dates.settlement_on);
            match portion.reason {
                ReleaseReason::Limit => by_limit = by_limit.plus(portion.amount)?,
                _ if dates == Some(self.on) => due = due.plus(portion.amount)?,
                _ => {}
            }
        }
        // A limit that has passed before takes what is left under no date of its own.
        let limit_on = forecast::limit(claim).map(|(_, on)| on);
        let goes_whole = !by_limit.is_zero();
        let by_limit = if limit_on == Some(self.on) {
            by_limit
        } else {
            row.earlier = row.earlier.plus(by_limit)?;
            zero
        };
        for part in claim.hold.parts() {
            let Some(dates) = part.dates else { continue };
            let free = less(part.amount, part.blocked);
            if dates.settlement_on < self.on && !goes_whole {
                row.earlier = row.earlier.plus(free)?;
            }
            if dates.settlement_on != self.on || goes_whole {
                continue;
            }
            let kept = match claim.hold.barred {
                true => &mut row.barred,
                false => &mut row.blocked,
            };
            *kept = kept.plus(part.blocked)?;
            if dates.release_at < self.it.not_before {
                row.before_start = row.before_start.plus(free)?;
            }
        }
        let goes = due.plus(by_limit)?;
        if self
            .it
            .pauses
            .over(&row.merchant_id, row.currency)
            .is_some()
        {
            row.paused = row.paused.plus(goes)?;
            return Ok(());
        }
        let (stays, goes) = if under_minimum {
            (due, by_limit)
        } else {
            (zero, goes)
        };
        row.under_minimum = row.under_minimum.plus(stays)?;
        row.gross = row.gross.plus(goes)?;
        row.holds = row.holds.saturating_add(u64::from(!goes.is_zero()));
        Ok(())
    }
}

fn nothing(merchant: &MerchantId, currency: Currency) -> Row {
    let nothing = Amount::zero(currency);
    Row {
        merchant_id: merchant.clone(),
        currency,
        holds: 0,
        gross: nothing,
        blocked: nothing,
        barred: nothing,
        before_start: nothing,
        under_minimum: nothing,
        paused: nothing,
        earlier: nothing,
    }
}
