//! Accounts that load tests log in with: `loadtest_1@test.local` belongs to `test-customer-001`,
//! and so on. All have the same password, which everybody may know (`seeds/people.toml`), so all
//! have the same hash as well: its salt follows from the seed, which makes the rows the same
//! everywhere, and one hash takes the place of one for each. Nothing is lost by it, since a salt
//! keeps secret passwords from being guessed together, and this one is no secret.

pub mod sql;

use std::ops::Range;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use super::catalogue::Catalogue;
use super::draw::Series;
use super::hires::customer_id;
use super::planted::Planted;
use crate::auth::Plan;
use crate::error::Result;
use crate::passwords::argon2id;

const PLANS: [Plan; 3] = [Plan::Starter, Plan::Pro, Plan::Enterprise];

/// An account about to be planted.
pub struct Account {
    pub id: Uuid,
    pub customer_id: String,
    pub email: String,
    pub plan: Plan,
    pub created_at: DateTime<Utc>,
}

impl Account {
    fn new(catalogue: &Catalogue<'_>, index: usize) -> Self {
        Self {
            id: catalogue.id(Series::Account, index),
            customer_id: customer_id(index),
            email: format!("loadtest_{}@test.local", index + 1),
            plan: PLANS[index % PLANS.len()],
            created_at: Series::Account.time(index),
        }
    }
}

/// The hash of the password that all accounts have.
pub fn password_hash(catalogue: &Catalogue<'_>) -> Result<String> {
    let salt = Sha256::digest(format!("plant/seed/v1/salt/{}", catalogue.plan.seed));
    argon2id::hash_with_salt(&catalogue.names.people.load_test_password, &salt[..16])
}

/// Plants the accounts of `range`, whose customers are there.
pub async fn plant(
    db: &mut PgConnection,
    catalogue: &Catalogue<'_>,
    range: Range<usize>,
    password_hash: &str,
    planted: &mut Planted,
) -> sqlx::Result<()> {
    let rows: Vec<_> = range.map(|index| Account::new(catalogue, index)).collect();
    planted.accounts += sql::insert(db, &rows, password_hash).await?;
    Ok(())
}

/// Which addresses of `range` somebody else has an account with.
pub async fn taken(
    db: &mut PgConnection,
    catalogue: &Catalogue<'_>,
    range: Range<usize>,
) -> sqlx::Result<Vec<String>> {
    let rows: Vec<_> = range.map(|index| Account::new(catalogue, index)).collect();
    let taken = sql::taken(db, &rows).await?;
    Ok(taken.into_iter().map(|email| format!("account `{email}`")).collect())
}
