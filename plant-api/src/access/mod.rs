//! Who asks.
//!
//! Every handler that touches a customer's things takes a [`Caller`] and hands
//! [`Caller::customer`] to its statements, whose `where` clause decides: somebody else's thing is
//! as good as not there. Where access is open a request without a token is anybody's, and may do
//! everything; one with a token is held to it. What belongs to an account takes an [`Account`],
//! which nobody is without a token.

#[cfg(test)]
mod tests;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use uuid::Uuid;

use crate::clock::Clock;
use crate::config::Access;
use crate::error::{Error, Result};
use crate::state::Gate;
use crate::token::{Holder, Role};

/// The one who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Anybody, where access is open.
    Anybody,
    /// Whoever runs the service: the bearer of `PLANT_ADMIN_KEY`.
    Operator,
    /// An account that has logged in.
    Account(Account),
}

/// An account that has logged in, by its access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: Uuid,
    /// The session that the token belongs to.
    pub session: Uuid,
    /// The customer that it belongs to.
    pub customer: String,
    /// What it may do.
    pub role: Role,
    /// Its id as text.
    name: String,
}

impl Caller {
    /// The customer whose things alone may be seen and changed; `None`: every customer's.
    pub fn customer(&self) -> Option<&str> {
        match self {
            Self::Anybody | Self::Operator => None,
            Self::Account(account) => account.owner(),
        }
    }

    /// Who it is, as amendments and records name the actor.
    pub fn actor(&self) -> &str {
        match self {
            Self::Anybody => "anonymous",
            Self::Operator => "operator",
            Self::Account(account) => account.actor(),
        }
    }

    /// That the caller may do what is nobody's own.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for an account that is not an administrator's.
    pub fn must_administer(&self) -> Result<()> {
        match self.customer() {
            None => Ok(()),
            Some(_) => Err(Error::Forbidden("only an administrator may do this")),
        }
    }
}

impl Account {
    /// The customer whose things alone may be seen and changed; `None`: every customer's.
    pub fn owner(&self) -> Option<&str> {
        match self.role {
            Role::User => Some(&self.customer),
            Role::Admin => None,
        }
    }

    /// Who it is, as records name the actor: its id.
    pub fn actor(&self) -> &str {
        &self.name
    }
}

impl From<Holder> for Account {
    fn from(holder: Holder) -> Self {
        Self {
            id: holder.account,
            session: holder.session,
            customer: holder.customer,
            role: holder.role,
            name: holder.account.to_string(),
        }
    }
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Gate: FromRef<S>,
    Clock: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let gate = Gate::from_ref(state);
        match bearer(&parts.headers)? {
            Some(key) if gate.opens_for(key) => Ok(Self::Operator),
            Some(token) => {
                let holder = gate.tokens.read_access(token, Clock::from_ref(state).now())?;
                Ok(Self::Account(holder.into()))
            }
            None if gate.access == Access::Open => Ok(Self::Anybody),
            None => Err(no_token()),
        }
    }
}

impl<S> FromRequestParts<S> for Account
where
    S: Send + Sync,
    Gate: FromRef<S>,
    Clock: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        match Caller::from_request_parts(parts, state).await? {
            Caller::Account(account) => Ok(account),
            Caller::Anybody => Err(no_token()),
            Caller::Operator => {
                Err(Error::Forbidden("the operator's key is no account; log in as one"))
            }
        }
    }
}

fn no_token() -> Error {
    Error::Unauthenticated("log in and send the access token as `Authorization: Bearer …`")
}

/// What follows `Bearer` in the Authorization header, if there is one.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        _ => Err(Error::Unauthenticated("the Authorization header must be `Bearer …`")),
    }
}
