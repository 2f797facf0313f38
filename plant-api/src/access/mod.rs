//! Authentication of the caller, and the customer whose data it may access.
//!
//! Handlers of customer data extract a [`Caller`] and pass [`Caller::customer_filter`] to their
//! statements, which filter by it: another customer's row is treated as not found. With access mode
//! `open`, no caller is restricted; a token only says whose account it is. Handlers of account data
//! extract an [`AuthenticatedAccount`], which requires an access token in every mode; handlers that
//! change what all customers share extract a [`CatalogueEditor`] or an [`Administrator`].

#[cfg(test)]
mod tests;

use std::marker::PhantomData;
use std::ops::Deref;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use uuid::Uuid;

use crate::clock::Clock;
use crate::config::AccessMode;
use crate::error::{Error, Result};
use crate::state::AccessPolicy;
use crate::token::{Claims, Role};

/// Header with the admin key, which may also be sent as a bearer token.
const ADMIN_KEY_HEADER: &str = "x-admin-key";

/// The sender of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// No token was sent. Occurs with access mode `open` only, which restricts no caller; with
    /// `required`, the extractor refuses such requests.
    Anonymous,
    /// The admin key (`PLANT_ADMIN_KEY`) was sent.
    AdminKey,
    /// An access token was sent.
    Account(AuthenticatedAccount),
}

/// The account of a valid access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticatedAccount {
    pub id: Uuid,
    /// Id of the token's session.
    pub session: Uuid,
    /// Id of the account's customer.
    pub customer: String,
    pub role: Role,
    /// With access mode `open`, an account has the rights of an anonymous caller.
    access_mode: AccessMode,
    /// `id` as text, for [`AuthenticatedAccount::actor`].
    id_text: String,
}

impl Caller {
    /// Returns the only customer whose data may be accessed; `None` if there is no restriction.
    pub fn customer_filter(&self) -> Option<&str> {
        match self {
            Self::Anonymous | Self::AdminKey => None,
            Self::Account(account) => account.customer_filter(),
        }
    }

    /// Returns the key of a cached response to callers with the same [`Caller::customer_filter`].
    pub fn cache_key(&self, key: &str) -> String {
        format!("{:?} {key}", self.customer_filter())
    }

    /// Returns the text that identifies the caller in amendments: an account's id, `operator` for
    /// the admin key, or `anonymous`. Idempotency keys are separate for each of them.
    pub fn actor(&self) -> &str {
        match self {
            Self::Anonymous => "anonymous",
            Self::AdminKey => "operator",
            Self::Account(account) => account.actor(),
        }
    }
}

/// Rights that a handler requires of its caller.
pub trait Rights {
    /// `detail` of the 403 response to other callers.
    const FORBIDDEN_DETAIL: &'static str;

    /// Returns whether `caller` has the rights.
    fn includes(caller: &Caller) -> bool;
}

/// Rights of an administrator. Callers that have them: the holder of the admin key, accounts with the
/// role `admin`, and with access mode `open` everybody.
#[derive(Debug)]
pub enum Administration {}

impl Rights for Administration {
    const FORBIDDEN_DETAIL: &'static str = "administrator rights are required";

    fn includes(caller: &Caller) -> bool {
        caller.customer_filter().is_none()
    }
}

/// The right to change the catalogue: of administrators and of accounts with the role `editor`.
#[derive(Debug)]
pub enum CatalogueEditing {}

impl Rights for CatalogueEditing {
    const FORBIDDEN_DETAIL: &'static str = "the role `editor` or administrator rights are required";

    fn includes(caller: &Caller) -> bool {
        let is_editor = matches!(caller, Caller::Account(account) if account.role == Role::Editor);
        is_editor || Administration::includes(caller)
    }
}

/// A caller that has certain rights.
#[derive(Debug)]
pub struct CallerWith<R> {
    caller: Caller,
    rights: PhantomData<R>,
}

pub type Administrator = CallerWith<Administration>;
pub type CatalogueEditor = CallerWith<CatalogueEditing>;

impl<R> Deref for CallerWith<R> {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl AuthenticatedAccount {
    /// Returns the account of a token's claims.
    pub fn new(claims: Claims, access_mode: AccessMode) -> Self {
        Self {
            id: claims.account,
            session: claims.session,
            customer: claims.customer,
            role: claims.role,
            access_mode,
            id_text: claims.account.to_string(),
        }
    }

    /// Returns the only customer whose data may be accessed; `None` if there is no restriction.
    pub fn customer_filter(&self) -> Option<&str> {
        match (self.access_mode, self.role) {
            (AccessMode::Required, Role::User | Role::Editor) => Some(&self.customer),
            (AccessMode::Open, _) | (_, Role::Admin) => None,
        }
    }

    /// Returns the text that identifies the account in amendments and for idempotency keys: its id.
    pub fn actor(&self) -> &str {
        &self.id_text
    }
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    AccessPolicy: FromRef<S>,
    Clock: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let policy = AccessPolicy::from_ref(state);
        if let Some(key) = parts.headers.get(ADMIN_KEY_HEADER) {
            return match key.to_str() {
                Ok(key) if policy.is_admin_key(key) => Ok(Self::AdminKey),
                _ => Err(Error::Unauthenticated("the X-Admin-Key is not the admin key")),
            };
        }
        match bearer_token(&parts.headers)? {
            Some(key) if policy.is_admin_key(key) => Ok(Self::AdminKey),
            Some(token) => {
                let claims =
                    policy.tokens.verify_access_token(token, Clock::from_ref(state).now())?;
                Ok(Self::Account(AuthenticatedAccount::new(claims, policy.access_mode)))
            }
            None if policy.access_mode == AccessMode::Open => Ok(Self::Anonymous),
            None => Err(missing_token()),
        }
    }
}

impl<S> FromRequestParts<S> for AuthenticatedAccount
where
    S: Send + Sync,
    AccessPolicy: FromRef<S>,
    Clock: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        match Caller::from_request_parts(parts, state).await? {
            Caller::Account(account) => Ok(account),
            Caller::Anonymous => Err(missing_token()),
            Caller::AdminKey => {
                Err(Error::Forbidden("the admin key has no account; send an access token"))
            }
        }
    }
}

impl<S, R> FromRequestParts<S> for CallerWith<R>
where
    S: Send + Sync,
    R: Rights,
    AccessPolicy: FromRef<S>,
    Clock: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let caller = Caller::from_request_parts(parts, state).await?;
        if !R::includes(&caller) {
            return Err(Error::Forbidden(R::FORBIDDEN_DETAIL));
        }
        Ok(Self { caller, rights: PhantomData })
    }
}

fn missing_token() -> Error {
    Error::Unauthenticated("log in and send the access token as `Authorization: Bearer <token>`")
}

/// Returns the token of the `Authorization: Bearer` header; `None` without the header.
fn bearer_token(headers: &HeaderMap) -> Result<Option<&str>> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        _ => Err(Error::Unauthenticated("the Authorization header must be `Bearer <token>`")),
    }
}
