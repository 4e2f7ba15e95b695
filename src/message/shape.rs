//! Shapes of texts: times and dates as they must be written, before it is asked what they mean.

use std::borrow::Cow;

/// `2026-05-01T12:00:00[.fraction](Z|±hh:mm)`, its fraction cut to nine digits; `None` for any
/// other shape. Whether that time exists is not asked.
pub(super) fn rfc3339(text: &str) -> Option<Cow<'_, str>> {
    let (local, rest) = text.split_at_checked(19)?;
    let zone = rest.strip_prefix('.').map_or(rest, |fraction| {
        fraction.trim_start_matches(|c: char| c.is_ascii_digit())
    });
    let fraction = rest.strip_suffix(zone).unwrap_or_default();
    let well_formed = fraction != "."
        && (has_shape(local, "0000-00-00T00:00:00") || has_shape(local, "0000-00-00t00:00:00"))
        && (matches!(zone, "Z" | "z") || has_shape(zone, "+00:00") || has_shape(zone, "-00:00"));
    match fraction.get(..10) {
        _ if !well_formed => None,
        Some(cut) => Some(Cow::Owned(format!("{local}{cut}{zone}"))),
        None => Some(Cow::Borrowed(text)),
    }
}

/// True when `0` in the shape meets a digit, and everything else itself.
pub(super) fn has_shape(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text
            .bytes()
            .zip(shape.bytes())
            .all(|(byte, wanted)| match wanted {
                b'0' => byte.is_ascii_digit(),
                _ => byte == wanted,
            })
}
