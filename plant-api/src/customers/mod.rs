//! Customers: who hires agents. A customer's id is a slug such as `test-customer-001`.

pub(crate) mod routes;
pub(crate) mod sql;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::check::{Checks, NAME_MAX};
use crate::clock::Clock;
use crate::error::{Error, OnConstraint, Result};

/// Longest id, in characters.
const ID_MAX: usize = 64;

/// A customer's id: lower-case letters and digits in words joined by hyphens.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema,
)]
#[serde(transparent)]
#[sqlx(transparent)]
#[schema(value_type = String, example = "test-customer-001")]
pub struct CustomerId(pub String);

impl CustomerId {
    fn is_slug(&self) -> bool {
        let word = |w: &str| {
            !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        self.0.len() <= ID_MAX && self.0.split('-').all(word)
    }
}

/// A customer.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Customer {
    /// Its id.
    pub id: CustomerId,
    /// Its name.
    #[schema(example = "Lotus Tutors")]
    pub name: String,
    /// Where to write to.
    pub email: Option<String>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
}

/// A customer to be created.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
pub struct NewCustomer {
    /// An id that no other customer has; made up if absent.
    #[schema(
        value_type = Option<String>,
        example = "lotus-tutors",
        pattern = "^[a-z0-9]+(-[a-z0-9]+)*$",
        max_length = 64
    )]
    pub id: Option<CustomerId>,
    /// Its name.
    #[schema(example = "Lotus Tutors", min_length = 1, max_length = 200)]
    pub name: String,
    /// Where to write to.
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
        checks.that(
            self.id.as_ref().is_none_or(CustomerId::is_slug),
            "id",
            "slug",
            "must be lower-case letters and digits in words joined by hyphens, at most 64",
        );
        checks.name("name", &self.name);
        if let Some(email) = &self.email {
            let (local, host) = email.split_once('@').unwrap_or_default();
            let plain = !email.chars().any(char::is_control);
            let plausible = !local.is_empty() && !host.is_empty() && plain;
            checks.that(plausible, "email", "email", "must be an address like name@example.com");
            checks.at_most("email", email, NAME_MAX);
        }
        checks.done()
    }
}

/// Creates a customer.
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
        Error::Duplicate(format!("there is already a customer `{}`", customer.id.0))
    })?;
    Ok(customer)
}
