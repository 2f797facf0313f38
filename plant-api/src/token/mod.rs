//! Tokens: JWT (RFC 7519) signed with HS256, which is the only algorithm there is.
//!
//! An access token says who asks and is believed until it expires, without a look at the
//! database. A refresh token is good for one use, which the session's row tells.

mod hs256;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use hmac::{KeyInit, Mac};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::config::Secret;
use crate::error::{Error, Result};
use hs256::HmacSha256;

/// How long an access token is good for.
pub const ACCESS_LIFETIME: TimeDelta = TimeDelta::minutes(15);
/// How long a refresh token is good for.
pub const REFRESH_LIFETIME: TimeDelta = TimeDelta::days(30);

/// What an account may do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Role {
    /// What is its customer's.
    User,
    /// Everything.
    Admin,
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Access,
    Refresh,
}

/// Whom a token was issued to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The account.
    #[serde(rename = "sub")]
    pub account: Uuid,
    /// The session.
    #[serde(rename = "sid")]
    pub session: Uuid,
    /// What the account may do.
    pub role: Role,
    /// The customer that the account belongs to.
    pub customer: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    #[serde(flatten)]
    holder: Holder,
    #[serde(rename = "type")]
    kind: Kind,
    /// Unix seconds.
    iat: i64,
    /// Unix seconds; from then on the token is refused.
    exp: i64,
    /// Makes two refresh tokens of one second differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<Uuid>,
}

/// Issues and reads tokens. Clones share the keys.
#[derive(Clone)]
pub struct Tokens(Arc<Keys>);

struct Keys {
    mac: HmacSha256,
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl Tokens {
    /// Tokens signed with `secret`.
    ///
    /// # Errors
    /// When there is no key to be made of the secret; any bytes will do.
    pub fn new(secret: &Secret<String>) -> Result<Self> {
        // The library keeps one for the process; that it has it already is all right.
        let _ = hs256::PROVIDER.install_default();
        let secret = secret.0.as_bytes();
        let mut validation = Validation::new(Algorithm::HS256);
        // Looked at here, by the clock that the rest of the program goes by.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        Ok(Self(Arc::new(Keys {
            mac: HmacSha256::new_from_slice(secret).map_err(|e| Error::Internal(Box::new(e)))?,
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            validation,
        })))
    }

    /// An access token, good for [`ACCESS_LIFETIME`].
    ///
    /// # Errors
    /// When it cannot be signed, which is a bug.
    pub fn issue_access(&self, holder: &Holder, now: DateTime<Utc>) -> Result<String> {
        self.issue(Kind::Access, holder, now, ACCESS_LIFETIME, None)
    }

    /// A refresh token, good for [`REFRESH_LIFETIME`] and unlike any other.
    ///
    /// # Errors
    /// When it cannot be signed, which is a bug.
    pub fn issue_refresh(&self, holder: &Holder, now: DateTime<Utc>) -> Result<String> {
        self.issue(Kind::Refresh, holder, now, REFRESH_LIFETIME, Some(Uuid::new_v4()))
    }

    fn issue(
        &self,
        kind: Kind,
        holder: &Holder,
        now: DateTime<Utc>,
        lifetime: TimeDelta,
        jti: Option<Uuid>,
    ) -> Result<String> {
        let exp = (now + lifetime).timestamp();
        let claims = Claims { holder: holder.clone(), kind, iat: now.timestamp(), exp, jti };
        encode(&Header::new(Algorithm::HS256), &claims, &self.0.encoding)
            .map_err(|e| Error::Internal(Box::new(e)))
    }

    /// Whom an access token was issued to.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] for anything but an access token of this service that is good
    /// at `now`.
    pub fn read_access(&self, token: &str, now: DateTime<Utc>) -> Result<Holder> {
        self.read(Kind::Access, token, now)
    }

    /// Whom a refresh token was issued to. Whether it was used before is for the session to say.
    ///
    /// # Errors
    /// As [`Tokens::read_access`].
    pub fn read_refresh(&self, token: &str, now: DateTime<Utc>) -> Result<Holder> {
        self.read(Kind::Refresh, token, now)
    }

    fn read(&self, kind: Kind, token: &str, now: DateTime<Utc>) -> Result<Holder> {
        let keys = &self.0;
        let claims = decode::<Claims>(token, &keys.decoding, &keys.validation)
            .map_err(|_| Error::Unauthenticated("the token is not one of this service"))?
            .claims;
        if claims.kind != kind {
            return Err(Error::Unauthenticated("the token is of the wrong type"));
        }
        if claims.exp <= now.timestamp() {
            return Err(Error::Unauthenticated("the token has expired"));
        }
        Ok(claims.holder)
    }

    /// A fingerprint of `bytes` that nobody can make or check without the secret: for what must
    /// be recognised but not guessed, such as a body that holds a password.
    pub fn fingerprint(&self, bytes: &[u8]) -> [u8; 32] {
        self.0.mac.clone().chain_update(bytes).finalize().into_bytes().into()
    }
}
