//! Pauses: a person keeps releases from happening, of all, of a currency or of a merchant. The
//! first test of a release: while one is in force nothing goes, for whatever reason.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use super::ids::MerchantId;
use super::money::Currency;
use super::time::Instant;

/// Whose releases a pause keeps.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    All,
    Currency(Currency),
    Merchant(MerchantId),
}

/// One pause in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    pub scope: Scope,
    pub actor: String,
    pub reason: String,
    pub since: Instant,
}

/// Every pause in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pauses(BTreeMap<Scope, Pause>);

impl Pauses {
    /// The pause that keeps the releases of this merchant in this currency: the widest.
    #[must_use]
    pub fn over(&self, merchant: &MerchantId, currency: Currency) -> Option<&Pause> {
        if self.0.is_empty() {
            return None;
        }
        self.0
            .get(&Scope::All)
            .or_else(|| self.0.get(&Scope::Currency(currency)))
            .or_else(|| self.0.get(&Scope::Merchant(merchant.clone())))
    }

    /// Every pause, the widest first.
    pub fn iter(&self) -> impl Iterator<Item = &Pause> {
        self.0.values()
    }
}

impl FromIterator<Pause> for Pauses {
    fn from_iter<I: IntoIterator<Item = Pause>>(pauses: I) -> Self {
        let by_scope = pauses.into_iter().map(|it| (it.scope.clone(), it));
        Self(by_scope.collect())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all releases"),
            Self::Currency(currency) => write!(f, "releases in {currency}"),
            Self::Merchant(merchant) => write!(f, "releases of merchant {merchant}"),
        }
    }
}

impl Serialize for Pause {
    /// As the sentence that [`fmt::Display`] makes.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scope,
            actor,
            reason,
            since,
        } = self;
        write!(f, "{scope} paused since {since} by {actor}: {reason}")
    }
}
