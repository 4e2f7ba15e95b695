//! A JSON object read field by field: numbers by their digits, `null` as absent, unknown fields
//! ignored, a key twice refused. Every fault names the field by its JSON pointer.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::rc::Rc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::rejection::{Fault, Reason};
use super::shape::{has_shape, rfc3339};
use crate::rules::ids::IdError;
use crate::rules::money::{self, Amount, Currency};
use crate::rules::time::Instant;

/// Levels of nesting that a message may have; what holdback reads has five.
const DEPTH_MAX: usize = 64;
/// Years that a date or time may lie in, UTC: sums of days never leave the range of dates.
const YEARS: RangeInclusive<i16> = 1970..=2999;

/// Checks that the bytes are UTF-8 and not nested beyond 64 levels.
///
/// # Errors
/// [`Reason::Malformed`].
pub(super) fn text_of(bytes: &[u8]) -> Result<&str, Fault> {
    let text = std::str::from_utf8(bytes)
        .map_err(|e| Fault::new(Reason::Malformed, format!("not UTF-8: {e}")))?;
    // Nearly no message has so many brackets at all.
    if text.bytes().filter(|it| matches!(it, b'{' | b'[')).count() <= DEPTH_MAX {
        return Ok(text);
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Err(Fault::new(
                Reason::Malformed,
                "nested deeper than 64 levels",
            ));
        }
    }
    Ok(text)
}

/// The fields of one JSON object, their values still as written.
#[derive(Debug, Default, Clone)]
pub(super) struct Fields<'a> {
    /// JSON pointer of the object; empty for the whole.
    at: String,
    list: Vec<(Cow<'a, str>, &'a RawValue)>,
    stand_ins: StandIns,
}

/// What is read in place of values that were found to be wrong, by their JSON pointers: so that the
/// rest can be read and every fault be told at once.
pub(super) type StandIns = Option<Rc<BTreeMap<String, &'static str>>>;

impl<'a> Fields<'a> {
    /// Splits an object into its fields.
    ///
    /// # Errors
    /// [`Reason::Malformed`] for what is no JSON or has a key twice, [`Reason::Schema`] for JSON
    /// that is no object.
    pub(super) fn split(text: &'a str, at: String) -> Result<Self, Fault> {
        if !text.trim_ascii_start().starts_with('{')
            && serde_json::from_str::<IgnoredAny>(text).is_ok()
        {
            return Err(Fault::new(Reason::Schema, "must be an object").at(&at));
        }
        let mut json = serde_json::Deserializer::from_str(text);
        let list = json
            .deserialize_map(Split)
            .and_then(|list| json.end().map(|()| list))
            .map_err(|e| Fault::new(Reason::Malformed, format!("{at}: {e}")))?;
        let mut names: Vec<&str> = list.iter().map(|(name, _)| name.as_ref()).collect();
        names.sort_unstable();
        if let Some([name, _]) = names.array_windows().find(|[one, next]| one == next) {
            return Err(Fault::new(
                Reason::Malformed,
                format!("{at}/{name}: stands twice"),
            ));
        }
        Ok(Self {
            at,
            list,
            stand_ins: None,
        })
    }

    /// The same object, read with these stand-ins.
    pub(super) fn with(self, stand_ins: StandIns) -> Self {
        Self { stand_ins, ..self }
    }

    /// An object in a list of this object.
    pub(super) fn item(&self, list: &str, n: usize, raw: &'a str) -> Result<Self, Fault> {
        let at = format!("{}/{n}", self.pointer(list));
        let stand_in = self.stand_ins.as_ref().and_then(|it| it.get(&at).copied());
        Ok(Self::split(stand_in.unwrap_or(raw), at)?.with(self.stand_ins.clone()))
    }

    /// Every field but those that are null.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.list
            .iter()
            .map(|(name, raw)| {
                (
                    name.as_ref(),
                    self.stand_in(name).unwrap_or_else(|| raw.get()),
                )
            })
            .filter(|(_, raw)| *raw != "null")
    }

    /// A field as it is written; null is absent.
    pub(super) fn written(&self, name: &str) -> Option<&'a str> {
        let mut list = self.list.iter();
        let written = || {
            list.find(|(other, _)| *other == name)
                .map(|(_, raw)| raw.get())
        };
        let raw = self.stand_in(name).or_else(written);
        raw.filter(|raw| *raw != "null")
    }

    fn stand_in(&self, name: &str) -> Option<&'static str> {
        let stand_ins = self.stand_ins.as_ref()?;
        stand_ins.get(&self.pointer(name)).copied()
    }

    /// A fault of this field.
    pub(super) fn fault(&self, reason: Reason, name: &str, what: impl fmt::Display) -> Fault {
        Fault::new(reason, what.to_string()).at(&self.pointer(name))
    }

    /// The pointer of a field.
    pub(super) fn pointer(&self, name: &str) -> String {
        format!("{}/{name}", self.at)
    }

    /// Turns absence into a fault.
    pub(super) fn required<T>(&self, name: &str, value: Option<T>) -> Result<T, Fault> {
        value.ok_or_else(|| self.fault(Reason::Schema, name, "is required"))
    }

    /// A string without control characters.
    pub(super) fn text(&self, name: &str) -> Result<Option<Cow<'a, str>>, Fault> {
        let text = self.written(name).map(string).transpose();
        text.map_err(|fault| fault.at(&self.pointer(name)))
    }

    /// A required id of 1–128 characters.
    pub(super) fn id<T>(
        &self,
        name: &str,
        parse: fn(&str) -> Result<T, IdError>,
    ) -> Result<T, Fault> {
        let id = self.optional_id(name, parse)?;
        self.required(name, id)
    }

    /// An optional id of 1–128 characters.
    pub(super) fn optional_id<T>(
        &self,
        name: &str,
        parse: fn(&str) -> Result<T, IdError>,
    ) -> Result<Option<T>, Fault> {
        let text = self.text(name)?;
        text.map(|text| {
            parse(&text).map_err(|e| match e {
                IdError::Length => self.fault(Reason::Schema, name, e),
                IdError::Control => self.fault(Reason::Text, name, e),
            })
        })
        .transpose()
    }

    /// One of the words that the type knows.
    pub(super) fn word<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Fault> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let unit = serde::de::value::StrDeserializer::<serde_json::Error>::new(&text);
        T::deserialize(unit)
            .map(Some)
            .map_err(|e| self.fault(Reason::Schema, name, e))
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Fault> {
        match self.written(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(self.fault(Reason::Schema, name, "must be true or false")),
        }
    }

    /// A whole number; `7.0` is one, as in JSON Schema.
    pub(super) fn whole<T>(&self, name: &str, range: RangeInclusive<T>) -> Result<Option<T>, Fault>
    where
        T: TryFrom<i64> + PartialOrd + fmt::Display,
    {
        let Some(raw) = self.written(name) else {
            return Ok(None);
        };
        whole(raw, &range).map(Some).ok_or_else(|| {
            let what = format!(
                "must be a whole number from {} to {}",
                range.start(),
                range.end()
            );
            self.fault(Reason::Schema, name, what)
        })
    }

    /// An instant, RFC 3339 with an offset.
    pub(super) fn instant(&self, name: &str) -> Result<Option<Instant>, Fault> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let written = rfc3339(&text).ok_or_else(|| {
            self.fault(
                Reason::Schema,
                name,
                "must be an RFC 3339 time with an offset",
            )
        })?;
        let at: Option<Timestamp> = written.parse().ok();
        let at = at.filter(|at| YEARS.contains(&TimeZone::UTC.to_datetime(*at).year()));
        at.map(|at| Some(Instant::new(at)))
            .ok_or_else(|| self.fault(Reason::Value, name, "is no time of the years 1970 to 2999"))
    }

    /// A date, `2026-05-01`.
    pub(super) fn date(&self, name: &str) -> Result<Option<Date>, Fault> {
        let date = self.text(name)?.map(|text| date(&text)).transpose();
        date.map_err(|fault| fault.at(&self.pointer(name)))
    }

    /// A known currency.
    pub(super) fn currency(&self, name: &str) -> Result<Option<Currency>, Fault> {
        let Some(code) = self.text(name)? else {
            return Ok(None);
        };
        let currency = Currency::from_code(&code);
        currency.map(Some).ok_or_else(|| {
            self.fault(
                Reason::Value,
                name,
                "is no ISO 4217 currency with a minor unit",
            )
        })
    }

    /// An amount of this currency.
    pub(super) fn amount(&self, name: &str, currency: Currency) -> Result<Option<Amount>, Fault> {
        let digits = self.digits(name)?;
        let amount = digits
            .map(|digits| Amount::parse(&digits, currency))
            .transpose();
        amount.map_err(|e| self.fault(Reason::Money, name, e))
    }

    /// A plain amount, in a currency that the message does not name.
    pub(super) fn plain(&self, name: &str) -> Result<Option<Decimal>, Fault> {
        let digits = self.digits(name)?;
        let amount = digits.map(|digits| money::plain(&digits)).transpose();
        amount.map_err(|e| self.fault(Reason::Money, name, e))
    }

    /// A decimal string, or a number as its digits stand there.
    fn digits(&self, name: &str) -> Result<Option<Cow<'a, str>>, Fault> {
        match self.written(name) {
            Some(raw) if raw.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
                Ok(Some(Cow::Borrowed(raw)))
            }
            _ => self.text(name),
        }
    }

    /// A nested object.
    pub(super) fn object(&self, name: &str) -> Result<Option<Fields<'a>>, Fault> {
        self.written(name)
            .map(|raw| {
                let object = Fields::split(raw, self.pointer(name))?;
                Ok(object.with(self.stand_ins.clone()))
            })
            .transpose()
    }

    /// A list, its items still as written.
    pub(super) fn list(&self, name: &str) -> Result<Option<Vec<&'a str>>, Fault> {
        let items = self.written(name).map(list).transpose();
        items.map_err(|fault| fault.at(&self.pointer(name)))
    }
}

/// The items of a list, as written.
pub(super) fn list(raw: &str) -> Result<Vec<&str>, Fault> {
    let items: Vec<&RawValue> =
        serde_json::from_str(raw).map_err(|_| Fault::new(Reason::Schema, "must be a list"))?;
    Ok(items.into_iter().map(RawValue::get).collect())
}

/// A string without control characters.
pub(super) fn string(raw: &str) -> Result<Cow<'_, str>, Fault> {
    if !raw.starts_with('"') {
        return Err(Fault::new(Reason::Schema, "must be a string"));
    }
    let plain = raw.get(1..raw.len() - 1);
    let Key(text) = match plain.filter(|text| !text.contains('\\')) {
        // Nothing is escaped: it stands there as it is.
        Some(plain) => Key(Cow::Borrowed(plain)),
        None => {
            serde_json::from_str(raw).map_err(|e| Fault::new(Reason::Malformed, e.to_string()))?
        }
    };
    if text.chars().any(char::is_control) {
        return Err(Fault::new(Reason::Text, "has control characters"));
    }
    Ok(text)
}

/// A whole number in the range, however many zeros follow its point.
pub(super) fn whole<T: TryFrom<i64> + PartialOrd>(
    raw: &str,
    range: &RangeInclusive<T>,
) -> Option<T> {
    let (digits, zeros) = raw.split_once('.').unwrap_or((raw, "0"));
    let number = digits
        .parse::<i64>()
        .ok()
        .filter(|_| zeros.bytes().all(|b| b == b'0'))?;
    T::try_from(number)
        .ok()
        .filter(|number| range.contains(number))
}

/// A date, `2026-05-01`, in the years 1970 to 2999.
pub(super) fn date(text: &str) -> Result<Date, Fault> {
    if !has_shape(text, "0000-00-00") {
        return Err(Fault::new(Reason::Schema, "must be a date like 2026-05-01"));
    }
    let date: Option<Date> = text.parse().ok();
    date.filter(|date| YEARS.contains(&date.year()))
        .ok_or_else(|| Fault::new(Reason::Value, "is no day of the years 1970 to 2999"))
}

/// A string, borrowed when nothing in it is escaped.
struct Key<'a>(Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

struct Split;

impl<'de> Visitor<'de> for Split {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::with_capacity(12);
        while let Some((Key(name), raw)) = map.next_entry()? {
            list.push((name, raw));
        }
        Ok(list)
    }
}
