//! Holidays as a table: `date,kind[,name]`, with or without a line of headings.

use csv::StringRecord;
use jiff::civil::Date;

use super::Fault;
use super::days::{Days, Kind};

/// Notes every day of a CSV file, or what is wrong with its line.
pub(super) fn read(text: &str, days: &mut Days) {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    for (number, record) in reader.records().enumerate() {
        let record = match record {
            Ok(record) => record,
            Err(error) => return days.fault(Fault::whole(error.to_string())),
        };
        let line = line_of(&record, text);
        let field = |at| record.get(at).unwrap_or_default();
        let (date, kind) = (field(0), field(1));
        if number == 0 && date.eq_ignore_ascii_case("date") && kind.eq_ignore_ascii_case("kind") {
            continue;
        }
        let kind = match kind {
            "holiday" => Some(Kind::Holiday),
            "working" => Some(Kind::Working),
            _ => None,
        };
        match (day(date), kind) {
            (Some(day), Some(kind)) => days.name(day, kind, line),
            (None, _) => {
                let problem = format!("`{}` is no date like 2026-05-01", shown(date));
                days.fault(Fault::at(line, problem));
            }
            (_, None) => {
                let problem = format!("`{}` is neither holiday nor working", shown(field(1)));
                days.fault(Fault::at(line, problem));
            }
        }
    }
}

/// The line of a record; its position is before the empty lines that are skipped.
fn line_of(record: &StringRecord, text: &str) -> usize {
    let Some(position) = record.position() else {
        return 0;
    };
    let number = |position| usize::try_from(position).unwrap_or(usize::MAX);
    let rest = text.get(number(position.byte())..).unwrap_or_default();
    let empty = rest.chars().take_while(|c| matches!(c, '\r' | '\n'));
    number(position.line()).saturating_add(empty.filter(|c| *c == '\n').count())
}

/// A date in exactly this form.
fn day(text: &str) -> Option<Date> {
    let day: Date = text.parse().ok()?;
    (day.to_string() == text).then_some(day)
}

/// The beginning of what stands there, without control characters.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}
