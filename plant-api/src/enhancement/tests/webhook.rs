//! The rules of the webhook: statuses and what is stored.

use super::*;

#[sqlx::test(migrations = "../migrations")]
async fn a_signed_ticket_is_stored_with_its_job(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    let mut ticket = ticket("TKT-1");
    ticket["correlation_id"] = json!("corr-1");
    ticket["unknown"] = json!([1]);
    ticket["tenant_id"] = json!("acme");
    let response = post_signed(&app, "acme", &ticket, SECRET).await;
    assert_eq!(response.header("location"), Some("/enhancements/TKT-1?tenant_id=acme"));
    let accepted = response.expect(202);
    assert_eq!(
        (&accepted["status"], &accepted["message"]),
        (&json!("accepted"), &json!("the ticket was accepted"))
    );
    let id: Uuid = accepted["job_id"].as_str().unwrap().parse().unwrap();
    let stored: (String, String, Value) = sqlx::query_as(
        "select job.kind, job.owner, to_jsonb(history)
        from job
        join enhancement_history history using (id)
        where id = $1 and job.state = 'ready'",
    )
    .bind(id)
    .fetch_one(&app.owner)
    .await
    .unwrap();
    assert_eq!((&*stored.0, &*stored.1), ("enhancement", "acme"));
    for (column, value) in [
        ("tenant_id", "acme"),
        ("ticket_id", "TKT-1"),
        ("event", "ticket_created"),
        ("description", "The mail server is slow"),
        ("priority", "high"),
        ("status", "pending"),
        ("correlation_id", "corr-1"),
        ("ticket_created_at", "2026-01-02T01:04:05+00:00"),
    ] {
        assert_eq!(stored.2[column], value, "{column}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_priority_of_a_ticket_is_that_of_its_job(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    for (index, priority) in ["critical", "high", "medium", "low"].into_iter().enumerate() {
        let mut ticket = ticket("TKT-1");
        ticket["priority"] = json!(priority);
        let id = accept(&app, &ticket).await;
        let stored: i16 = sqlx::query_scalar("select priority from job where id = $1")
            .bind(id)
            .fetch_one(&app.owner)
            .await
            .unwrap();
        assert_eq!(usize::try_from(stored).unwrap(), index, "{priority}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn invalid_tickets_are_422_with_the_fields(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    let long = |length: usize| json!("x".repeat(length));
    for (field, value) in [
        ("event", json!("")),
        ("event", long(101)),
        ("ticket_id", json!("")),
        ("ticket_id", json!("tkt-1")),
        ("ticket_id", json!("TKT 1")),
        ("ticket_id", json!("A".repeat(101))),
        ("ticket_id", json!(null)),
        ("tenant_id", json!("rose")),
        ("tenant_id", json!("")),
        ("description", json!("")),
        ("description", long(10_001)),
        ("description", json!("nul \0")),
        ("priority", json!("urgent")),
        ("created_at", json!("2026-01-02T03:04:05")),
        ("created_at", json!("+12026-01-02T03:04:05Z")),
        ("created_at", json!("9999-12-31T23:59:59-14:00")),
        ("created_at", json!("-0001-12-31T23:59:59Z")),
        ("correlation_id", json!("")),
        ("correlation_id", long(201)),
    ] {
        let mut ticket = ticket("TKT-1");
        ticket[field] = value.clone();
        let fields = post_signed(&app, "acme", &ticket, SECRET).await.invalid_fields();
        assert_eq!(fields, [field], "{value}");
    }
    for field in ["event", "ticket_id", "description", "priority", "created_at"] {
        let mut ticket = ticket("TKT-1");
        ticket.as_object_mut().unwrap().remove(field);
        post_signed(&app, "acme", &ticket, SECRET).await.expect(422);
    }
    let several = json!({"event": "", "ticket_id": "x", "description": "", "priority": "low", "created_at": "2026-01-02T03:04:05Z"});
    let fields = post_signed(&app, "acme", &several, SECRET).await.invalid_fields();
    assert_eq!(fields, ["event", "ticket_id", "description"]);
    assert_eq!(counts(&app).await, (0, 0));
}

#[sqlx::test(migrations = "../migrations")]
async fn the_longest_valid_ticket_is_accepted(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    let longest = json!({
        "event": "é".repeat(100), "ticket_id": "A".repeat(100), "priority": "low",
        "description": "पे".repeat(5_000), "created_at": "9999-12-31T23:59:59.999999Z",
        "correlation_id": "é".repeat(200), "tenant_id": null,
    });
    accept(&app, &longest).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_signed_body_that_is_no_ticket_is_refused(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    for (body, status) in [
        (&b""[..], 400),
        (b"{", 400),
        (b"[]", 422),
        (b"null", 422),
        (br#"{"ticket_id":"A","ticket_id":"B"}"#, 400),
        (b"\xff", 400),
    ] {
        let headers = [(SIGNATURE_HEADER, sign(body, SECRET))];
        let response = post_with(&app, "acme", body, &headers).await;
        assert!(
            matches!(response.status.as_u16(), 400 | 422),
            "{status} expected for {body:?}: {}",
            response.text
        );
    }
    let large = vec![b' '; 100_001];
    let headers = [(SIGNATURE_HEADER, sign(&large, SECRET))];
    post_with(&app, "acme", &large, &headers).await.expect(413);
    let text = ticket("TKT-1").to_string();
    let request = Request::post("/webhooks/servicedesk/acme")
        .header(header::CONTENT_TYPE, "text/plain")
        .header(SIGNATURE_HEADER, sign(text.as_bytes(), SECRET))
        .body(Body::from(text))
        .unwrap();
    app.send(request).await.expect(415);
    assert_eq!(counts(&app).await, (0, 0));
}

#[sqlx::test(migrations = "../migrations")]
async fn requests_are_counted_by_what_became_of_them(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    create_tenant(&app, "idle").await;
    change_tenant(&app, "idle", json!({"is_active": false})).await;
    accept(&app, &ticket("TKT-1")).await;
    accept(&app, &ticket("TKT-1")).await;
    post_signed(&app, "acme", &ticket("TKT-1"), "wrong").await.expect(401);
    post_signed(&app, "acme", &json!({}), SECRET).await.expect(422);
    post_signed(&app, "rose", &ticket("TKT-1"), SECRET).await.expect(404);
    post_signed(&app, "idle", &ticket("TKT-1"), SECRET).await.expect(403);
    let metrics = app.get("/metrics").await.text;
    for status in
        ["accepted", "duplicate", "unauthenticated", "invalid", "unknown_tenant", "inactive"]
    {
        let series = format!("enhancement_requests_total{{status=\"{status}\"}} 1\n");
        assert!(metrics.contains(&series), "{series}{metrics}");
    }
    assert!(metrics.contains("enhancement_requests_total{status=\"error\"} 0\n"), "{metrics}");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_ticket_that_cannot_be_stored_is_503(pool: PgPool) {
    let (app, proxy) = TestApp::with_proxy(pool).await;
    create_tenant(&app, "acme").await;
    proxy.set(crate::testing::proxy::Mode::Cut);
    let response = post_signed(&app, "acme", &ticket("TKT-1"), SECRET).await;
    assert!(response.header("retry-after").is_some());
    response.expect(503);
    assert_eq!(counts(&app).await, (0, 0));
}

#[sqlx::test(migrations = "../migrations")]
async fn tickets_are_rate_limited(pool: PgPool) {
    use crate::config::AccessMode;
    use crate::limit::RateLimit;
    use crate::state::AccessPolicy;
    let rate_limit = RateLimit::new(std::num::NonZeroU32::MIN);
    let limited = AccessPolicy { rate_limit, ..crate::testing::access_policy(AccessMode::Open) };
    let app = TestApp::with_access_policy(pool, Clock::System, limited).await;
    post_signed(&app, "acme", &ticket("TKT-1"), SECRET).await.expect(404);
    let refused = post_signed(&app, "acme", &ticket("TKT-1"), SECRET).await;
    assert!(refused.header("retry-after").is_some());
    refused.expect(429);
}
