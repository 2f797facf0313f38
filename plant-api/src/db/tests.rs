use sqlx::PgPool;

use super::*;

#[sqlx::test(migrations = "../migrations")]
async fn every_table_has_grants_for_the_services_role(pool: PgPool) {
    let mut owner = pool.acquire().await.unwrap();
    grant_privileges(&mut owner).await.unwrap();
    let without: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class
        where relkind = 'r' and relnamespace = 'public'::regnamespace
            and not has_table_privilege('plant_app', oid, 'select')",
    )
    .fetch_all(&mut *owner)
    .await
    .unwrap();
    assert!(without.is_empty(), "missing in migrations/grants.sql: {without:?}");
}

#[test]
fn no_two_migrations_have_the_same_number() {
    let versions: Vec<_> = migrate::MIGRATOR.iter().map(|migration| migration.version).collect();
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
}
