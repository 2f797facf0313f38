//! Accounts for load tests: `loadtest_1@test.local` belongs to `test-customer-001`, and so on.
//!
//! All accounts share one public password (`seeds/people.toml`) and one hash, whose salt is derived
//! from the seed: the rows are reproducible, and the password is hashed once instead of once per
//! account. Distinct salts would protect nothing, because the password is not secret.

pub mod sql;

use std::ops::Range;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use super::catalogue::Catalogue;
use super::hires::customer_id;
use super::random::RowKind;
use super::summary::Seeded;
use crate::error::Result;
use crate::passwords::argon2id;
use crate::subscription::SubscriptionPlan;

const PLANS: [SubscriptionPlan; 3] =
    [SubscriptionPlan::Starter, SubscriptionPlan::Pro, SubscriptionPlan::Enterprise];

/// An `account` row to insert.
pub struct Account {
    pub id: Uuid,
    pub customer_id: String,
    pub email: String,
    pub plan: SubscriptionPlan,
    pub created_at: DateTime<Utc>,
}

impl Account {
    fn new(catalogue: &Catalogue<'_>, index: usize) -> Self {
        Self {
            id: catalogue.id(RowKind::Account, index),
            customer_id: customer_id(index),
            email: format!("loadtest_{}@test.local", index + 1),
            plan: PLANS[index % PLANS.len()],
            created_at: RowKind::Account.created_at(index),
        }
    }
}

/// Returns the hash of the password that all seeded accounts share.
pub fn password_hash(catalogue: &Catalogue<'_>) -> Result<String> {
    let salt = Sha256::digest(format!("plant/seed/v1/salt/{}", catalogue.spec.seed));
    argon2id::hash_with_salt(&catalogue.files.people.load_test_password, &salt[..16])
}

/// Inserts the accounts of `range`. Their customers must exist.
pub async fn seed_accounts(
    db: &mut PgConnection,
    catalogue: &Catalogue<'_>,
    range: Range<usize>,
    password_hash: &str,
    seeded: &mut Seeded,
) -> sqlx::Result<()> {
    let rows: Vec<_> = range.map(|index| Account::new(catalogue, index)).collect();
    seeded.accounts += sql::insert(db, &rows, password_hash).await?;
    Ok(())
}

/// Returns the emails of `range` that other accounts already use.
pub async fn find_taken_emails(
    db: &mut PgConnection,
    catalogue: &Catalogue<'_>,
    range: Range<usize>,
) -> sqlx::Result<Vec<String>> {
    let rows: Vec<_> = range.map(|index| Account::new(catalogue, index)).collect();
    let taken = sql::find_taken_emails(db, &rows).await?;
    Ok(taken.into_iter().map(|email| format!("account `{email}`")).collect())
}
