//! Accounts: who may log in.
//!
//! Registering makes a customer and the account that belongs to it. Logging in ([`login`]) begins
//! a session and answers two tokens: with the access token an account asks for everything else
//! until it expires, with the refresh token it gets the next two ([`session`]). A refresh token is
//! good once; when it comes again somebody has a copy of it, so the session ends.

pub(crate) mod login;
pub(crate) mod routes;
pub(crate) mod session;
pub(crate) mod sql;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::check::{Checks, NAME_MAX};
use crate::clock::Clock;
use crate::customers::{self, CustomerId, NewCustomer};
use crate::error::{Error, OnConstraint, Result};
use crate::token::Role;

pub use session::sweep;

const PASSWORD_MIN: usize = 8;
const PASSWORD_MAX: usize = 128;

/// An account as others may see it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct User {
    /// Its id.
    pub id: Uuid,
    /// Its address, lower-cased.
    #[schema(example = "asha@lotus.example")]
    pub email: String,
    /// What it may do.
    pub role: Role,
    /// Whether it may log in.
    pub is_active: bool,
    /// Whether its address is known to be its own.
    pub is_verified: bool,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
}

/// What an account has paid for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Plan {
    /// The smallest.
    Starter,
    /// The one between.
    Pro,
    /// The largest.
    Enterprise,
}

/// An account as it sees itself.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Me {
    #[serde(flatten)]
    #[expect(missing_docs, reason = "its fields are described, they stand in its place")]
    pub user: User,
    /// The customer that the account belongs to, whose things it may see and change.
    pub customer_id: CustomerId,
    /// What it has paid for; nothing yet if absent.
    pub plan: Option<Plan>,
}

/// An address and a password.
#[derive(Clone, Deserialize, utoipa::ToSchema)]
pub struct Credentials {
    /// The address; upper and lower case are the same.
    #[schema(
        example = "asha@lotus.example",
        pattern = r"^[^@\s\x00-\x1f\x7f-\x9f]+@[^@\s\x00-\x1f\x7f-\x9f]+$",
        max_length = 200
    )]
    pub email: String,
    /// The password.
    #[schema(example = "eleven green apples", min_length = 8, max_length = 128)]
    pub password: String,
}

/// Credentials that an account can be made of.
pub struct NewAccount {
    /// The address, trimmed and lower-cased.
    email: String,
    /// The password, to be hashed.
    pub password: String,
}

/// An address as it is kept and compared.
fn normal(email: &str) -> String {
    email.trim().to_lowercase()
}

impl NewAccount {
    /// Checks what somebody wants to register with.
    ///
    /// # Errors
    /// [`Error::Validation`].
    pub fn check(wanted: Credentials) -> Result<Self> {
        let (email, password) = (normal(&wanted.email), wanted.password);
        let mut checks = Checks::default();
        let odd = |c: char| c.is_control() || c.is_whitespace();
        let plausible = email.split_once('@').is_some_and(|(local, host)| {
            !local.is_empty() && !host.is_empty() && !host.contains('@') && !email.contains(odd)
        });
        checks.that(plausible, "email", "email", "must be an address like name@example.com");
        checks.at_most("email", &email, NAME_MAX);
        let long = password.chars().count() >= PASSWORD_MIN;
        checks.that(long, "password", "min-length", "must be at least 8 characters");
        checks.at_most("password", &password, PASSWORD_MAX);
        checks.done()?;
        Ok(Self { email, password })
    }
}

/// Makes an account and the customer that it belongs to.
///
/// # Errors
/// [`Error::Duplicate`] when the address has an account.
pub async fn register(
    connection: &mut PgConnection,
    clock: &Clock,
    new: NewAccount,
    password_hash: &str,
) -> Result<User> {
    let mut tx = connection.begin().await?;
    let name = new.email.split('@').next().unwrap_or_default().to_owned();
    let customer = NewCustomer { id: None, name, email: Some(new.email.clone()) };
    let customer = customers::create(&mut tx, clock, customer).await?;
    let user = User {
        id: clock.new_id(),
        email: new.email,
        role: Role::User,
        is_active: true,
        is_verified: false,
        created_at: clock.now(),
    };
    sql::insert(&mut *tx, &user, &customer.id, password_hash)
        .await
        .on_constraint("account_email_key", || {
            Error::Duplicate("there is already an account with this address; log in".into())
        })?;
    tx.commit().await?;
    Ok(user)
}
