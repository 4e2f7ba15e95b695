//! How the rules' types stand in columns.

use jiff_sqlx::ToSqlx;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Type};

use super::StoreError;
use super::cases::OrderKey;
use crate::rules::fact::ContentHash;
use crate::rules::ids::{MerchantId, OrderId};
use crate::rules::money::{Amount, Currency};
use crate::rules::time::Instant;

impl Type<Postgres> for Instant {
    fn type_info() -> PgTypeInfo {
        <jiff_sqlx::Timestamp as Type<Postgres>>::type_info()
    }
}

impl PgHasArrayType for Instant {
    fn array_type_info() -> PgTypeInfo {
        <jiff_sqlx::Timestamp as PgHasArrayType>::array_type_info()
    }
}

impl Encode<'_, Postgres> for Instant {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <jiff_sqlx::Timestamp as Encode<'_, Postgres>>::encode(self.timestamp().to_sqlx(), buffer)
    }
}

impl<'r> Decode<'r, Postgres> for Instant {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let at = <jiff_sqlx::Timestamp as Decode<'r, Postgres>>::decode(value)?;
        Ok(Self::new(at.to_jiff()))
    }
}

/// A column's amount in its row's currency.
pub(super) fn amount(
    value: rust_decimal::Decimal,
    currency: Currency,
) -> Result<Amount, StoreError> {
    Amount::new(value, currency)
        .map_err(|error| StoreError::Unreadable(format!("the amount {value} {currency} ({error})")))
}

/// A column's currency.
pub(super) fn currency(code: &str) -> Result<Currency, StoreError> {
    Currency::from_code(code).ok_or_else(|| StoreError::Unreadable(format!("the currency {code}")))
}

/// A column's digest.
pub(super) fn content(bytes: &[u8]) -> Result<ContentHash, StoreError> {
    bytes
        .try_into()
        .map(ContentHash)
        .map_err(|_| StoreError::Unreadable(format!("a digest of {} bytes", bytes.len())))
}

/// Wraps a parse error of a stored id.
pub(super) fn unreadable(error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unreadable(error.to_string())
}

/// Two columns as an order's identity.
pub(super) fn order_key(merchant: &str, order: &str) -> Result<OrderKey, StoreError> {
    Ok((merchant_id(merchant)?, order_id(order)?))
}

/// A column as a merchant's id.
pub(super) fn merchant_id(text: &str) -> Result<MerchantId, StoreError> {
    MerchantId::parse(text).map_err(|error| unreadable(&error))
}

/// A column as an order's id.
pub(super) fn order_id(text: &str) -> Result<OrderId, StoreError> {
    OrderId::parse(text).map_err(|error| unreadable(&error))
}

/// One column of a set of rows, as UNNEST takes it.
pub(super) fn column<R, T>(rows: &[R], of: impl Fn(&R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}
