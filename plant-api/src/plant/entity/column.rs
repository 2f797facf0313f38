//! Decoding of columns that may have been altered. A value that the service cannot have stored, such
//! as an unknown status or an infinite time, must not fail the statement that reads it: an audit
//! reads many entities with one statement, and reports the altered one.

use chrono::{DateTime, Utc};
use memchr::memmem;
use serde_json::Value;
use sqlx::Decode;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgValueRef, Postgres};

/// The value of a column that is never null; `None` if it is null or cannot be decoded.
#[derive(Debug)]
pub struct Column<T>(pub Option<T>);

impl<T> Column<T> {
    /// Returns the value. If there is none, adds the column's `name` to `unreadable`.
    pub fn read(self, name: &'static str, unreadable: &mut Vec<&'static str>) -> Option<T> {
        if self.0.is_none() {
            unreadable.push(name);
        }
        self.0
    }
}

impl<'r, T: Decode<'r, Postgres>> Decode<'r, Postgres> for Column<T> {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self(T::decode(value).ok()))
    }
}

/// A time. `DateTime` itself panics when it decodes `infinity`, or a year beyond its range.
#[derive(Debug)]
pub struct Timestamp(pub DateTime<Utc>);

/// From 1970-01-01, the epoch of Unix, to 2000-01-01, that of PostgreSQL.
const POSTGRES_EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;

impl<'r> Decode<'r, Postgres> for Timestamp {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let since_postgres_epoch = <i64 as Decode<Postgres>>::decode(value)?;
        let time = since_postgres_epoch
            .checked_add(POSTGRES_EPOCH_MICROSECONDS)
            .and_then(DateTime::from_timestamp_micros);
        time.map(Self).ok_or_else(|| "the time is out of range".into())
    }
}

/// JSON of a `jsonb` column.
#[derive(Debug)]
pub struct StoredJson(pub Value);

/// A member with this name, which requests cannot contain. `serde_json` replaces an object that has
/// it by the JSON in its value, so that the object would be decoded as another one.
const REPLACED_MEMBER: &[u8] = b"\"$serde_json::private::RawValue\":";

impl<'r> Decode<'r, Postgres> for StoredJson {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        if memmem::find(value.as_bytes()?, REPLACED_MEMBER).is_some() {
            return Err("the JSON has a reserved member".into());
        }
        <Value as Decode<Postgres>>::decode(value).map(Self)
    }
}
