//! Calendars: the highest version of each rules, earlier ones are kept.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::agreements::{Accepted, Catalogue, same};
use super::catalogue::weight;
use super::types::{column, content, unreadable};
use super::{StoreError, Tx, failed};
use crate::rules::calendar::{Calendar, Calendars};
use crate::rules::fact::ContentHash;
use crate::rules::ids::CalendarId;

impl Tx {
    pub(super) async fn latest_calendars(&mut self) -> Result<Calendars, StoreError> {
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

    /// The ruling versions of these calendars, those that are there, with about how many bytes each is.
    pub(super) async fn ruling_calendars(
        &mut self,
        ids: &[&CalendarId],
    ) -> Result<Vec<(Calendar, usize)>, StoreError> {
        let rows = sqlx::query_scalar!(
            "SELECT DISTINCT ON (calendar) body FROM calendars WHERE calendar = ANY($1)
             ORDER BY calendar, version DESC",
            column(ids, |id| id.as_str().to_owned()) as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("read calendars"))?;
        let read = rows.into_iter().map(|body| {
            let bytes = weight(&body);
            let calendar = serde_json::from_value(body).map_err(|error| unreadable(&error))?;
            Ok((calendar, bytes))
        });
        read.collect()
    }

    /// Puts calendar versions into the books; the catalogue must be open exclusively and be opened
    /// again afterwards. One answer each, in order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn accept_calendars(
        &mut self,
        catalogue: &mut Catalogue,
        calendars: &[(&Calendar, ContentHash)],
    ) -> Result<Vec<Accepted>, StoreError> {
        let ids = column(calendars, |(c, _)| c.calendar.as_str().to_owned());
        let rows = sqlx::query!(
            "SELECT calendar, version, content FROM calendars WHERE calendar = ANY($1)",
            &ids[..] as _,
        )
        .fetch_all(&mut *self.inner)
        .await
        .map_err(failed("look for calendars"))?;
        let mut known: HashMap<(String, i64), ContentHash> = HashMap::new();
        for row in rows {
            known.insert((row.calendar, row.version), content(&row.content)?);
        }
        let mut fresh = Vec::new();
        let mut answers = Vec::with_capacity(calendars.len());
        for (calendar, hash) in calendars {
            let version = i64::try_from(calendar.version).map_err(|error| unreadable(&error))?;
            let id = calendar.calendar.as_str().to_owned();
            match known.entry((id, version)) {
                Entry::Occupied(first) => answers.push(same(*first.get(), *hash)),
                Entry::Vacant(unknown) => {
                    unknown.insert(*hash);
                    let body =
                        serde_json::to_value(calendar).map_err(|error| unreadable(&error))?;
                    fresh.push((calendar.calendar.as_str().to_owned(), version, *hash, body));
                    answers.push(Accepted::New { late_for: 0 });
                }
            }
        }
        if !fresh.is_empty() {
            sqlx::query!(
                "INSERT INTO calendars (calendar, version, content, body)
                 SELECT * FROM unnest($1::text[], $2::bigint[], $3::bytea[], $4::jsonb[])",
                column(&fresh, |row| row.0.clone()) as _,
                column(&fresh, |row| row.1) as _,
                column(&fresh, |row| row.2.0.to_vec()) as _,
                column(&fresh, |row| row.3.clone()) as _,
            )
            .execute(&mut *self.inner)
            .await
            .map_err(failed("write calendars"))?;
            self.raise_revision(catalogue).await?;
        }
        Ok(answers)
    }
}
