//! The house rules that no lint knows, each with what to do instead. A rule is shown to work on a
//! planted sample before the tree is held against all of them.

use std::path::Path;

/// Longest file, in lines: beyond it there is more than one room in it.
const LINES_MAX: usize = 400;

/// Top-level modules and what of the crate each may use. Modules that are not listed (the loops,
/// the commands, the demo) stand above all of these.
const ARROWS: &[(&str, &[&str])] = &[
    ("rules", &["rules"]),
    ("message", &["message", "rules"]),
    ("config", &["config", "kafka", "rules"]),
    ("telemetry", &["config"]),
    ("clock", &["config", "rules"]),
    ("loopback", &[]),
    (
        "kafka",
        &[
            "kafka",
            "loopback",
            "message",
            "rules",
            "telemetry",
            "planted",
        ],
    ),
    (
        "store",
        &[
            "clock",
            "config",
            "loopback",
            "message",
            "rules",
            "store",
            "telemetry",
            "planted",
        ],
    ),
];

/// Words that belong to some places only: in code alone or also in prose | the words | where they
/// are sought | where they belong | what to do instead.
const WORDS: &str = "
code | async sqlx jiff_sqlx rdkafka tokio axum tracing metrics | src/rules/ src/message/ | | rules and messages are pure; let the loops do the work
code | sqlx::query query! query_as! query_scalar! | src/ | src/store/ src/bench/ | SQL stands in src/store/ only; give it a function there
code | rdkafka | src/ | src/kafka/ src/demo/ | librdkafka is met in src/kafka/ only; give it a function there
code | Timestamp::now Zoned::now SystemTime::now | src/ | src/clock.rs | time comes from the database by src/clock.rs; take it as an argument
code | env::var env::vars env::var_os env::vars_os | src/ | src/config/ src/demo/binaries.rs src/planted.rs | the environment is read in src/config/ only; make it a setting
code | f32 f64 | src/ | src/telemetry.rs | money and time are exact: Amount, Decimal, whole numbers
all | escrow Escrow | src/ schemas/ tests/ | tests/tidy.rs | that is a legal term; here it is a hold
all | freeze freezes frozen unfreeze Freeze Frozen | src/ schemas/ tests/ | tests/tidy.rs | one word per idea: hold, block, release
all | TODO FIXME XXX todo! unimplemented! | src/ schemas/ tests/ deploy/ .ci/ | tests/tidy.rs | do it now or open an issue
";

/// Names that say nothing about what is in the file.
const EMPTY_NAMES: &[&str] = &[
    "common", "helper", "helpers", "manager", "misc", "util", "utils",
];

/// What is wrong with one file, one line each.
fn complaints(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if path.ends_with(".rs") {
        if !text.starts_with("//!") {
            found.push(format!(
                "{path}: opens without //!: say what it is and what it guarantees"
            ));
        }
        let lines = text.lines().count();
        if lines > LINES_MAX {
            found.push(format!(
                "{path}: {lines} lines: part it, {LINES_MAX} are enough"
            ));
        }
        found.extend(arrows(path, text));
    }
    let stem = Path::new(path)
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    if EMPTY_NAMES.contains(&stem) {
        found.push(format!(
            "{path}: name the file after what is in it, not {stem}"
        ));
    }
    for rule in WORDS.trim().lines() {
        let mut fields = rule.split('|').map(str::trim);
        let [scope, words, within, except, instead] =
            std::array::from_fn(|_| fields.next().expect("five fields"));
        let begins = |starts: &str| {
            starts
                .split(' ')
                .any(|s| !s.is_empty() && path.starts_with(s))
        };
        if !begins(within) || begins(except) {
            continue;
        }
        for (number, line) in (1..).zip(text.lines()) {
            let line = if scope == "all" { line } else { code(line) };
            for word in words.split(' ').filter(|word| has_word(line, word)) {
                found.push(format!("{path}:{number}: {word}: {instead}"));
            }
        }
    }
    found
}

/// The line without its comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

/// Whether the word stands in the line, and not as a part of a longer name.
fn has_word(line: &str, word: &str) -> bool {
    let of_a_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(of_a_name) && !line[at + word.len()..].starts_with(of_a_name)
    })
}

/// Uses of the crate's own modules against the arrows.
fn arrows(path: &str, text: &str) -> Vec<String> {
    let module = path.strip_prefix("src/").unwrap_or_default();
    let module = module.split(['/', '.']).next().unwrap_or_default();
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == module) else {
        return Vec::new();
    };
    let code: String = text.lines().flat_map(|line| [code(line), "\n"]).collect();
    let refused = uses(&code)
        .into_iter()
        .filter(|used| !allowed.contains(&used.as_str()));
    refused
        .map(|used| format!("{path}: {module} must not use {used}: arrows point one way"))
        .collect()
}

/// The modules that follow `crate::`, one or a list in braces.
fn uses(code: &str) -> Vec<String> {
    let first_name = |text: &str| -> String {
        text.trim_start()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let after = code.split("crate::").skip(1);
    let names = after.flat_map(|rest| match rest.strip_prefix('{') {
        Some(list) => items(list).into_iter().map(first_name).collect(),
        None => vec![first_name(rest)],
    });
    names.filter(|name| !name.is_empty()).collect()
}

/// The items of a list up to the brace that closes it.
fn items(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut items) = (0, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' => {
                items.push(&list[start..at]);
                break;
            }
            ',' if depth == 0 => {
                items.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items
}

/// Modules that no `mod` reaches: dead files.
fn orphans(files: &[(String, String)]) -> Vec<String> {
    let declared = |parent: &str, name: &str| {
        let text = files
            .iter()
            .find(|(path, _)| path == parent)
            .map_or("", |(_, text)| text);
        text.lines().any(|line| {
            line.strip_suffix(';')
                .and_then(|line| line.strip_suffix(name))
                .is_some_and(|line| line.ends_with("mod "))
        })
    };
    let is_orphan = |path: &&str| {
        let Some(stem) = path.strip_suffix(".rs") else {
            return false;
        };
        let stem = stem.strip_suffix("/mod").unwrap_or(stem);
        let Some((folder, name)) = stem.rsplit_once('/') else {
            return false;
        };
        let root = path.ends_with("src/lib.rs") || name == "main" || folder == "tests";
        let parents = ["mod.rs", "lib.rs", "main.rs"];
        !root
            && !parents
                .iter()
                .any(|parent| declared(&format!("{folder}/{parent}"), name))
    };
    let paths = files.iter().map(|(path, _)| path.as_str());
    paths
        .filter(is_orphan)
        .map(|path| format!("{path}: no mod reaches it: delete it"))
        .collect()
}

/// The text files below a folder, by their paths.
fn read(folder: &str, into: &mut Vec<(String, String)>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        let name = path.to_str().expect("a path in UTF-8").to_owned();
        if path.is_dir() {
            if !name.ends_with("/node_modules") {
                read(&name, into);
            }
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            into.push((name, text));
        }
    }
}

#[test]
fn the_tree_keeps_the_house_rules() {
    let mut files = Vec::new();
    for folder in ["src", "tests", "schemas", "deploy", ".ci"] {
        read(folder, &mut files);
    }
    assert!(
        files.iter().any(|(path, _)| path == "src/lib.rs"),
        "run where Cargo.toml is"
    );
    let mut found: Vec<String> = files
        .iter()
        .flat_map(|(path, text)| complaints(path, text))
        .collect();
    found.extend(orphans(&files));
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

/// Breaches: a path, a text, and how the complaint goes on.
const PLANTED: &[(&str, &str, &str)] = &[
    ("src/a.rs", "fn a() {}", "opens without //!"),
    ("src/utils.rs", "//! things", "name the file after"),
    (
        "src/rules/a.rs",
        "//! a\nuse crate::store::Hold;",
        "rules must not use store",
    ),
    (
        "src/rules/a.rs",
        "//! a\nuse crate::{kafka};",
        "rules must not use kafka",
    ),
    (
        "src/message/a.rs",
        "//! a\nuse crate::{rules::{x, y}, store::z};",
        "not use store",
    ),
    (
        "src/kafka/a.rs",
        "//! a\nfn f(x: crate::store::Hold) {}",
        "kafka must not use store",
    ),
    (
        "src/store/a.rs",
        "//! a\nuse crate::ingest;",
        "store must not use ingest",
    ),
    (
        "src/rules/a.rs",
        "//! a\nasync fn f() {}",
        "2: async: rules and messages are pure",
    ),
    (
        "src/ingest.rs",
        "//! a\nsqlx::query!(\"\")",
        "2: sqlx::query: SQL stands in",
    ),
    (
        "src/ingest.rs",
        "//! a\nuse rdkafka::Offset;",
        "2: rdkafka: librdkafka is met",
    ),
    (
        "src/store/a.rs",
        "//! a\nlet t = Timestamp::now();",
        "2: Timestamp::now: time comes",
    ),
    (
        "src/demo/a.rs",
        "//! a\nstd::env::var_os(\"HOME\")",
        "2: env::var_os: the environment",
    ),
    (
        "src/rules/a.rs",
        "//! a\nlet x: f64;",
        "2: f64: money and time are exact",
    ),
    (
        "src/a.rs",
        "//! an escrow",
        "1: escrow: that is a legal term",
    ),
    (
        "schemas/a.json",
        "{\"frozen\": true}",
        "1: frozen: one word per idea",
    ),
    (".ci/a", "# TODO later", "1: TODO: do it now"),
];

#[test]
fn each_rule_finds_its_planted_sample() {
    for (path, text, expected) in PLANTED {
        let found = complaints(path, text);
        assert!(
            found.iter().any(|line| line.contains(expected)),
            "{expected}: {found:?}"
        );
    }
    let long = complaints("src/a.rs", &format!("//! a\n{}", "\n".repeat(LINES_MAX)));
    assert_eq!(long, ["src/a.rs: 401 lines: part it, 400 are enough"]);
}

#[test]
fn what_only_looks_like_a_breach_is_let_through() {
    let innocent = [
        (
            "src/rules/a.rs",
            "//! never sqlx\nuse crate::rules::money; // not crate::store",
        ),
        (
            "src/message/a.rs",
            "//! a\nuse crate::rules::{money, time as store};\nuse crate::message;",
        ),
        ("src/store/a.rs", "//! a\nsqlx::query!(\"select 1\")"),
        ("src/telemetry.rs", "//! a\nlet x: f64;"),
        (
            "src/ingest.rs",
            "//! a\nlet asyncronous = env::variable; let df64 = 1;",
        ),
        ("src/clock.rs", "//! a\nTimestamp::now()"),
    ];
    for (path, text) in innocent {
        assert_eq!(complaints(path, text), Vec::<String>::new());
    }
}

#[test]
fn a_file_that_no_mod_reaches_is_found() {
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let files = [
        file("src/lib.rs", "pub mod a;\nmod c;"),
        file("src/main.rs", ""),
        file("src/a/mod.rs", "mod b;"),
        file("src/a/b.rs", ""),
        file("src/a/lost.rs", ""),
        file("src/c.rs", ""),
        file("src/dead.rs", ""),
        file("tests/config.rs", ""),
        file("tests/it/main.rs", "mod harness;"),
        file("tests/it/harness/mod.rs", ""),
        file("tests/it/forgotten.rs", ""),
    ];
    let found = orphans(&files);
    let begins: Vec<&str> = found
        .iter()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert_eq!(
        begins,
        ["src/a/lost.rs", "src/dead.rs", "tests/it/forgotten.rs"]
    );
}
