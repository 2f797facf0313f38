//! Access and refresh tokens: JWT (RFC 7519) signed with HS256, the only supported algorithm.
//!
//! An access token is valid until it expires and is verified without a database query. A refresh
//! token is valid once; the session's row has the hash of the current one.

mod hs256;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use hmac::{KeyInit, Mac};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::config::Secret;
use crate::error::{Error, Result};
use hs256::HmacSha256;

/// Lifetime of an access token.
pub const ACCESS_TOKEN_LIFETIME: TimeDelta = TimeDelta::minutes(15);
/// Lifetime of a refresh token.
pub const REFRESH_TOKEN_LIFETIME: TimeDelta = TimeDelta::days(30);

/// Role of an account.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Role {
    /// Access to the data of the account's customer.
    User,
    /// As `User`, and may change the catalogue.
    Editor,
    /// As `Editor`, for the data of all customers, with administrator rights. Account data (details,
    /// sessions, generation tasks) only its own.
    Admin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TokenType {
    Access,
    Refresh,
}

/// The account and the session that a token was issued to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    #[serde(rename = "sub")]
    pub account: Uuid,
    #[serde(rename = "sid")]
    pub session: Uuid,
    pub role: Role,
    /// Id of the account's customer.
    pub customer: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct JwtClaims {
    #[serde(flatten)]
    claims: Claims,
    #[serde(rename = "type")]
    token_type: TokenType,
    /// Unix seconds.
    iat: i64,
    /// Unix seconds; the token is invalid from then on.
    exp: i64,
    /// Random, so that two refresh tokens of the same second differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<Uuid>,
}

/// Issues and verifies tokens. Clones share the keys.
#[derive(Clone)]
pub struct Tokens(Arc<Keys>);

struct Keys {
    mac: HmacSha256,
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl Tokens {
    /// Creates an issuer that signs with `secret`.
    ///
    /// # Errors
    /// When the HMAC key cannot be created. The length was checked with the settings.
    pub fn new(secret: &Secret<String>) -> Result<Self> {
        // The provider is global to the process, so a second call fails, which is harmless.
        let _ = hs256::CRYPTO_PROVIDER.install_default();
        let secret = secret.0.as_bytes();
        let mut validation = Validation::new(Algorithm::HS256);
        // Checked in `verify`, with the time of `Clock`.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        Ok(Self(Arc::new(Keys {
            mac: HmacSha256::new_from_slice(secret).map_err(|e| Error::Internal(Box::new(e)))?,
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            validation,
        })))
    }

    /// Issues an access token, valid for [`ACCESS_TOKEN_LIFETIME`].
    ///
    /// # Errors
    /// When it cannot be signed, which is a bug.
    pub fn issue_access_token(&self, claims: &Claims, now: DateTime<Utc>) -> Result<String> {
        self.issue(TokenType::Access, claims, now, ACCESS_TOKEN_LIFETIME, None)
    }

    /// Issues a refresh token, valid for [`REFRESH_TOKEN_LIFETIME`] and unique.
    ///
    /// # Errors
    /// When it cannot be signed, which is a bug.
    pub fn issue_refresh_token(&self, claims: &Claims, now: DateTime<Utc>) -> Result<String> {
        self.issue(TokenType::Refresh, claims, now, REFRESH_TOKEN_LIFETIME, Some(Uuid::new_v4()))
    }

    fn issue(
        &self,
        token_type: TokenType,
        claims: &Claims,
        now: DateTime<Utc>,
        lifetime: TimeDelta,
        jti: Option<Uuid>,
    ) -> Result<String> {
        let exp = (now + lifetime).timestamp();
        let iat = now.timestamp();
        let claims = JwtClaims { claims: claims.clone(), token_type, iat, exp, jti };
        encode(&Header::new(Algorithm::HS256), &claims, &self.0.encoding)
            .map_err(|e| Error::Internal(Box::new(e)))
    }

    /// Verifies an access token and returns its claims.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] unless it is an access token of this service that is valid at
    /// `now`.
    pub fn verify_access_token(&self, token: &str, now: DateTime<Utc>) -> Result<Claims> {
        self.verify(TokenType::Access, token, now)
    }

    /// Verifies a refresh token and returns its claims, without checking whether it was used
    /// before.
    ///
    /// # Errors
    /// As [`Tokens::verify_access_token`].
    pub fn verify_refresh_token(&self, token: &str, now: DateTime<Utc>) -> Result<Claims> {
        self.verify(TokenType::Refresh, token, now)
    }

    fn verify(&self, token_type: TokenType, token: &str, now: DateTime<Utc>) -> Result<Claims> {
        let keys = &self.0;
        let claims = decode::<JwtClaims>(token, &keys.decoding, &keys.validation)
            .map_err(|_| self.refusal(token))?
            .claims;
        if claims.token_type != token_type {
            return Err(Error::Unauthenticated("the token has the wrong type"));
        }
        if claims.exp <= now.timestamp() {
            return Err(Error::Unauthenticated("the token has expired"));
        }
        Ok(claims.claims)
    }

    /// Returns why the claims of a token cannot be read. Only the holder of the secret learns more than that
    /// the token is invalid.
    fn refusal(&self, token: &str) -> Error {
        let keys = &self.0;
        match decode::<IgnoredAny>(token, &keys.decoding, &keys.validation) {
            Ok(_) => Error::Unauthenticated(
                "the token is signed with the secret of this service, but one of the claims sub (id of \
                 an account), sid (id of a session), role, customer, type, iat and exp is missing or \
                 invalid",
            ),
            Err(_) => {
                Error::Unauthenticated("the token is malformed or was not issued by this service")
            }
        }
    }

    /// Returns the HMAC-SHA-256 of `bytes` under the secret. Unlike a plain hash it does not allow
    /// guessing the input, for example a body that contains a password.
    pub fn hmac(&self, bytes: &[u8]) -> [u8; 32] {
        self.0.mac.clone().chain_update(bytes).finalize().into_bytes().into()
    }
}
