//! What was taken over from an earlier system, so that the same line twice does nothing.

use std::collections::HashMap;

use uuid::Uuid;

use super::types::{column, content, merchant_id};
use super::{StoreError, Tx, failed};
use crate::rules::fact::ContentHash;
use crate::rules::ids::MerchantId;

/// A line's key: merchant, number of its kind, its own id.
pub type ImportKey = (MerchantId, i16, String);

impl Tx {
    /// Digests of the lines that were taken over before under these keys. Of two imports at once the
    /// second waits here.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn known_imports(
        &mut self,
        keys: &[ImportKey],
    ) -> Result<HashMap<ImportKey, ContentHash>, StoreError> {
        sqlx::query!("LOCK TABLE imported IN SHARE ROW EXCLUSIVE MODE")
            .execute(&mut *self.inner)
            .await
            .map_err(failed("lock what was imported"))?;
        let rows = sqlx::query!(
            "SELECT i.merchant_id, i.kind, i.id, i.content FROM imported i
             JOIN unnest($1::text[], $2::smallint[], $3::text[]) AS k (merchant_id, kind, id)
               ON i.merchant_id = k.merchant_id AND i.kind = k.kind AND i.id = k.id",
            column(keys, |key| key.0.as_str().to_owned()) as _,
            column(keys, |key| key.1) as _,
            column(keys, |key| key.2.clone()) as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read what was imported"))?;
        rows.into_iter()
            .map(|row| {
                let key = (merchant_id(&row.merchant_id)?, row.kind, row.id);
                Ok((key, content(&row.content)?))
            })
            .collect()
    }

    /// Notes what is taken over now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_imports(
        &mut self,
        lines: &[(ImportKey, ContentHash)],
        operation: Uuid,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO imported (merchant_id, kind, id, content, operation_id)
             SELECT *, $5 FROM unnest($1::text[], $2::smallint[], $3::text[], $4::bytea[])",
            column(lines, |(key, _)| key.0.as_str().to_owned()) as _,
            column(lines, |(key, _)| key.1) as _,
            column(lines, |(key, _)| key.2.clone()) as _,
            column(lines, |(_, content)| content.0.to_vec()) as _,
            operation,
        )
        .execute(&mut *self.inner)
        .await
        .map_err(failed("note what is imported"))?;
        Ok(())
    }
}
