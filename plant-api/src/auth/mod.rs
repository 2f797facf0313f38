//! Accounts, logins and sessions.
//!
//! Registration creates a customer and its account. A login creates a session and
//! returns two tokens: the access token authenticates requests until it expires; the refresh token
//! is exchanged for the next two tokens. A refresh token is valid once. Its reuse
//! means that it was copied, so the session is revoked.

mod failed_logins;
pub(crate) mod login;
pub(crate) mod routes;
pub(crate) mod session;
pub(crate) mod sql;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::check::{Checks, MAX_NAME_CHARS};
use crate::clock::Clock;
use crate::customers::{self, CustomerId, NewCustomer};
use crate::error::{Error, OnConstraint, Result};
use crate::subscription::SubscriptionPlan;
use crate::token::Role;

pub use session::delete_expired;

const MIN_PASSWORD_CHARS: usize = 8;
const MAX_PASSWORD_CHARS: usize = 128;

/// An account.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct AccountView {
    /// Id of the account.
    pub id: Uuid,
    /// Email in lower case.
    #[schema(example = "asha@lotus.example")]
    pub email: String,
    /// Role of the account.
    pub role: Role,
    /// Whether the account may log in.
    pub is_active: bool,
    /// Whether the email is verified.
    pub is_verified: bool,
    /// Time of registration.
    pub created_at: DateTime<Utc>,
}

/// The account of the access token, with its customer and plan.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct AccountDetails {
    #[serde(flatten)]
    pub account: AccountView,
    /// Id of the account's customer, whose data it may access.
    pub customer_id: CustomerId,
    /// Subscription plan; `null` if none.
    pub plan: Option<SubscriptionPlan>,
}

/// An account with the columns that are not part of the API.
pub struct AccountRecord {
    pub account: AccountView,
    pub customer: CustomerId,
    pub password_hash: String,
}

impl AccountRecord {
    /// Checks that the account may log in.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when the account is inactive, or not verified although
    /// `require_verification` is set.
    pub fn check_may_log_in(&self, require_verification: bool) -> Result<()> {
        if !self.account.is_active {
            return Err(Error::Forbidden("this account is inactive"));
        }
        if require_verification && !self.account.is_verified {
            return Err(Error::Forbidden("the email of this account is not verified"));
        }
        Ok(())
    }
}

/// The columns of a session that a login or a refresh writes.
pub struct SessionRow {
    pub id: Uuid,
    pub account_id: Uuid,
    pub refresh_hash: [u8; 32],
    pub refreshed_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// Email and password.
#[derive(Clone, Deserialize, utoipa::ToSchema)]
pub struct Credentials {
    /// Email; not case-sensitive.
    #[schema(
        example = "loadtest_1@test.local",
        pattern = r"^[^@\s\x00-\x1f\x7f-\x9f]+@[^@\s\x00-\x1f\x7f-\x9f]+$",
        max_length = 200
    )]
    pub email: String,
    /// Password, 8 to 128 characters.
    #[schema(example = "load-test-password", min_length = 8, max_length = 128)]
    pub password: String,
}

/// Validated credentials of an account to be created.
pub struct NewAccount {
    /// Email, trimmed and in lower case.
    email: String,
    /// Password in plain text, to be hashed.
    pub password: String,
}

/// Returns an email as it is stored and compared: trimmed, in lower case.
fn normalize_email(email: &str) -> String {
    email.trim().to_lowercase()
}

impl NewAccount {
    /// Validates the credentials of a registration.
    ///
    /// # Errors
    /// [`Error::Validation`].
    pub fn check(credentials: Credentials) -> Result<Self> {
        let (email, password) = (normalize_email(&credentials.email), credentials.password);
        let mut checks = Checks::default();
        let forbidden = |c: char| c.is_control() || c.is_whitespace();
        let valid_email = email.split_once('@').is_some_and(|(local, host)| {
            !local.is_empty()
                && !host.is_empty()
                && !host.contains('@')
                && !email.contains(forbidden)
        });
        checks.require(valid_email, "email", "email", "must be an email such as name@example.com");
        checks.max_chars("email", &email, MAX_NAME_CHARS);
        let long_enough = password.chars().count() >= MIN_PASSWORD_CHARS;
        checks.require(long_enough, "password", "min-length", "must be at least 8 characters");
        checks.max_chars("password", &password, MAX_PASSWORD_CHARS);
        checks.into_result()?;
        Ok(Self { email, password })
    }
}

/// Creates an account and its customer. `connection` must have an open transaction.
///
/// # Errors
/// [`Error::Duplicate`] when an account with this email exists.
pub async fn register(
    connection: &mut PgConnection,
    clock: &Clock,
    new: NewAccount,
    password_hash: &str,
) -> Result<AccountView> {
    let name = new.email.split('@').next().unwrap_or_default().to_owned();
    let customer = NewCustomer { id: None, name, email: Some(new.email.clone()) };
    let customer = customers::create(&mut *connection, clock, customer).await?;
    let account = AccountView {
        id: clock.new_id(),
        email: new.email,
        role: Role::User,
        is_active: true,
        is_verified: false,
        created_at: clock.now(),
    };
    sql::insert(connection, &account, &customer.id, password_hash)
        .await
        .on_constraint("account_email_key", || {
            Error::Duplicate("an account with this email exists; log in".into())
        })?;
    Ok(account)
}
