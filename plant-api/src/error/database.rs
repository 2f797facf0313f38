//! Database errors: outages, bugs, and violated constraints.

use sqlx::migrate::MigrateError;

use super::{Cause, Error, Result};

/// Codes (SQLSTATE), or classes of codes, of errors that a later attempt may not meet.
const OUTAGE_CODES: [&str; 9] = [
    "08",    // connection exceptions
    "53",    // insufficient resources, such as too many connections
    "57",    // operator intervention, such as a shutdown or a statement timeout
    "25006", // read-only after a failover
    "25P03", // idle-in-transaction timeout
    "25P04", // transaction timeout
    "40001", // serialization failure
    "40P01", // deadlock
    "55P03", // lock timeout
];

impl From<sqlx::Error> for Error {
    /// Decides whether a database error is an outage, [`Error::TransientDatabase`], or a bug,
    /// [`Error::Internal`].
    fn from(source: sqlx::Error) -> Self {
        let is_outage = match &source {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => true,
            sqlx::Error::Database(error) => error
                .code()
                .is_some_and(|code| OUTAGE_CODES.iter().any(|prefix| code.starts_with(prefix))),
            _ => false,
        };
        if is_outage { Self::TransientDatabase(source) } else { Self::Internal(source.into()) }
    }
}

impl From<MigrateError> for Error {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => {
                source.into()
            }
            other => Self::Internal(other.into()),
        }
    }
}

/// Maps the violation of a database constraint to an [`Error`].
pub trait OnConstraint<T> {
    /// Returns `error()` if the named constraint was violated.
    ///
    /// # Errors
    /// `error()` for that constraint, any other error unchanged.
    fn on_constraint(self, constraint: &str, error: impl FnOnce() -> Error) -> Result<T>;
}

impl<T, E: Into<Error>> OnConstraint<T> for std::result::Result<T, E> {
    fn on_constraint(self, constraint: &str, error: impl FnOnce() -> Error) -> Result<T> {
        self.map_err(|e| match e.into() {
            Error::Internal(cause) if violated_constraint(&cause) == Some(constraint) => error(),
            other => other,
        })
    }
}

fn violated_constraint(cause: &Cause) -> Option<&str> {
    cause.downcast_ref::<sqlx::Error>()?.as_database_error()?.constraint()
}
