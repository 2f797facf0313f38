//! The hire side: customers, the agents they have hired, goals and deliverables, each a function
//! of its index.

mod rows;
mod sql;

use std::ops::Range;

use sqlx::PgConnection;

use super::catalogue::Catalogue;
use super::planted::Planted;
pub use rows::customer_id;
use rows::{Customer, Work};
#[cfg(test)]
pub use rows::{DELIVERABLES_MAX, GOALS_MAX};

/// Plants the customers of `range` with everything that is theirs.
pub async fn plant(
    db: &mut PgConnection,
    catalogue: &Catalogue<'_>,
    range: Range<usize>,
    planted: &mut Planted,
) -> sqlx::Result<()> {
    let customers: Vec<_> =
        range.clone().map(|index| Customer::new(catalogue.names, index)).collect();
    let mut work = Work::default();
    for customer in range {
        work.add_customer(catalogue, customer);
    }
    planted.customers += sql::insert_customers(db, &customers).await?;
    planted.hired_agents += sql::insert_hires(db, &work.hires).await?;
    planted.goals += sql::insert_goals(db, &work.goals).await?;
    planted.deliverables += sql::insert_deliverables(db, &work.deliverables).await?;
    sql::insert_reviews(db, &work.reviews).await
}

/// Which customers of `range` somebody else has created.
pub async fn taken_customers(
    db: &mut PgConnection,
    catalogue: &Catalogue<'_>,
    range: Range<usize>,
) -> sqlx::Result<Vec<String>> {
    let customers: Vec<_> = range.map(|index| Customer::new(catalogue.names, index)).collect();
    let taken = sql::taken_customers(db, &customers).await?;
    Ok(taken.into_iter().map(|id| format!("customer `{id}`")).collect())
}
