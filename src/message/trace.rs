//! W3C trace context: taken over when it is well formed, dropped when not, as the standard asks.

use super::Record;

/// The record's trace context: the transport's header before the event's own attribute.
pub(super) fn traceparent(record: &Record, attribute: Option<&str>) -> Option<String> {
    [
        record.header("traceparent"),
        record.header("ce_traceparent"),
        attribute,
    ]
    .into_iter()
    .flatten()
    .find(|text| is_well_formed(text))
    .map(str::to_owned)
}

/// Version, trace id, parent id and flags in lower-case hex, ids not all zero.
fn is_well_formed(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, parent, flags] = parts.as_slice() else {
        return false;
    };
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let some = |part: &str| part.bytes().any(|b| b != b'0');
    hex(version, 2)
        && *version != "ff"
        && hex(trace, 32)
        && some(trace)
        && hex(parent, 16)
        && some(parent)
        && hex(flags, 2)
}

#[cfg(test)]
mod tests {
    use super::is_well_formed;

    #[test]
    fn a_trace_context_is_taken_only_as_the_standard_writes_it() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_well_formed(good));
        assert!(!is_well_formed(&good.to_uppercase()));
        assert!(!is_well_formed(
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01"
        ));
        assert!(!is_well_formed(
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"
        ));
        assert!(!is_well_formed("hello"));
    }
}
