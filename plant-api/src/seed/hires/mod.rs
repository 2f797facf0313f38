//! Customers, their hired agents, goals and deliverables. Each row is computed from its index.

mod rows;
mod sql;

use std::ops::Range;

use sqlx::PgConnection;

use super::catalogue::Catalogue;
use super::summary::Seeded;
pub use rows::customer_id;
use rows::{Customer, HireRows};
#[cfg(test)]
pub use rows::{MAX_DELIVERABLES_PER_GOAL, MAX_GOALS_PER_HIRE};

/// Inserts the customers of `range` with their hired agents, goals, deliverables and reviews.
pub async fn seed_customers(
    db: &mut PgConnection,
    catalogue: &Catalogue<'_>,
    range: Range<usize>,
    seeded: &mut Seeded,
) -> sqlx::Result<()> {
    let customers: Vec<_> =
        range.clone().map(|index| Customer::new(catalogue.files, index)).collect();
    let mut rows = HireRows::default();
    for customer in range {
        rows.add_customer(catalogue, customer);
    }
    seeded.customers += sql::insert_customers(db, &customers).await?;
    seeded.hired_agents += sql::insert_hires(db, &rows.hires).await?;
    seeded.goals += sql::insert_goals(db, &rows.goals).await?;
    seeded.deliverables += sql::insert_deliverables(db, &rows.deliverables).await?;
    sql::insert_reviews(db, &rows.reviews).await
}

/// Returns the customers of `range` whose ids rows of another origin already use.
pub async fn find_taken_customers(
    db: &mut PgConnection,
    catalogue: &Catalogue<'_>,
    range: Range<usize>,
) -> sqlx::Result<Vec<String>> {
    let customers: Vec<_> = range.map(|index| Customer::new(catalogue.files, index)).collect();
    let taken = sql::find_taken_customers(db, &customers).await?;
    Ok(taken.into_iter().map(|id| format!("customer `{id}`")).collect())
}
