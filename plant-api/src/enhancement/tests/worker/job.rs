//! From the accepted ticket to its note.

use axum::http::StatusCode;
use axum::response::IntoResponse;
use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::*;
use crate::config::AccessMode;
use crate::fake_desk::{self, Behavior};
use crate::testing::{access_policy, wait_until};

/// Returns the notes that a fake desk has for a ticket.
async fn notes(desk: &Uri, ticket_id: &str) -> Vec<Value> {
    let request = axum::http::Request::get(format!("{desk}notes/{ticket_id}"))
        .body(http_body_util::Full::new(Bytes::new()))
        .unwrap();
    let client = crate::http_client::HttpClient::new(crate::http_client::Reach::Any);
    let timeout = std::time::Duration::from_secs(60);
    let response = client.send(request, timeout).await.unwrap();
    serde_json::from_slice(&response.body.unwrap()).unwrap()
}

#[sqlx::test(migrations = "../migrations")]
async fn a_ticket_gets_a_note_at_its_service_desk(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    let (desk, url) = Receiver::start(Vec::new()).await;
    let id = insert_ticket(&app, "TKT-1", "The mail server at 10.0.0.12 is <slow>").await;
    app.drain_jobs_of(&worker(&app, url)).await;

    let (status, error, text, attempts) = outcome(&app, id).await;
    assert_eq!((status.as_str(), error, attempts), ("completed", None, 1));
    let text = text.unwrap();
    assert!(text.contains("TKT-1"), "{text}");
    let [request] = desk.received().try_into().unwrap();
    assert_eq!(request.path, "/api/v3/requests/TKT-1/notes");
    assert_eq!(request.header("host"), "lotus.servicedesk.local");
    assert_eq!(request.header("authtoken"), "the api key");
    assert_eq!(request.header("idempotency-key"), id.to_string());
    let form: Vec<_> = form_urlencoded::parse(&request.body).into_owned().collect();
    let [(name, input)] = &form[..] else { panic!("{form:?}") };
    assert_eq!(name, "input_data");
    let input: Value = serde_json::from_str(input).unwrap();
    assert_eq!(input["note"]["description"], text.replace('\n', "<br />"));
    assert_eq!(app.state.metrics.enhancement_duration.get_sample_count(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_history_records_context_times_and_attempts(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    let (_, url) = Receiver::start(Vec::new()).await;
    let id = insert_ticket(&app, "TKT-1", "Nothing is known about this").await;
    app.drain_jobs_of(&worker(&app, url)).await;
    let (context, time, completed): (Value, i32, bool) = sqlx::query_as(
        "select context, processing_time_ms, completed_at >= accepted_at
        from enhancement_history where id = $1",
    )
    .bind(id)
    .fetch_one(&app.owner)
    .await
    .unwrap();
    let none = json!({
        "similar_tickets": [], "articles": [], "systems": [], "failed_sources": [],
    });
    assert_eq!(context, none);
    assert!(time >= 0 && completed);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_desk_that_fails_is_tried_again_after_2_4_and_8_seconds_with_the_same_note(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    let (desk, url) = Receiver::start(respond(&[500, 502, 503])).await;
    let id = insert_ticket(&app, "TKT-1", "The printer 10.0.0.12 is on fire").await;
    let worker = worker(&app, url);
    for (attempt, delay) in [(1, 2.0), (2, 4.0), (3, 8.0)] {
        assert_eq!(worker.run_once().await.unwrap(), 1);
        let (state, attempts, seconds) = job_state(&app, id).await;
        assert_eq!((state.as_str(), attempts), ("waiting", attempt));
        assert!((delay - 1.0..=delay).contains(&seconds), "{seconds}");
        assert_eq!(status(&app, id).await, "pending");
        // What is found from now on gives no other note.
        sqlx::query(
            "insert into inventory_system (tenant_id, address, hostname, role)
            values ($1, '10.0.0.12', 'printer', 'printer') on conflict do nothing",
        )
        .bind(TENANT)
        .execute(&app.owner)
        .await
        .unwrap();
        promote(&app).await;
    }
    app.drain_jobs_of(&worker).await;
    assert_eq!(status(&app, id).await, "completed");
    let received = desk.received();
    assert_eq!(received.len(), 4);
    assert!(received.iter().all(|r| r.body == received[0].body));
    assert!(received.iter().all(|r| r.header("idempotency-key") == id.to_string()));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_ticket_fails_after_four_attempts(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    let (desk, url) = Receiver::start(respond(&[500; 10])).await;
    let id = insert_ticket(&app, "TKT-1", "The printer is on fire").await;
    app.drain_jobs_of(&worker(&app, url)).await;
    let (status, error, _, attempts) = outcome(&app, id).await;
    assert_eq!((status.as_str(), attempts), ("failed", 4));
    assert!(error.unwrap().contains("500"));
    assert_eq!(desk.received().len(), 4);
    assert_eq!(app.state.metrics.enhancement_duration.get_sample_count(), 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_desk_that_rejects_the_note_is_not_tried_again(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    for status_code in [301, 400, 401, 404, 422] {
        let (desk, url) = Receiver::start(respond(&[status_code])).await;
        let id = insert_ticket(&app, "TKT-1", "The printer is on fire").await;
        app.drain_jobs_of(&worker(&app, url)).await;
        let (status, error, _, attempts) = outcome(&app, id).await;
        assert_eq!((status.as_str(), attempts), ("failed", 1));
        assert!(error.unwrap().contains(&status_code.to_string()));
        assert_eq!(desk.received().len(), 1);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_429_delays_all_tickets_of_the_desk_and_uses_up_no_attempt(pool: PgPool) {
    let clock = fixed_clock();
    let app = with_tenant(TestApp::with_clock(pool, clock.clone()).await).await;
    let too_many = (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "30")]).into_response();
    let (desk, url) = Receiver::start(vec![too_many]).await;
    let worker = worker(&app, url);
    let first = insert_ticket(&app, "TKT-1", "The printer is on fire").await;
    assert_eq!(worker.run_once().await.unwrap(), 1);
    let second = insert_ticket(&app, "TKT-2", "The printer is wet").await;
    assert_eq!(worker.run_once().await.unwrap(), 1);
    for id in [first, second] {
        let (state, attempts, seconds) = job_state(&app, id).await;
        assert_eq!((state.as_str(), attempts), ("waiting", 0));
        assert!((29.0..=45.0).contains(&seconds), "{seconds}");
    }
    assert_eq!(desk.received().len(), 1);
    clock.advance(TimeDelta::seconds(30));
    app.drain_jobs_of(&worker).await;
    for id in [first, second] {
        let (status, _, _, attempts) = outcome(&app, id).await;
        assert_eq!((status.as_str(), attempts), ("completed", 1));
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_ticket_that_was_deferred_for_an_hour_fails(pool: PgPool) {
    let clock = fixed_clock();
    let app = with_tenant(TestApp::with_clock(pool, clock.clone()).await).await;
    let too_many = || (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "3600")]).into_response();
    let (_, url) = Receiver::start(vec![too_many(), too_many()]).await;
    let worker = worker(&app, url);
    let id = insert_ticket(&app, "TKT-1", "The printer is on fire").await;
    worker.run_once().await.unwrap();
    clock.advance(TimeDelta::seconds(3601));
    promote(&app).await;
    postponed(&app, "61 minutes").await;
    worker.run_once().await.unwrap();
    let (status, error, _, _) = outcome(&app, id).await;
    assert_eq!(status, "failed");
    assert!(error.unwrap().contains("429"));
}

/// Sets for how long the waiting jobs have been postponed.
async fn postponed(app: &TestApp, interval: &str) {
    let set =
        "update job set postponed_since = now() - $1::interval where postponed_since is not null";
    let changed = sqlx::query(set).bind(interval).execute(&app.owner).await.unwrap();
    assert_eq!(changed.rows_affected(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_time_in_the_queue_is_no_deferral(pool: PgPool) {
    let clock = fixed_clock();
    let app = with_tenant(TestApp::with_clock(pool, clock.clone()).await).await;
    let too_many = || (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")]).into_response();
    let failed = StatusCode::INTERNAL_SERVER_ERROR.into_response();
    let (_, url) = Receiver::start(vec![too_many(), too_many(), failed, too_many()]).await;
    let worker = worker(&app, url);
    let id = insert_ticket(&app, "TKT-1", "The printer is on fire").await;
    clock.advance(TimeDelta::hours(3));
    let attempt = async |interval: &str, attempts: i32| {
        worker.run_once().await.unwrap();
        let (state, counted, _) = job_state(&app, id).await;
        assert_eq!((&*state, counted), ("waiting", attempts));
        if attempts == 0 {
            postponed(&app, interval).await;
        }
        clock.advance(TimeDelta::minutes(2));
        promote(&app).await;
    };
    // A ticket that has waited for hours is deferred like any other.
    attempt("59 minutes", 0).await;
    attempt("59 minutes", 0).await;
    // An attempt that was made begins a new series.
    attempt("", 1).await;
    worker.run_once().await.unwrap();
    let series: Option<bool> =
        sqlx::query_scalar("select postponed_since > now() - interval '1 minute' from job")
            .fetch_one(&app.owner)
            .await
            .unwrap();
    assert_eq!(series, Some(true));
}

#[sqlx::test(migrations = "../migrations")]
async fn tickets_wait_for_an_open_circuit_without_using_up_attempts(pool: PgPool) {
    let clock = fixed_clock();
    let app = with_tenant(TestApp::with_clock(pool, clock.clone()).await).await;
    let (desk, url) = Receiver::start(respond(&[500; 6])).await;
    let worker = worker(&app, url);
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(insert_ticket(&app, &format!("TKT-{n}"), "The printer is on fire").await);
    }
    assert_eq!(worker.run_once().await.unwrap(), 5);
    let late = insert_ticket(&app, "TKT-9", "The printer is wet").await;
    promote(&app).await;
    // All wait, without a call.
    assert_eq!(worker.run_once().await.unwrap(), 6);
    assert_eq!(desk.received().len(), 5);
    assert_eq!(job_state(&app, late).await.1, 0);
    assert_eq!(job_state(&app, ids[0]).await.1, 1);
    // The probe fails, then another succeeds.
    clock.advance(TimeDelta::seconds(5));
    promote(&app).await;
    assert_eq!(worker.run_once().await.unwrap(), 6);
    assert_eq!(desk.received().len(), 6);
    clock.advance(TimeDelta::seconds(10));
    app.drain_jobs_of(&worker).await;
    for id in ids.into_iter().chain([late]) {
        assert_eq!(status(&app, id).await, "completed");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_job_that_is_killed_after_the_post_leaves_one_note(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    let desk = listen(fake_desk::router(Behavior { latency_ms: 0, ..Behavior::default() })).await;
    let id = insert_ticket(&app, "TKT-1", "The printer is on fire").await;
    app.drain_jobs_of(&worker(&app, desk.clone())).await;
    assert_eq!(notes(&desk, "TKT-1").await.len(), 1);
    // As if the worker had been killed before the commit.
    sqlx::query("update job set state = 'ready', finished_at = null")
        .execute(&app.owner)
        .await
        .unwrap();
    sqlx::query("update enhancement_history set status = 'pending', completed_at = null")
        .execute(&app.owner)
        .await
        .unwrap();
    app.drain_jobs_of(&worker(&app, desk.clone())).await;
    assert_eq!(status(&app, id).await, "completed");
    assert_eq!(notes(&desk, "TKT-1").await.len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_completed_ticket_is_not_posted_again(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    let (desk, url) = Receiver::start(Vec::new()).await;
    insert_ticket(&app, "TKT-1", "The printer is on fire").await;
    app.drain_jobs_of(&worker(&app, url.clone())).await;
    sqlx::query("update job set state = 'ready', finished_at = null")
        .execute(&app.owner)
        .await
        .unwrap();
    app.drain_jobs_of(&worker(&app, url)).await;
    assert_eq!(desk.received().len(), 1);
}

#[sqlx::test(migrations = "../migrations")]
async fn nothing_is_posted_for_a_ticket_that_was_deleted(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    let (desk, url) = Receiver::start(Vec::new()).await;
    let id = insert_ticket(&app, "TKT-1", "The printer is on fire").await;
    sqlx::query("delete from enhancement_history").execute(&app.owner).await.unwrap();
    app.drain_jobs_of(&worker(&app, url)).await;
    assert_eq!(job_state(&app, id).await.0, "done");
    assert!(desk.received().is_empty());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_ticket_that_is_deleted_while_its_job_runs_stays_deleted(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    let release = Arc::new(tokio::sync::Notify::new());
    let (wait, posted) = (release.clone(), Arc::new(Mutex::new(0)));
    let count = posted.clone();
    let router = Router::new().fallback(async move || {
        *count.lock().unwrap() += 1;
        wait.notified().await;
        StatusCode::CREATED
    });
    let id = insert_ticket(&app, "TKT-1", "The printer is on fire").await;
    let worker = worker(&app, listen(router).await);
    let running = tokio::spawn(async move { worker.run_once().await });
    wait_until(async || *posted.lock().unwrap() == 1).await;
    sqlx::query("delete from enhancement_history").execute(&app.owner).await.unwrap();
    release.notify_one();
    running.await.unwrap().unwrap();
    assert_eq!(job_state(&app, id).await.0, "done");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_requeued_ticket_can_still_be_completed(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    let (_, url) = Receiver::start(respond(&[404])).await;
    let id = insert_ticket(&app, "TKT-1", "The printer is on fire").await;
    let worker = worker(&app, url);
    app.drain_jobs_of(&worker).await;
    assert_eq!(status(&app, id).await, "failed");
    sqlx::query("update job set state = 'ready', finished_at = null, attempts = 0")
        .execute(&app.owner)
        .await
        .unwrap();
    app.drain_jobs_of(&worker).await;
    assert_eq!(status(&app, id).await, "completed");
}

#[sqlx::test(migrations = "../migrations")]
async fn with_required_access_an_api_key_that_is_not_sealed_is_not_used(pool: PgPool) {
    let policy = access_policy(AccessMode::Required);
    let app = TestApp::with_access_policy(pool, Clock::System, policy).await;
    let app = with_tenant(app).await;
    let (desk, url) = Receiver::start(Vec::new()).await;
    let id = insert_ticket(&app, "TKT-1", "The printer is on fire").await;
    app.drain_jobs_of(&worker(&app, url)).await;
    let (status, error, _, _) = outcome(&app, id).await;
    assert_eq!(status, "failed");
    assert!(error.unwrap().contains("not sealed"));
    assert!(desk.received().is_empty());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_crowd_of_tickets_ends_with_one_note_each_at_an_unreliable_desk(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    let unreliable = Behavior { latency_ms: 0, failure_rate: 0.2, ..Behavior::default() };
    let desk = listen(fake_desk::router(unreliable)).await;
    let mut ids = Vec::new();
    for n in 0..60 {
        let ticket_id = format!("TKT-{n}");
        ids.push((insert_ticket(&app, &ticket_id, "The printer is on fire").await, ticket_id));
    }
    app.drain_jobs_of(&worker(&app, desk.clone())).await;
    for (id, ticket_id) in ids {
        let (status, _, _, _) = outcome(&app, id).await;
        let notes = notes(&desk, &ticket_id).await.len();
        assert!(notes == 1 || (status == "failed" && notes == 0), "{ticket_id}: {status}, {notes}");
    }
}
