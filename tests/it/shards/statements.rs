//! Whether a statement says which merchants it is about, as its text tells.
//!
//! Each place where a table of merchants' data stands must be tied to keys that are given: by equalities
//! of `merchant_id`, with a parameter, with what a list or another part of the statement gives, or
//! with a table that is tied. Known are names, brackets, UNION and OR, no more of SQL than that;
//! what can't be read counts as not tied.

use holdback::store::shards::{Spread, TABLES};

/// What follows a table where it has no other name.
const NOT_A_NAME: &str = " set where on join left right full inner cross natural order group for as \
     limit using returning union except intersect values select having offset lateral and do default ";

/// Words after which a table stands.
const BEFORE_A_TABLE: [&str; 5] = ["from", "join", "update", "using", "into"];

/// What stands where a table may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Must be tied.
    Merchants,
    /// Need not be, and ties nothing.
    Other,
    /// Likewise: what rows are put into. Its columns are named as those of no other.
    Target,
    /// Ties: a list of keys, or a part of the statement that is looked at itself.
    Given,
}

struct Relation {
    table: String,
    name: String,
    scope: usize,
    kind: Kind,
}

/// A word and the brackets (or the arm of a UNION) that it stands in.
struct Word {
    text: String,
    scope: usize,
}

struct Statement {
    words: Vec<Word>,
    /// Which scope each lies in; the first holds the whole statement and lies in itself.
    around: Vec<usize>,
    relations: Vec<Relation>,
    /// Which relation each is tied to; the one after the last stands for what is given.
    tied_to: Vec<usize>,
}

/// The tables of merchants' data, in the order of their places, that are not tied to given keys.
pub fn untied(sql: &str) -> Vec<String> {
    let mut statement = Statement::read(sql);
    let mut found = statement.find_relations();
    statement.tied_to = (0..=statement.relations.len()).collect();
    statement.tie();
    let given = statement.end_of(statement.relations.len());
    for (n, relation) in statement.relations.iter().enumerate() {
        if relation.kind == Kind::Merchants && statement.end_of(n) != given {
            found.push(relation.table.clone());
        }
    }
    found
}

/// Words, numbers and signs, in small letters, without comments; texts and quoted names are one sign.
fn words(sql: &str) -> Vec<String> {
    let part_of_a_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '$');
    let mut words = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' | '"' => rest[1..].find(first).map_or(rest.len(), |end| end + 2),
            _ if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            _ if part_of_a_word(first) => rest.find(|c| !part_of_a_word(c)).unwrap_or(rest.len()),
            '<' | '>' | '!' if rest[1..].starts_with(['=', '>']) => 2,
            _ => first.len_utf8(),
        };
        let (word, after) = rest.split_at(length);
        if first == '\'' || first == '"' {
            words.push(first.to_string());
        } else if !word.starts_with("--") && !first.is_whitespace() {
            words.push(word.to_lowercase());
        }
        rest = after;
    }
    words
}

/// The kind of a table by its name.
fn kind(table: &str) -> Kind {
    match TABLES.iter().find(|(name, _)| *name == table) {
        Some((_, Spread::ByMerchant)) => Kind::Merchants,
        Some(_) => Kind::Other,
        None => Kind::Given,
    }
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && !word.contains('.')
        && !NOT_A_NAME.contains(&format!(" {word} "))
}

impl Statement {
    fn read(sql: &str) -> Self {
        let mut around = vec![0, 0];
        let mut scope = 1;
        let mut read = Vec::new();
        for text in words(sql) {
            if text == ")" {
                scope = around[scope];
            }
            read.push(Word { scope, text });
            let last = read.last().map_or("", |word| word.text.as_str());
            let outer = match last {
                "(" => Some(scope),
                "union" | "except" | "intersect" => Some(around[scope]),
                _ => None,
            };
            if let Some(outer) = outer {
                around.push(outer);
                scope = around.len() - 1;
            }
        }
        Self {
            words: read,
            around,
            relations: Vec::new(),
            tied_to: Vec::new(),
        }
    }

    /// The word at a place; empty outside of the statement.
    fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", |word| word.text.as_str())
    }

    /// The word so many places before another.
    fn before(&self, at: usize, by: usize) -> &str {
        at.checked_sub(by).map_or("", |at| self.word(at))
    }

    /// Where the bracket that opens at a place is closed.
    fn closing(&self, at: usize) -> usize {
        let scope = self.words[at].scope;
        let after = self.words.iter().skip(at + 1);
        let inside = after.take_while(|word| word.text != ")" || word.scope != scope);
        at + 1 + inside.count()
    }

    /// Finds what stands where tables stand. Returns tables of merchants' data that rows are put
    /// into without their merchant, and those that stand where no table is expected.
    fn find_relations(&mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        for at in 0..self.words.len() {
            let table = self.word(at).to_owned();
            let expected = self.table_expected(at);
            let mut kind = kind(&table);
            if !is_name(&table) || (!expected && kind != Kind::Merchants) {
                continue;
            }
            if !expected {
                wrong.push(table);
                continue;
            }
            let mut next = at + 1;
            if kind == Kind::Given && self.word(next) == "(" {
                next = self.closing(next) + 1;
            }
            if self.word(next) == "as" {
                next += 1;
            }
            let named = is_name(self.word(next));
            let name = if named {
                self.word(next).to_owned()
            } else {
                table.clone()
            };
            if self.before(at, 1) == "into" {
                let columns = next + usize::from(named);
                if kind == Kind::Merchants && !self.lists_the_merchant(columns) {
                    wrong.push(table.clone());
                }
                kind = Kind::Target;
            }
            let scope = self.words[at].scope;
            self.relations.push(Relation {
                table,
                name,
                scope,
                kind,
            });
        }
        wrong
    }

    fn table_expected(&self, at: usize) -> bool {
        match self.before(at, 1) {
            // FOR UPDATE OF, DO UPDATE SET.
            "update" => !matches!(self.before(at, 2), "for" | "do"),
            "," => kind(self.word(at)) != Kind::Given && is_name(self.word(at + 1)),
            before => BEFORE_A_TABLE.contains(&before),
        }
    }

    fn lists_the_merchant(&self, at: usize) -> bool {
        self.word(at) == "("
            && self.words[at..self.closing(at)]
                .iter()
                .any(|word| word.text == "merchant_id")
    }

    /// Ties relations to each other and to what is given.
    fn tie(&mut self) {
        let given = self.relations.len();
        for n in 0..given {
            if self.relations[n].kind == Kind::Given {
                self.join(n, given);
            }
        }
        for at in 0..self.words.len() {
            let scope = self.words[at].scope;
            if self.word(at) == "using" && self.word(at + 2) == "merchant_id" {
                let beside: Vec<usize> = self.in_scope(scope).collect();
                for pair in beside.windows(2) {
                    self.join(pair[0], pair[1]);
                }
            }
            let or = |word: &Word| word.scope == scope && word.text == "or";
            if self.word(at) != "=" || at == 0 || self.words.iter().any(or) {
                continue;
            }
            self.tie_sides(at - 1, at + 1);
            self.tie_sides(at + 1, at - 1);
        }
    }

    /// Ties by an equality of the column at `side` with what begins at `other`.
    fn tie_sides(&mut self, side: usize, other: usize) {
        let Some(one) = self.column(side) else {
            return;
        };
        let value = self.word(other);
        let listed = value == "any" && self.word(other + 2).starts_with('$');
        let two = if value.starts_with(['$', '\'']) || listed {
            Some(self.relations.len())
        } else {
            self.column(other)
        };
        if let Some(two) = two {
            self.join(one, two);
        }
    }

    /// Whose `merchant_id` stands at a place, if one does.
    fn column(&self, at: usize) -> Option<usize> {
        let Word { text, scope } = self.words.get(at)?;
        if text == "merchant_id" {
            let read = |n: &usize| self.relations[*n].kind != Kind::Target;
            let mut here = self.in_scope(*scope).filter(read);
            return here.next().filter(|_| here.next().is_none());
        }
        let name = text.strip_suffix(".merchant_id")?;
        let mut scope = *scope;
        loop {
            let found = self
                .in_scope(scope)
                .find(|n| self.relations[*n].name == name);
            if found.is_some() {
                return found;
            }
            if self.around[scope] == scope {
                // The name of what stands in brackets.
                return Some(self.relations.len());
            }
            scope = self.around[scope];
        }
    }

    fn in_scope(&self, scope: usize) -> impl Iterator<Item = usize> {
        let all = self.relations.iter().enumerate();
        all.filter_map(move |(n, relation)| (relation.scope == scope).then_some(n))
    }

    fn end_of(&self, mut relation: usize) -> usize {
        while self.tied_to[relation] != relation {
            relation = self.tied_to[relation];
        }
        relation
    }

    fn join(&mut self, one: usize, two: usize) {
        let (one, two) = (self.end_of(one), self.end_of(two));
        self.tied_to[one] = two;
    }
}
