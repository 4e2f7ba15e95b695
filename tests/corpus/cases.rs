//! The corpus: one message and its verdict per line of `*.txt`, as `README.md` there explains.
//!
//! Guarantees that a line that can't be read fails the test, and that no two cases of a file share a name.

use std::collections::BTreeSet;
use std::path::Path;

use holdback::message::Record;
use holdback::rules::time::Instant;

/// When Kafka got the message, unless the case says otherwise.
const WRITTEN_AT: &str = "2026-05-02T00:00:00Z";

/// What a message must come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A fact that shows this text.
    Accepted(String),
    /// The same, with an alarm for its business time.
    OffTime(String),
    Tombstone,
    /// A dead letter of this reason, its detail containing the text.
    DeadLetter(String, String),
}

/// Whose money must wait for a refused message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keeps {
    /// The case does not say.
    Unsaid,
    /// It is not about money that may leave.
    Nothing,
    /// It may be, and the order can't be read.
    Unreadable,
    /// `merchant/order`.
    Order(String),
}

/// One message and what it must come to.
#[derive(Debug, Clone)]
pub struct Case {
    pub name: String,
    /// It also goes through Kafka and the database.
    pub sampled: bool,
    pub record: Record,
    pub default_type: Option<&'static str>,
    pub verdict: Verdict,
    pub keeps: Keeps,
}

/// Every case of every file.
pub fn all() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the corpus")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "txt"))
        .collect();
    files.sort();
    let mut names = BTreeSet::new();
    let mut cases = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).expect("text");
        for line in text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let mut case = case(line).unwrap_or_else(|| panic!("{}: {line}", path.display()));
            let group = path.file_stem().and_then(|stem| stem.to_str());
            case.name = format!("{}: {}", group.expect("a name"), case.name);
            assert!(names.insert(case.name.clone()), "twice: {}", case.name);
            cases.push(case);
        }
    }
    cases
}

/// `name: [options] source edits → verdict`
#[expect(clippy::too_many_lines, reason = "the table of options")]
fn case(line: &str) -> Option<Case> {
    let (sampled, line) = line
        .strip_prefix("* ")
        .map_or((false, line), |rest| (true, rest));
    let (message, verdict) = line.rsplit_once(" → ")?;
    let (name, message) = message.split_once(": ")?;
    let (options, source) = match message.strip_prefix('[') {
        Some(rest) => rest.split_once("] ")?,
        None => ("", message),
    };
    let (word, edits) = source.split_once(' ').unwrap_or((source, ""));
    let (usual_type, value) = match word {
        "none" => ("order.completed.v1", None),
        "bytes" => ("order.completed.v1", Some(unescaped(edits)?)),
        base => {
            let (type_name, fields) = bases()
                .into_iter()
                .find(|(name, _, _)| *name == base)
                .map(|(_, t, f)| (t, f))?;
            (type_name, Some(unescaped(&edited(fields, edits)?)?))
        }
    };
    let mut case = Case {
        name: name.to_owned(),
        sampled,
        record: Record {
            topic: "merchant".into(),
            partition: 0,
            offset: 7,
            timestamp: Some(instant(WRITTEN_AT)?),
            key: None,
            headers: Vec::new(),
            value,
        },
        default_type: None,
        verdict: Verdict::Tombstone,
        keeps: Keeps::Unsaid,
    };
    let mut type_name = Some(usual_type);
    for option in options.split("; ").filter(|option| !option.is_empty()) {
        let (word, rest) = option.split_once(' ').unwrap_or((option, ""));
        match word {
            "plain" => {
                type_name = None;
                case.record.topic = rest.into();
                case.default_type = match rest {
                    "order-completed" => Some("order.completed.v1"),
                    "refund" => Some("refund.succeeded.v1"),
                    _ => None,
                };
            }
            "structured" => {
                type_name = None;
                case.push_header("content-type", b"application/cloudevents+json");
                if rest == "whole" {
                    continue;
                }
                let data = String::from_utf8(case.record.value.take()?).ok()?;
                let event =
                    format!(r#"{{"specversion":"1.0","type":"{usual_type}","data":{data}}}"#);
                case.record.value = Some(event.into_bytes());
            }
            "type" => type_name = Some(rest),
            "key" => case.record.key = Some(unescaped(rest)?),
            "at" => {
                case.record.timestamp = if rest == "none" {
                    None
                } else {
                    Some(instant(rest)?)
                }
            }
            "header" => match rest.split_once('=') {
                Some((name, value)) => {
                    let name = String::from_utf8(unescaped(name)?).ok()?;
                    case.push_header(&name, &unescaped(value)?);
                }
                None => case.record.headers.push((rest.to_owned(), None)),
            },
            "headers" => {
                let count: u32 = rest.parse().ok()?;
                (0..count).for_each(|n| case.push_header(&format!("x-{n}"), b"y"));
            }
            _ => return None,
        }
    }
    if let Some(name) = type_name {
        case.record
            .headers
            .insert(0, ("ce_type".to_owned(), Some(unescaped(name)?)));
    }
    (case.verdict, case.keeps) = verdict_of(verdict)?;
    Some(case)
}

impl Case {
    fn push_header(&mut self, name: &str, value: &[u8]) {
        self.record
            .headers
            .push((name.to_owned(), Some(value.to_vec())));
    }
}

/// `source edits` as a structured event.
pub fn event(message: &str) -> Option<String> {
    let (word, edits) = message.split_once(' ').unwrap_or((message, ""));
    let (_, type_name, fields) = bases().into_iter().find(|(name, _, _)| *name == word)?;
    let data = edited(fields, edits)?;
    Some(format!(
        r#"{{"specversion":"1.0","type":"{type_name}","data":{data}}}"#
    ))
}

fn verdict_of(text: &str) -> Option<(Verdict, Keeps)> {
    let (verdict, keeps) = match text.rsplit_once(" keeps ") {
        Some((verdict, "nothing")) => (verdict, Keeps::Nothing),
        Some((verdict, "?")) => (verdict, Keeps::Unreadable),
        Some((verdict, order)) => (verdict, Keeps::Order(order.to_owned())),
        None => (text, Keeps::Unsaid),
    };
    let (word, fragment) = verdict.split_once(' ').unwrap_or((verdict, ""));
    let fragment = fragment.to_owned();
    let verdict = match word {
        "accepted" => Verdict::Accepted(fragment),
        "off-time" => Verdict::OffTime(fragment),
        "tombstone" => Verdict::Tombstone,
        reason => Verdict::DeadLetter(reason.to_owned(), fragment),
    };
    Some((verdict, keeps))
}

fn instant(text: &str) -> Option<Instant> {
    text.parse().ok().map(Instant::new)
}

/// The fields of a base with `name=json` set and `-name` left out, parted by ` & `.
fn edited(fields: &str, edits: &str) -> Option<String> {
    let mut list: Vec<(String, String)> = Vec::new();
    for field in fields.split(", ") {
        let (name, raw) = field.split_once('=')?;
        list.push((name.to_owned(), raw.to_owned()));
    }
    for edit in edits.split(" & ").filter(|edit| !edit.is_empty()) {
        if let Some(name) = edit.strip_prefix('-') {
            let before = list.len();
            list.retain(|(other, _)| other != name);
            (list.len() < before).then_some(())?;
            continue;
        }
        let (name, raw) = edit.split_once('=')?;
        match list.iter_mut().find(|(other, _)| other == name) {
            Some((_, old)) => raw.clone_into(old),
            None => list.push((name.to_owned(), raw.to_owned())),
        }
    }
    let fields = list.iter().map(|(name, raw)| format!("\"{name}\":{raw}"));
    Some(format!("{{{}}}", fields.collect::<Vec<_>>().join(",")))
}

/// Bytes as they are meant: `\xHH` is one, `«text»*N` stands for N times the text, in which `#` is a
/// number from 0 on.
fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['«', '\\']) {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at..];
        if let Some(hex) = rest.strip_prefix("\\x") {
            bytes.push(u8::from_str_radix(hex.get(..2)?, 16).ok()?);
            rest = &hex[2..];
        } else if let Some(repeated) = rest.strip_prefix('«') {
            let (inner, after) = repeated.split_once("»*")?;
            let digits = after
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(after.len());
            let count: usize = after[..digits].parse().ok()?;
            if inner.contains('#') {
                for n in 0..count {
                    bytes.extend(unescaped(&inner.replace('#', &n.to_string()))?);
                }
            } else {
                bytes.extend(unescaped(inner)?.repeat(count));
            }
            rest = &after[digits..];
        } else {
            bytes.push(b'\\');
            rest = &rest[1..];
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

/// Messages that are right: name, type, fields.
#[expect(clippy::too_many_lines, reason = "a table")]
fn bases() -> [(&'static str, &'static str, &'static str); 14] {
    [
        (
            "sale",
            "order.completed.v1",
            r#"merchant_id="M-1", order_id="O-1", amount="100.00", currency="EUR", completed_at="2026-05-01T12:00:00+08:00""#,
        ),
        (
            "confirmed",
            "order.confirmed.v1",
            r#"merchant_id="M-1", order_id="O-1", confirmed_at="2026-05-01T12:00:00Z", by="buyer""#,
        ),
        (
            "delivered",
            "order.delivered.v1",
            r#"merchant_id="M-1", order_id="O-1", delivered_at="2026-05-01T12:00:00Z""#,
        ),
        (
            "cancelled",
            "order.cancelled.v1",
            r#"merchant_id="M-1", order_id="O-1", cancelled_at="2026-05-01T12:00:00Z""#,
        ),
        (
            "refund",
            "refund.succeeded.v1",
            r#"merchant_id="M-1", order_id="O-1", refund_id="R-1", amount="10.00", currency="EUR", refunded_at="2026-05-01T12:00:00Z""#,
        ),
        (
            "opened",
            "dispute.opened.v1",
            r#"merchant_id="M-1", order_id="O-1", dispute_id="D-1", kind="return", opened_at="2026-05-01T12:00:00Z""#,
        ),
        (
            "updated",
            "dispute.updated.v1",
            r#"merchant_id="M-1", order_id="O-1", dispute_id="D-1", version=1, at="2026-05-01T12:00:00Z""#,
        ),
        (
            "closed",
            "dispute.closed.v1",
            r#"merchant_id="M-1", order_id="O-1", dispute_id="D-1", outcome="won", closed_at="2026-05-01T12:00:00Z""#,
        ),
        (
            "agreement",
            "agreement.published.v1",
            r#"agreement_id="AG-1", version=1, merchant_id="M-1", effective_from="2026-01-01T00:00:00Z", time_zone="Asia/Shanghai", terms=[{"name":"sale","rate_bps":10000,"days":7}], settlement={"cycle":"daily"}"#,
        ),
        (
            "calendar",
            "calendar.published.v1",
            r#"calendar="CN", version=1, weekend=["sat","sun"], holidays=["2026-05-01"], working_days=["2026-05-09"]"#,
        ),
        (
            "requested",
            "review.requested.v1",
            r#"merchant_id="M-1", order_id="O-1", review_id="V-1", reason="odd", at="2026-05-01T12:00:00Z""#,
        ),
        (
            "answered",
            "review.answered.v1",
            r#"merchant_id="M-1", review_id="V-1", answer="no", answered_at="2026-05-01T12:00:00Z""#,
        ),
        (
            "decided",
            "review.decided.v1",
            r#"merchant_id="M-1", review_id="V-1", decision="passed", decided_by="Ann", decided_at="2026-05-01T12:00:00Z""#,
        ),
        (
            "paid",
            "payout.paid.v1",
            r#"merchant_id="M-1", release_id="d713e60c-9ecf-5ec6-971e-962f20108648", at="2026-05-01T12:00:00Z""#,
        ),
    ]
}
