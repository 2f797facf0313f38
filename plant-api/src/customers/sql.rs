//! Statements on `customer`.

use sqlx::PgExecutor;

use super::{Customer, CustomerId};

pub async fn insert(db: impl PgExecutor<'_>, customer: &Customer) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into customer (id, name, email, created_at)
        values ($1, $2, $3, $4)",
        customer.id.0,
        customer.name,
        customer.email,
        customer.created_at,
    )
    .execute(db)
    .await
    .map(drop)
}

pub async fn find(
    db: impl PgExecutor<'_>,
    id: &CustomerId,
    customer_filter: Option<&str>,
) -> sqlx::Result<Option<Customer>> {
    sqlx::query_as!(
        Customer,
        r#"select id as "id: CustomerId", name, email, created_at
        from customer
        where id = $1
            and ($2::text is null or id = $2)"#,
        id.0,
        customer_filter,
    )
    .fetch_optional(db)
    .await
}
