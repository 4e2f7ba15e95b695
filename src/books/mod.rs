//! The journal for other people's books: double entry as hledger and beancount read it, and CSV.
//!
//! Guarantees: amounts are the journal's own digits; every transfer is one balanced transaction;
//! the memory needed depends neither on the number of lines nor on the number of merchants.

mod account;
mod format;

pub use account::component;
pub use format::{Format, Writer, csv_row};

use std::io;

use crate::rules::ids::MerchantId;
use crate::rules::time::Instant;
use crate::store::{Store, StoreError};

/// Which lines are wanted.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    pub merchant: Option<MerchantId>,
    /// The first instant that belongs to it.
    pub from: Option<Instant>,
    /// The first instant that does not belong to it any more.
    pub until: Option<Instant>,
}

/// What ends an export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The reader has gone, or the disk is full.
    #[error("the export could not be written")]
    Write(#[from] io::Error),
}

/// Writes the selected lines, merchant by merchant, each merchant's in the order of the journal;
/// answers how many lines that were.
///
/// # Errors
/// [`ExportError`]; what was written until then is a whole number of lines.
pub async fn export<W: io::Write>(
    store: &Store,
    selection: &Selection,
    writer: &mut Writer<W>,
) -> Result<u64, ExportError> {
    writer.begin()?;
    let mut lines = 0;
    if let Some(merchant) = &selection.merchant {
        lines = export_merchant(store, merchant, selection, writer).await?;
    } else {
        let mut merchants = store.merchants_after(None).await?;
        while !merchants.is_empty() {
            for merchant in &merchants {
                lines += export_merchant(store, merchant, selection, writer).await?;
            }
            merchants = store.merchants_after(merchants.last()).await?;
        }
    }
    writer.flush()?;
    Ok(lines)
}

async fn export_merchant<W: io::Write>(
    store: &Store,
    merchant: &MerchantId,
    selection: &Selection,
    writer: &mut Writer<W>,
) -> Result<u64, ExportError> {
    let (mut lines, mut after) = (0, 0);
    writer.merchant(merchant);
    loop {
        let page = store.book_page(merchant, after).await?;
        let Some(last) = page.last() else {
            return Ok(lines);
        };
        after = last.sequence;
        for line in &page {
            let early = selection.from.is_some_and(|from| line.occurred_at < from);
            let late = selection.until.is_some_and(|end| line.occurred_at >= end);
            if !early && !late && writer.line(line)? {
                lines += 1;
            }
        }
    }
}
