//! Kinds of request failures, shared by clients, outcomes and SLA files.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::VariantArray;

/// Why a request failed.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
    VariantArray,
)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// An unexpected 4xx status.
    ClientError,
    /// An unexpected 5xx status.
    ServerError,
    /// Any other unexpected status.
    UnexpectedStatus,
    /// The expected status with an unexpected body.
    WrongShape,
    /// No complete response before the timeout.
    TimedOut,
    /// Connection refused, reset or closed.
    Connection,
}

impl FailureKind {
    /// All variants.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the name in SLA files and outcomes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ClientError => "client-error",
            Self::ServerError => "server-error",
            Self::UnexpectedStatus => "unexpected-status",
            Self::WrongShape => "wrong-shape",
            Self::TimedOut => "timed-out",
            Self::Connection => "connection",
        }
    }
}
