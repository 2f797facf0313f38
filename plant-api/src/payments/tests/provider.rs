//! The simulated provider, with a service that listens on a port.

use std::time::Duration;

use serde_json::json;
use sqlx::PgPool;
use tokio::net::TcpListener;

use super::{CREATE, LIST, app_with_account, balances, create_payment, event_log, status};
use crate::app::Simulations;
use crate::config::ProviderConfig;
use crate::testing::{INSTANT_MODEL, TestApp, instant_provider, simulations};
use crate::worker::Worker;

/// Returns a worker whose provider posts to `app`, which listens on a port from now on.
async fn worker(app: &TestApp, provider: &ProviderConfig) -> Worker {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (router, _) = crate::app::router(app.state.clone(), app.agent.clone()).unwrap();
    tokio::spawn(axum::serve(listener, router).into_future());
    let simulations = Simulations::with(INSTANT_MODEL, provider, address).unwrap();
    crate::app::worker(&app.state, &simulations)
}

#[sqlx::test(migrations = "../migrations")]
async fn the_provider_brings_payments_to_a_final_status(pool: PgPool) {
    let app = app_with_account(pool).await;
    let declining = ProviderConfig { decline_rate: 1.0, ..instant_provider() };
    let refunding = ProviderConfig { refund_rate: 1.0, ..instant_provider() };
    let everything =
        ProviderConfig { repeat_rate: 1.0, reorder_rate: 1.0, late_rate: 1.0, ..refunding.clone() };
    for (provider, expected) in [
        (instant_provider(), "succeeded"),
        (declining, "canceled or failed"),
        (refunding, "refunded"),
        (everything, "refunded"),
    ] {
        let payment = create_payment(&app).await;
        app.drain_jobs_of(&worker(&app, &provider).await).await;
        let status = status(&app, payment).await;
        assert!(expected.contains(&status), "{expected}: {status}");
    }
    assert_eq!(
        balances(&app).await,
        ["provider 2999 EUR", "refunds 5998 EUR", "revenue -8997 EUR"]
    );
    assert_eq!(
        event_log(&app).await[7..],
        [
            "refunded applied",
            "succeeded applied",
            "waiting_for_capture applied",
            "refunded repeated",
            "succeeded repeated",
            "waiting_for_capture repeated",
        ]
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_job_that_runs_again_changes_nothing(pool: PgPool) {
    let app = app_with_account(pool).await;
    let payment = create_payment(&app).await;
    let worker = worker(&app, &instant_provider()).await;
    app.drain_jobs_of(&worker).await;
    let before = (status(&app, payment).await, balances(&app).await);
    sqlx::query("update job set state = 'ready', finished_at = null")
        .execute(&app.owner)
        .await
        .unwrap();
    app.drain_jobs_of(&worker).await;
    assert_eq!((status(&app, payment).await, balances(&app).await), before);
    let log = event_log(&app).await;
    assert_eq!(log[2..], ["waiting_for_capture repeated", "succeeded repeated"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_webhook_that_was_unavailable_for_all_attempts_gets_the_events_later(pool: PgPool) {
    let app = app_with_account(pool).await;
    let payment = create_payment(&app).await;
    let unreachable = crate::app::worker(&app.state, &simulations(INSTANT_MODEL));
    for _ in 0..5 {
        sqlx::query("update job set run_at = now()").execute(&app.owner).await.unwrap();
        assert_eq!(unreachable.run_once().await.unwrap(), 1);
    }
    let jobs: Vec<(String, String)> =
        sqlx::query_as("select state, payload::text from job order by created_at")
            .fetch_all(&app.owner)
            .await
            .unwrap();
    let payload =
        |number: u32| format!("{{\"payment_id\": \"{payment}\", \"redeliveries\": {number}}}");
    assert_eq!(jobs, [("dead".to_owned(), payload(0)), ("waiting".to_owned(), payload(1))]);
    assert_eq!(status(&app, payment).await, "pending");
    app.drain_jobs_of(&worker(&app, &instant_provider()).await).await;
    assert_eq!(status(&app, payment).await, "succeeded");
}

#[sqlx::test(migrations = "../migrations")]
async fn the_job_of_a_deleted_payment_ends(pool: PgPool) {
    let app = app_with_account(pool).await;
    create_payment(&app).await;
    sqlx::query("delete from payment").execute(&app.owner).await.unwrap();
    app.drain_jobs().await;
    let state: String =
        sqlx::query_scalar("select state from job").fetch_one(&app.owner).await.unwrap();
    assert_eq!(state, "done");
}

#[sqlx::test(migrations = "../migrations")]
async fn all_payments_of_a_mix_end_and_the_ledger_agrees(pool: PgPool) {
    let app = app_with_account(pool).await;
    for n in 0..60 {
        let plan = ["starter", "pro", "enterprise"][n % 3];
        let currency = ["USD", "EUR"][n % 2];
        app.post(CREATE, json!({"plan_id": plan, "currency": currency})).await.expect(201);
    }
    let mixed = ProviderConfig {
        delay: Duration::from_millis(1),
        decline_rate: 0.3,
        refund_rate: 0.3,
        repeat_rate: 0.5,
        reorder_rate: 0.5,
        late_rate: 0.3,
        ..instant_provider()
    };
    app.drain_jobs_of(&worker(&app, &mixed).await).await;
    let list = app.get(&format!("{LIST}?limit=500")).await.expect(200);
    let statuses: Vec<_> =
        list.as_array().unwrap().iter().map(|p| p["status"].as_str().unwrap()).collect();
    let is_final = |status: &&str| ["succeeded", "canceled", "failed", "refunded"].contains(status);
    assert!(statuses.iter().all(is_final), "{statuses:?}");
    let differences: i64 = sqlx::query_scalar(
        "select count(*) from payment p
        where (
            select coalesce(array_agg(kind order by kind), '{}')
            from ledger_transaction t where t.payment_id = p.id
        ) <> case status
            when 'succeeded' then array['capture']
            when 'refunded' then array['capture', 'refund']
            else array[]::text[]
        end",
    )
    .fetch_one(&app.owner)
    .await
    .unwrap();
    assert_eq!(differences, 0);
}
