//! What can still be read of a broken message: enough to find the order that it is about. Reads
//! up to the first error, so a message that was cut short still tells what stood before the cut.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::envelope;
use super::rejection::About;
use crate::rules::ids::{MerchantId, OrderId};

/// The longest part of a message that is searched, in bytes.
const SEARCHED_MAX: usize = 1 << 20;

/// Fields that were found, of the event and of the data inside it.
#[derive(Debug, Default)]
pub(super) struct Hints {
    pub type_name: Option<String>,
    merchant: Option<String>,
    order: Option<String>,
    encoded: Option<String>,
    data: Option<Box<Hints>>,
}

impl Hints {
    /// Searches the bytes, JSON or not.
    pub(super) fn find(bytes: &[u8]) -> Self {
        let mut hints = Self::default();
        let bytes = bytes.get(..SEARCHED_MAX).unwrap_or(bytes);
        // Whatever stops the search, what was found before it counts.
        let search = Search {
            hints: &mut hints,
            inside: false,
        };
        drop(search.deserialize(&mut serde_json::Deserializer::from_slice(bytes)));
        if let Some(data) = hints
            .encoded
            .take()
            .and_then(|text| envelope::decode(&text))
        {
            hints.data = Some(Box::new(Self::find(&data)));
        }
        hints
    }

    /// The order that the message is about: of the data inside an envelope, else of the whole.
    pub(super) fn about(&self, structured: bool) -> Option<About> {
        let found = if structured {
            self.data.as_deref()?
        } else {
            self
        };
        Some(About {
            merchant: MerchantId::parse(found.merchant.as_deref()?).ok()?,
            order: OrderId::parse(found.order.as_deref()?).ok()?,
        })
    }
}

/// Walks one object and notes what it knows.
struct Search<'h> {
    hints: &'h mut Hints,
    /// Inside of `data` no further envelope is looked for.
    inside: bool,
}

impl<'de> DeserializeSeed<'de> for Search<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Search<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "merchant_id" => self.hints.merchant = text(map.next_value()?),
                "order_id" => self.hints.order = text(map.next_value()?),
                "type" => self.hints.type_name = text(map.next_value()?),
                "data_base64" if !self.inside => self.hints.encoded = text(map.next_value()?),
                "data" if !self.inside => {
                    let data = self.hints.data.insert(Box::default());
                    map.next_value_seed(Search {
                        hints: data,
                        inside: true,
                    })?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// A string, or a whole number as the digits that somebody meant for an id.
fn text(raw: &RawValue) -> Option<String> {
    let raw = raw.get();
    if raw.bytes().all(|b| b.is_ascii_digit()) {
        return Some(raw.to_owned());
    }
    serde_json::from_str(raw).ok()
}
