//! Unknown, inactive and rotated tenants, literal secrets, and tickets without a signature.

use super::*;

/// Inserts a tenant with the documented statement.
async fn insert_literal(app: &TestApp) {
    sqlx::raw_sql(
        "INSERT INTO tenant_configs (
            tenant_id, name, servicedesk_url,
            servicedesk_api_key_encrypted,
            webhook_signing_secret_encrypted,
            tool_type
        ) VALUES (
            'load-test-tenant',
            'Load Test Tenant',
            'https://loadtest.servicedesk.local',
            'encrypted_test_key',
            'encrypted_test_secret',
            'servicedesk_plus'
        );",
    )
    .execute(&app.owner)
    .await
    .unwrap();
}

async fn stored_secrets(app: &TestApp, tenant: &str) -> (String, String) {
    sqlx::query_as(
        "select servicedesk_api_key_encrypted, webhook_signing_secret_encrypted
        from tenant_configs
        where tenant_id = $1",
    )
    .bind(tenant)
    .fetch_one(&app.owner)
    .await
    .unwrap()
}

/// Posts a ticket without a signature.
async fn post_unsigned(app: &TestApp, tenant: &str) -> TestResponse {
    post_with(app, tenant, ticket("TKT-1").to_string().as_bytes(), &[]).await
}

#[sqlx::test(migrations = "../migrations")]
async fn an_unknown_tenant_is_404_and_an_inactive_one_403_for_itself_only(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    for unknown in ["rose", "ACME", "acme%20", "*", "%27", &"x".repeat(64)] {
        post_signed(&app, unknown, &ticket("TKT-1"), SECRET).await.expect(404);
        post_unsigned(&app, unknown).await.expect(404);
    }
    change_tenant(&app, "acme", json!({"is_active": false})).await;
    post_signed(&app, "acme", &ticket("TKT-1"), "wrong").await.expect(401);
    post_unsigned(&app, "acme").await.expect(401);
    let refused = post_signed(&app, "acme", &ticket("TKT-1"), SECRET).await.expect(403);
    assert_eq!(refused["detail"], "this tenant is inactive");
    // Before the body is read.
    post_signed(&app, "acme", &json!({}), SECRET).await.expect(403);
    assert_eq!(counts(&app).await, (0, 0));
    change_tenant(&app, "acme", json!({"is_active": true})).await;
    accept(&app, &ticket("TKT-1")).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn unsigned_tickets_are_accepted_with_open_access_only(pool: PgPool) {
    let open = TestApp::new(pool.clone()).await;
    create_tenant(&open, "acme").await;
    post_unsigned(&open, "acme").await.expect(202);
    post_signed(&open, "acme", &ticket("TKT-1"), "wrong").await.expect(401);
    let empty = [(SIGNATURE_HEADER, String::new())];
    post_with(&open, "acme", ticket("TKT-1").to_string().as_bytes(), &empty).await.expect(401);
    let required = TestApp::with_required_access(pool, Clock::System).await;
    post_unsigned(&required, "acme").await.expect(401);
    change_tenant(&required, "acme", json!({"allow_unsigned": true})).await;
    post_unsigned(&required, "acme").await.expect(401);
    post_unsigned(&open, "acme").await.expect(202);
    change_tenant(&open, "acme", json!({"allow_unsigned": false})).await;
    post_unsigned(&open, "acme").await.expect(401);
    change_tenant(&open, "acme", json!({"is_active": false, "allow_unsigned": null})).await;
    post_unsigned(&open, "acme").await.expect(403);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_change_counts_on_every_replica_at_once(pool: PgPool) {
    let replicas = [app_with_tenant(pool.clone()).await, app_with_tenant_of(pool).await];
    for app in &replicas {
        accept(app, &ticket("TKT-1")).await;
    }
    let rotation = json!({"webhook_signing_secret": "new-secret-of-acme", "grace_seconds": 0});
    change_tenant(&replicas[0], "acme", rotation).await;
    for app in &replicas {
        post_signed(app, "acme", &ticket("TKT-1"), SECRET).await.expect(401);
        post_signed(app, "acme", &ticket("TKT-1"), "new-secret-of-acme").await.expect(202);
    }
    replicas[0].with_token(ADMIN_KEY).delete("/admin/tenants/acme").await.expect(204);
    for app in &replicas {
        post_signed(app, "acme", &ticket("TKT-1"), "new-secret-of-acme").await.expect(404);
    }
}

/// Another service on the same database.
async fn app_with_tenant_of(pool: PgPool) -> TestApp {
    TestApp::with_required_access(pool, Clock::System).await
}

#[sqlx::test(migrations = "../migrations")]
async fn a_former_secret_is_valid_for_its_grace_time(pool: PgPool) {
    let clock = Clock::fixed("2026-01-02T03:04:05Z".parse().unwrap());
    let app = TestApp::with_required_access(pool, clock).await;
    create_tenant(&app, "acme").await;
    let (second, third) = ("second-secret-of-acme", "third-secret-of-acme");
    let post = async |secret: &str, status: u16| {
        post_signed(&app, "acme", &ticket("TKT-1"), secret).await.expect(status);
    };
    let changed = change_tenant(&app, "acme", json!({"webhook_signing_secret": second})).await;
    assert_eq!(changed["previous_signing_secret_expires_at"], "2026-01-03T03:04:05Z");
    post(SECRET, 202).await;
    post(second, 202).await;
    // So do the same change again and a change of something else.
    change_tenant(&app, "acme", json!({"webhook_signing_secret": second})).await;
    post(SECRET, 202).await;
    change_tenant(&app, "acme", json!({"name": "Acme Ltd", "servicedesk_api_key": "k2"})).await;
    app.state.clock.advance(chrono::TimeDelta::seconds(86_399));
    post(SECRET, 202).await;
    app.state.clock.advance(chrono::TimeDelta::seconds(1));
    post(SECRET, 401).await;
    post(second, 202).await;
    let rotation = json!({"webhook_signing_secret": third, "grace_seconds": 60});
    change_tenant(&app, "acme", rotation).await;
    post(second, 202).await;
    post(third, 202).await;
    post(SECRET, 401).await;
    app.state.clock.advance(chrono::TimeDelta::seconds(60));
    post(second, 401).await;
    let rotation = json!({"webhook_signing_secret": second, "grace_seconds": 0});
    let changed = change_tenant(&app, "acme", rotation).await;
    assert_eq!(changed["previous_signing_secret_expires_at"], json!(null));
    post(third, 401).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_literal_secret_is_sealed_on_first_use_with_open_access(pool: PgPool) {
    let open = TestApp::new(pool.clone()).await;
    let required = TestApp::with_required_access(pool, Clock::System).await;
    insert_literal(&open).await;
    let (tenant, secret) = ("load-test-tenant", "encrypted_test_secret");
    let admin = required.with_token(ADMIN_KEY);
    let path = format!("/admin/tenants/{tenant}");
    assert_eq!(admin.get(&path).await.expect(200)["secrets_sealed"], false);
    // A literal is no secret with access required; and nobody who cannot sign gets it sealed.
    post_signed(&required, tenant, &ticket("TKT-1"), secret).await.expect(401);
    post_signed(&open, tenant, &ticket("TKT-1"), "wrong").await.expect(401);
    assert_eq!(stored_secrets(&open, tenant).await.1, secret);
    post_signed(&open, tenant, &ticket("TKT-1"), secret).await.expect(202);
    let sealed = stored_secrets(&open, tenant).await;
    let text = format!("{sealed:?}");
    assert!(sealed.0.starts_with("sealed:") && sealed.1.starts_with("sealed:"), "{text}");
    assert!(!text.contains("encrypted_test"), "{text}");
    assert_eq!(admin.get(&path).await.expect(200)["secrets_sealed"], true);
    for app in [&open, &required] {
        post_signed(app, tenant, &ticket("TKT-2"), secret).await.expect(202);
    }
    assert_eq!(stored_secrets(&open, tenant).await, sealed);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_literal_is_not_sealed_with_access_required(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    sqlx::query("update tenant_configs set servicedesk_api_key_encrypted = 'literal'")
        .execute(&app.owner)
        .await
        .unwrap();
    accept(&app, &ticket("TKT-1")).await;
    assert_eq!(stored_secrets(&app, "acme").await.0, "literal");
}

#[sqlx::test(migrations = "../migrations")]
async fn secrets_of_an_old_key_are_sealed_again_on_use(pool: PgPool) {
    use crate::config::{AccessMode, Secret};
    use crate::crypto::Sealer;
    use crate::state::AccessPolicy;
    use crate::testing::{SECRET_KEY, access_policy};
    let app = app_with_tenant(pool.clone()).await;
    let before = stored_secrets(&app, "acme").await;
    let with_key = async |old: &[Secret<String>]| {
        let sealer = Sealer::new(&Secret("another key".into()), old).unwrap();
        let policy = AccessPolicy { sealer, ..access_policy(AccessMode::Required) };
        TestApp::with_access_policy(pool.clone(), Clock::System, policy).await
    };
    let rotated = with_key(&[Secret(SECRET_KEY.into())]).await;
    accept(&rotated, &ticket("TKT-1")).await;
    let after = stored_secrets(&app, "acme").await;
    assert!(before.0 != after.0 && before.1 != after.1);
    // Now the old key can be removed, and no longer opens.
    accept(&with_key(&[]).await, &ticket("TKT-2")).await;
    post_signed(&app, "acme", &ticket("TKT-3"), SECRET).await.expect(500);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_sealed_secret_of_another_tenant_is_not_opened(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    create_tenant(&app, "rose").await;
    sqlx::query(
        "update tenant_configs rose
        set webhook_signing_secret_encrypted = acme.webhook_signing_secret_encrypted
        from tenant_configs acme
        where rose.tenant_id = 'rose' and acme.tenant_id = 'acme'",
    )
    .execute(&app.owner)
    .await
    .unwrap();
    post_signed(&app, "rose", &ticket("TKT-1"), SECRET).await.expect(500);
    assert_eq!(counts(&app).await, (0, 0));
}
