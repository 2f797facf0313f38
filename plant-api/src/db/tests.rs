use sqlx::PgPool;

use super::*;

#[sqlx::test(migrations = "../migrations")]
async fn every_table_has_grants_for_the_services_role(pool: PgPool) {
    let mut owner = pool.acquire().await.unwrap();
    grant_privileges(&mut owner).await.unwrap();
    let missing: Vec<String> = sqlx::query_scalar(
        "select tablename::text from pg_tables
        where schemaname = 'public'
            and not has_table_privilege('plant_app', format('public.%I', tablename), 'select')",
    )
    .fetch_all(&mut *owner)
    .await
    .unwrap();
    assert!(missing.is_empty(), "missing in migrations/grants.sql: {missing:?}");
}

#[test]
fn migrations_are_numbered_without_gaps() {
    // 15 to 19 do not exist.
    let expected = (1..=14).chain(20..);
    let versions = migrate::MIGRATOR.iter().map(|migration| migration.version);
    for (expected, version) in expected.zip(versions) {
        assert_eq!(expected, version);
    }
}
