use axum::http::Request;
use serde_json::json;
use sqlx::PgPool;

use super::{Administrator, AuthenticatedAccount, Caller};
use crate::clock::Clock;
use crate::config::AccessMode;
use crate::error::Error;
use crate::testing::{ADMIN_KEY, TestApp};
use crate::token::Role;
use axum::extract::FromRequestParts;

/// Extracts `T` as a handler of `app` would.
async fn extract<T: FromRequestParts<crate::state::AppState, Rejection = Error>>(
    app: &TestApp,
    authorization: Option<&str>,
) -> Result<T, Error> {
    let mut request = Request::get("/");
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    let (mut parts, ()) = request.body(()).unwrap().into_parts();
    T::from_request_parts(&mut parts, &app.state).await
}

#[sqlx::test(migrations = "../migrations")]
async fn without_a_token_the_caller_is_anonymous_or_refused(pool: PgPool) {
    let open = TestApp::new(pool.clone()).await;
    assert_eq!(extract::<Caller>(&open, None).await.unwrap(), Caller::Anonymous);
    let required = TestApp::with_required_access(pool, Clock::System).await;
    for app in [open, required.clone()] {
        let refused = extract::<AuthenticatedAccount>(&app, None).await.unwrap_err();
        assert_eq!(refused.code(), "unauthenticated");
    }
    assert_eq!(extract::<Caller>(&required, None).await.unwrap_err().code(), "unauthenticated");
}

#[sqlx::test(migrations = "../migrations")]
async fn an_invalid_token_is_refused_even_with_access_open(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for value in ["Bearer x", "Bearer ", "Bearer", "Basic bG90dXM6eA==", ""] {
        let refused = extract::<Caller>(&app, Some(value)).await.unwrap_err();
        assert_eq!(refused.code(), "unauthenticated", "{value}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_token_authenticates_its_account(pool: PgPool) {
    let app = TestApp::with_required_access(pool, Clock::System).await;
    for (role, filter) in
        [(Role::User, Some("lotus")), (Role::Editor, Some("lotus")), (Role::Admin, None)]
    {
        let claims = app.insert_account("lotus", role).await;
        let now = app.state.clock.now();
        let token = app.state.access_policy.tokens.issue_access_token(&claims, now).unwrap();
        let account = AuthenticatedAccount::new(claims, AccessMode::Required);
        let value = format!("bearer {token}");
        assert_eq!(extract::<AuthenticatedAccount>(&app, Some(&value)).await.unwrap(), account);
        let caller: Caller = extract(&app, Some(&value)).await.unwrap();
        assert_eq!(caller.customer_filter(), filter);
        assert_eq!(caller.actor(), account.id.to_string());
        let administrator = extract::<Administrator>(&app, Some(&value)).await;
        assert_eq!(administrator.is_ok(), filter.is_none());
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn with_access_open_a_token_does_not_lower_rights(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let hire = app.create_hire("rose").await;
    let lotus = app.with_account_of("lotus", Role::User).await;
    lotus.get("/api/v1/customers/rose/agents").await.expect(200);
    let goal = json!({"title": "Write", "schedule": "daily"});
    lotus.post(&format!("/api/v1/agents/{}/goals", hire.id), goal).await.expect(201);
    lotus.post("/api/v1/customers", json!({"name": "Jasmine"})).await.expect(201);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_catalogue_is_changed_by_editors_and_administrators_only(pool: PgPool) {
    let app = TestApp::with_required_access(pool, Clock::System).await;
    let user = app.with_account_of("lotus", Role::User).await;
    let editor = app.with_account_of("lotus", Role::Editor).await;
    let admin = app.with_account_of("lotus", Role::Admin).await;
    let ids = editor.create_agent("Asha").await;
    let writes = [
        ("/api/v1/industries", json!({"name": "Sales"})),
        ("/api/v1/skills", json!({"name": "Rust", "category": "technical"})),
        ("/api/v1/job-roles", json!({"name": "Writer"})),
        ("/api/v1/teams", json!({"name": "Studio"})),
        ("/api/v1/genesis/skills", json!({"name": "Go", "category": "technical"})),
        ("/api/v1/genesis/certify", json!({"entity_type": "skill", "entity_id": ids.skill})),
        ("/api/v1/genesis/job-roles", json!({"name": "Coder", "required_skills": [ids.skill]})),
    ];
    for (path, body) in writes {
        assert_eq!(user.post(path, body.clone()).await.expect(403)["code"], "forbidden", "{path}");
        assert!(editor.post(path, body.clone()).await.status.is_success(), "{path}");
        assert_ne!(admin.post(path, body).await.status, 403, "{path}");
    }
    // An editor is no administrator, and sees its own customer only.
    editor.post("/api/v1/customers", json!({"name": "Jasmine"})).await.expect(403);
    admin.post("/api/v1/customers", json!({"id": "rose", "name": "Rose"})).await.expect(201);
    editor.get("/api/v1/customers/rose/agents").await.expect(404);
    let agent = format!("/api/v1/agents/{}", ids.agent);
    user.patch(&agent, json!({"name": "Rose"})).await.expect(403);
    assert_eq!(user.get(&agent).await.expect(200)["name"], "Asha");
    for path in ["skills", "job-roles"] {
        let id = if path == "skills" { &ids.skill } else { &ids.job_role };
        user.post(&format!("/api/v1/genesis/{path}/{id}/certify"), json!({})).await.expect(403);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_admin_key_is_unrestricted_but_has_no_account(pool: PgPool) {
    let app = TestApp::with_required_access(pool, Clock::System).await;
    let value = format!("Bearer {ADMIN_KEY}");
    let caller: Caller = extract(&app, Some(&value)).await.unwrap();
    assert_eq!((caller.customer_filter(), caller.actor()), (None, "operator"));
    assert_eq!(
        extract::<AuthenticatedAccount>(&app, Some(&value)).await.unwrap_err().code(),
        "forbidden"
    );
    let wrong_key = format!("Bearer {ADMIN_KEY}.");
    assert_eq!(
        extract::<Caller>(&app, Some(&wrong_key)).await.unwrap_err().code(),
        "unauthenticated"
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn an_amendment_has_the_account_as_its_actor(pool: PgPool) {
    let app = TestApp::with_required_access(pool, Clock::System).await;
    let lotus = app.with_account_of("lotus", Role::Editor).await;
    let id = lotus.create("/api/v1/industries", json!({"name": "Marketing"})).await;
    let actor: String = sqlx::query_scalar(
        "select convert_from(content, 'utf8')::json ->> 'actor' from amendment
        where entity_id = $1::uuid",
    )
    .bind(&id)
    .fetch_one(&app.owner)
    .await
    .unwrap();
    let account: String =
        sqlx::query_scalar("select id::text from account").fetch_one(&app.owner).await.unwrap();
    assert_eq!(actor, account);
    let refused = app.post("/api/v1/industries", json!({"name": "Sales"})).await;
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    assert_eq!(refused.expect(401)["code"], "unauthenticated");
}
