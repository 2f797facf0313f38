//! Who asks.
//!
//! Every handler that touches a customer's things takes a [`Caller`] and hands
//! [`Caller::customer`] to its statements, whose `where` clause decides. Until accounts exist
//! everybody may do everything.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

/// The one who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Anybody, where access is open.
    Anybody,
}

impl Caller {
    /// The customer whose things alone may be seen and changed; `None`: every customer's.
    pub fn customer(&self) -> Option<&str> {
        match self {
            Self::Anybody => None,
        }
    }

    /// Who it is, as amendments and records name the actor.
    pub fn actor(&self) -> &'static str {
        match self {
            Self::Anybody => "anonymous",
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::Anybody)
    }
}
