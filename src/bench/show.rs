//! A bench's answer as a table for people.

use std::fmt::Write as _;

use super::Report;
use super::figures::{Figures, Latency, Ratio};
use super::workloads::Sample;

pub(super) fn table(report: &Report) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let settings = &report.settings;
    writeln!(
        text,
        "holdback {}, {}, Kafka {}, {} cores, load before {}",
        settings.version,
        settings.postgres,
        settings.broker.as_deref().unwrap_or("of unknown version"),
        settings.cores,
        settings.load_before.as_deref().unwrap_or("unknown"),
    )?;
    writeln!(
        text,
        "{} orders of {} merchants ({}), seed {}, {} times",
        settings.orders, settings.merchants, settings.spread, settings.seed, settings.repeats
    )?;
    write!(
        text,
        "\n{:4} {:14} {:16} {:>9} {:>10} {:>10}  {:>26} {:>20} {:>7} {:>9} {:>9} {:>9}",
        "run",
        "subject",
        "phase",
        "events",
        "committed",
        "read back",
        "p50/p99/p99.9/max ms",
        "CPU us of it/PG/broker",
        "WAL B",
        "most MiB",
        "tables B",
        "indexes B",
    )?;
    for run in &report.runs {
        for figures in &run.phases {
            write!(text, "\n{:<4} {:14} ", run.repeat, run.subject)?;
            row(&mut text, figures)?;
        }
    }
    text.push('\n');
    for run in &report.runs {
        for figures in &run.phases {
            if let Some(first) = figures.merchants_first_us {
                let first = latency(first);
                write!(
                    text,
                    "\nrun {}: the first release of each merchant of {} after {first} ms",
                    run.repeat, figures.phase
                )?;
            }
        }
    }
    soak(&mut text, &report.soak)?;
    for Ratio { what, per_mille } in &report.ratios {
        write!(
            text,
            "\n{what}: {} (from {} to {})",
            thousandths(per_mille.median),
            thousandths(per_mille.least),
            thousandths(per_mille.most)
        )?;
    }
    if let Some(why) = &report.void {
        write!(text, "\nVOID: {why}")?;
    }
    Ok(text)
}

fn soak(text: &mut String, samples: &[Sample]) -> std::fmt::Result {
    for sample in samples {
        write!(
            text,
            "\nminute {}: {} produced, {} events read back, {} MiB resident, tables {} MB, indexes {} MB, {} dead rows",
            sample.minute,
            sample.produced,
            sample.read_back,
            or_dash(sample.resident_kib.map(|kib| kib / 1024)),
            sample.size.tables / 1_000_000,
            sample.size.indexes / 1_000_000,
            sample.dead_rows,
        )?;
    }
    Ok(())
}

fn row(text: &mut String, figures: &Figures) -> std::fmt::Result {
    let cpu = figures.cpu_ns_per_event;
    let cpu = [cpu.program, cpu.postgres, cpu.broker].map(|ns| or_dash(ns.map(tenths)));
    write!(
        text,
        "{:16} {:>9} {:>10} {:>10}  {:>26} {:>20} {:>7} {:>9} {:>9} {:>9}",
        figures.phase,
        figures.events,
        or_dash(figures.committed_per_second),
        or_dash(figures.read_back_per_second),
        or_dash(figures.latency_us.map(latency)),
        cpu.join("/"),
        or_dash(figures.wal_bytes_per_event),
        or_dash(figures.resident_max_kib.map(|kib| kib / 1024)),
        or_dash(figures.growth.map(|growth| growth.tables)),
        or_dash(figures.growth.map(|growth| growth.indexes)),
    )
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Milliseconds.
fn latency(latency: Latency) -> String {
    let all = [latency.p50, latency.p99, latency.p999, latency.max];
    all.map(tenths).join("/")
}

/// A thousandth of it, to one digit.
fn tenths(number: u64) -> String {
    let tenths = (number + 50) / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn thousandths(number: u64) -> String {
    format!("{}.{:02}", number / 1_000, number % 1_000 / 10)
}
