//! Customers, which hire agents. A customer id is a slug such as `test-customer-001`.

pub(crate) mod routes;
pub(crate) mod sql;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::check::{Checks, MAX_NAME_CHARS};
use crate::clock::Clock;
use crate::error::{Error, OnConstraint, Result};

const MAX_ID_CHARS: usize = 64;

/// A customer id: words of lower-case letters and digits, joined by hyphens.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(transparent)]
#[sqlx(transparent)]
#[schema(value_type = String, example = "test-customer-001")]
pub struct CustomerId(pub String);

impl CustomerId {
    fn is_slug(&self) -> bool {
        let is_word = |w: &str| {
            !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        self.0.len() <= MAX_ID_CHARS && self.0.split('-').all(is_word)
    }
}

/// A customer.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Customer {
    /// Id of the customer.
    pub id: CustomerId,
    /// Name of the customer.
    #[schema(example = "Lotus Tutors")]
    pub name: String,
    /// Contact email.
    pub email: Option<String>,
    /// Time of creation.
    pub created_at: DateTime<Utc>,
}

/// A customer to be created.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
pub struct NewCustomer {
    /// Unique id; generated if absent.
    #[schema(
        value_type = Option<String>,
        example = "lotus-tutors",
        pattern = "^[a-z0-9]+(-[a-z0-9]+)*$",
        max_length = 64
    )]
    pub id: Option<CustomerId>,
    /// Name of the customer.
    #[schema(example = "Lotus Tutors", min_length = 1, max_length = 200)]
    pub name: String,
    /// Contact email.
    #[schema(
        example = "office@lotus.example",
        pattern = r"^[^@\x00-\x1f\x7f-\x9f]+@[^\x00-\x1f\x7f-\x9f]+$",
        max_length = 200
    )]
    pub email: Option<String>,
}

impl NewCustomer {
    fn check(&self) -> Result<()> {
        let mut checks = Checks::default();
        checks.require(
            self.id.as_ref().is_none_or(CustomerId::is_slug),
            "id",
            "slug",
            "must be words of a-z and 0-9 joined by hyphens, at most 64 characters",
        );
        checks.name("name", &self.name);
        if let Some(email) = &self.email {
            let (local, host) = email.split_once('@').unwrap_or_default();
            let no_controls = !email.chars().any(char::is_control);
            let valid = !local.is_empty() && !host.is_empty() && no_controls;
            checks.require(valid, "email", "email", "must be an email such as name@example.com");
            checks.max_chars("email", email, MAX_NAME_CHARS);
        }
        checks.into_result()
    }
}

/// Validates and inserts a customer.
///
/// # Errors
/// [`Error::Validation`], or [`Error::Duplicate`] when the id is taken.
pub async fn create(
    connection: &mut PgConnection,
    clock: &Clock,
    new: NewCustomer,
) -> Result<Customer> {
    new.check()?;
    let customer = Customer {
        id: new.id.unwrap_or_else(|| CustomerId(clock.new_id().to_string())),
        name: new.name,
        email: new.email,
        created_at: clock.now(),
    };
    sql::insert(connection, &customer).await.on_constraint("customer_pkey", || {
        Error::Duplicate(format!("a customer with id `{}` exists", customer.id.0))
    })?;
    Ok(customer)
}
