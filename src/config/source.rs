//! Where settings come from: one flat list of keys out of the file and the environment.
//! It knows who said what, and collects every complaint until the end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};

use super::ConfigErrors;

/// One value as it was given. Any value may be a secret.
#[derive(Clone)]
pub(super) struct Setting {
    pub(super) value: SecretString,
    pub(super) origin: Origin,
}

/// Who said it.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// The key in the file.
    File(String),
    /// The variable's name.
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::File(name) | Self::Variable(name)) = self;
        f.write_str(name)
    }
}

/// Hands out settings by key and remembers what was asked for and what was wrong.
pub(super) struct Reader {
    file: BTreeMap<String, SecretString>,
    variables: BTreeMap<String, SecretString>,
    known: BTreeSet<String>,
    errors: Vec<String>,
}

impl Reader {
    pub(super) fn new(
        path: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        let mut file = BTreeMap::new();
        if let Some(path) = path {
            flatten(
                "",
                read_table(path).map_err(|error| ConfigErrors(vec![error]))?,
                &mut file,
            );
        }
        let variables = env
            .filter(|(name, value)| name.starts_with("HOLDBACK_") && !is_foreign(name, value))
            .map(|(name, value)| (name, SecretString::from(value)))
            .collect();
        Ok(Self {
            file,
            variables,
            known: BTreeSet::new(),
            errors: Vec::new(),
        })
    }

    /// The setting under this key; the environment wins.
    fn take(&mut self, key: &str) -> Option<Setting> {
        self.known.insert(key.to_owned());
        let in_file = self.file.remove(key);
        let name = variable(key);
        if let Some(value) = self.variables.remove(&name) {
            return Some(Setting {
                value,
                origin: Origin::Variable(name),
            });
        }
        in_file.map(|value| Setting {
            value,
            origin: Origin::File(key.to_owned()),
        })
    }

    /// Every setting whose key begins so, by the rest of the key; the environment wins. `name` makes
    /// that rest out of what follows in a variable's name.
    pub(super) fn below(
        &mut self,
        prefix: &str,
        variables: &str,
        name_of: impl Fn(&str) -> String,
    ) -> BTreeMap<String, Setting> {
        let mut found = BTreeMap::new();
        self.file.retain(|key, value| {
            let Some(rest) = key.strip_prefix(prefix) else {
                return true;
            };
            let origin = Origin::File(key.clone());
            found.insert(
                rest.to_owned(),
                Setting {
                    value: value.clone(),
                    origin,
                },
            );
            false
        });
        self.variables.retain(|name, value| {
            let Some(rest) = name.strip_prefix(variables) else {
                return true;
            };
            let origin = Origin::Variable(name.clone());
            found.insert(
                name_of(rest),
                Setting {
                    value: value.clone(),
                    origin,
                },
            );
            false
        });
        found
    }

    /// A value with a default, which is a legal value itself. `parse` fails with what it expects.
    pub(super) fn parsed<T>(
        &mut self,
        key: &str,
        default: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        let given = self.optional(key, &parse);
        given.unwrap_or_else(|| parse(default).expect("a default is a legal value"))
    }

    /// A value that may be absent. `parse` fails with what it expects.
    pub(super) fn optional<T>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let setting = self.take(key)?;
        let given = setting.value.expose_secret();
        match parse(given.trim()) {
            Ok(value) => Some(value),
            Err(expected) => {
                self.complain(format!(
                    "{} is {given:?}, expected {expected}",
                    setting.origin
                ));
                None
            }
        }
    }

    /// Text that is not empty.
    pub(super) fn text(&mut self, key: &str, default: &str) -> String {
        self.parsed(key, default, not_empty)
    }

    /// Text that must be given.
    pub(super) fn required(&mut self, key: &str) -> String {
        let before = self.errors.len();
        let given = self.optional(key, not_empty);
        if given.is_none() && self.errors.len() == before {
            self.complain(format!(
                "{key} is missing; set it in the file or as {}",
                variable(key)
            ));
        }
        given.unwrap_or_default()
    }

    /// A whole number within bounds.
    pub(super) fn whole(&mut self, key: &str, default: u32, bounds: RangeInclusive<u32>) -> u32 {
        let parse = |text: &str| {
            let number = text
                .parse::<u32>()
                .ok()
                .filter(|number| bounds.contains(number));
            number.ok_or_else(|| {
                format!("a whole number from {} to {}", bounds.start(), bounds.end())
            })
        };
        self.optional(key, parse).unwrap_or(default)
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &str, default: bool) -> bool {
        let parse = |text: &str| text.parse().map_err(|_| "true or false".to_owned());
        self.optional(key, parse).unwrap_or(default)
    }

    /// One of several words; the first is the default.
    pub(super) fn one_of<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> T {
        self.parsed(key, words[0].0, |text| {
            let found = words.iter().find(|(word, _)| *word == text);
            found.map(|(_, value)| *value).ok_or_else(|| {
                words
                    .iter()
                    .map(|(word, _)| *word)
                    .collect::<Vec<_>>()
                    .join(" or ")
            })
        })
    }

    /// A secret that must be given: itself, or as `<key>_file` the file that contains it.
    pub(super) fn secret(&mut self, key: &str) -> SecretString {
        let file_key = format!("{key}_file");
        let (itself, in_file) = (self.take(key), self.take(&file_key));
        let in_variable = |setting: &Setting| matches!(setting.origin, Origin::Variable(_));
        let chosen = match (itself, in_file) {
            (Some(itself), Some(file)) => match (in_variable(&itself), in_variable(&file)) {
                (true, false) => Ok(itself.value),
                (false, true) => read_secret_file(file.value.expose_secret()),
                _ => Err(format!(
                    "{} and {} are both given",
                    itself.origin, file.origin
                )),
            },
            (Some(itself), None) => Ok(itself.value),
            (None, Some(file)) => read_secret_file(file.value.expose_secret())
                .map_err(|error| format!("{}: {error}", file.origin)),
            (None, None) => Err(format!(
                "{key} is missing; set it in the file or as {} or {}",
                variable(key),
                variable(&file_key)
            )),
        };
        chosen.unwrap_or_else(|error| {
            self.complain(error);
            SecretString::default()
        })
    }

    pub(super) fn complain(&mut self, error: String) {
        self.errors.push(error);
    }

    /// Ends the reading: what nobody asked for is a mistake.
    pub(super) fn finish(mut self) -> Result<(), ConfigErrors> {
        for key in std::mem::take(&mut self.file).into_keys() {
            let near = nearest(&key, self.known.iter().map(String::as_str));
            self.complain(unknown(&key, near.map(str::to_owned)));
        }
        let variables: Vec<String> = self.known.iter().map(|key| variable(key)).collect();
        for name in std::mem::take(&mut self.variables).into_keys() {
            let near = nearest(&name, variables.iter().map(String::as_str));
            self.complain(unknown(&name, near.map(str::to_owned)));
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(ConfigErrors(self.errors))
        }
    }
}

/// Reads a secret out of its file, without the line end that editors and `echo` leave. What is no
/// absolute path is not shown: it may be the secret itself.
pub(super) fn read_secret_file(path: &str) -> Result<SecretString, String> {
    let shown = if Path::new(path.trim()).is_absolute() {
        path
    } else {
        "a file of that name"
    };
    std::fs::read_to_string(path.trim())
        .map(|text| SecretString::from(text.trim_end_matches(['\r', '\n'])))
        .map_err(|error| format!("can't read the secret in {shown}: {error}"))
}

fn read_table(path: &Path) -> Result<toml::Table, String> {
    let shown = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("can't read {shown}: {error}"))?;
    text.parse::<toml::Table>().map_err(|error| {
        // Its own Display quotes the line, which may hold a password.
        let start = error.span().map_or(0, |span| span.start);
        let line = text
            .bytes()
            .take(start)
            .filter(|byte| *byte == b'\n')
            .count()
            + 1;
        format!(
            "{shown}, line {line}: {}",
            error.message().replace('\n', "; ")
        )
    })
}

/// `{release: {mode: "live"}}` becomes `release.mode`.
fn flatten(prefix: &str, table: toml::Table, into: &mut BTreeMap<String, SecretString>) {
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        let text = match value {
            toml::Value::Table(below) => {
                flatten(&format!("{key}."), below, into);
                continue;
            }
            toml::Value::String(text) => text,
            toml::Value::Array(items) => {
                let text = |item: toml::Value| match item {
                    toml::Value::String(text) => text,
                    other => other.to_string(),
                };
                items.into_iter().map(text).collect::<Vec<_>>().join(",")
            }
            other => other.to_string(),
        };
        into.insert(key, SecretString::from(text));
    }
}

/// Variables that are not meant as settings: the test harness's own, and what Kubernetes sets in
/// every pod for a service whose name begins with `holdback`.
fn is_foreign(name: &str, value: &str) -> bool {
    let protocols = ["tcp", "udp", "sctp"];
    let of_a_service = name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.rsplit_once("_PORT_").is_some_and(|(_, rest)| {
            let protocol = rest
                .split('_')
                .nth(1)
                .unwrap_or_default()
                .to_ascii_lowercase();
            protocols.contains(&protocol.as_str())
        })
        || name.ends_with("_PORT")
            && value
                .split_once("://")
                .is_some_and(|(scheme, _)| protocols.contains(&scheme));
    name.starts_with("HOLDBACK_TEST_") || of_a_service
}

fn variable(key: &str) -> String {
    format!("HOLDBACK_{}", key.replace('.', "_").to_ascii_uppercase())
}

fn not_empty(text: &str) -> Result<String, String> {
    if text.is_empty() {
        Err("some text".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

fn unknown(name: &str, near: Option<String>) -> String {
    match near {
        Some(near) => format!("{name} is not a setting; did you mean {near}?"),
        None => format!("{name} is not a setting"),
    }
}

/// The name that was probably meant: at most a third of it typed wrongly.
fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = names.map(|name| (edits(wrong, name), name)).min()?;
    (near.0 * 3 <= wrong.len()).then_some(near.1)
}

/// How many letters must be put in, taken out or replaced (Levenshtein).
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}
