//! Behaviour of the jobs, with service desks that listen on local ports.

mod context;
mod desk;
mod job;
mod writer;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use sqlx::PgPool;
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::app::Simulations;
use crate::clock::Clock;
use crate::config::{DeskConfig, HostPattern, HostRule};
use crate::db::TenantId;
use crate::enhancement::{self, Priority};
use crate::jobs;
use crate::testing::{INSTANT_MODEL, TestApp, simulations};
use crate::worker::Worker;

const TENANT: &str = "lotus";

/// The service with the tenant [`TENANT`], whose service desk is `https://lotus.servicedesk.local`.
async fn app_with_tenant(pool: PgPool) -> TestApp {
    with_tenant(TestApp::new(pool).await).await
}

async fn with_tenant(app: TestApp) -> TestApp {
    sqlx::query(
        "insert into tenant_configs (
            tenant_id, name, servicedesk_url, servicedesk_api_key_encrypted,
            webhook_signing_secret_encrypted, tool_type
        )
        values ($1, 'Lotus', 'https://lotus.servicedesk.local', 'the api key', 's', 'servicedesk_plus')",
    )
    .bind(TENANT)
    .execute(&app.owner)
    .await
    .unwrap();
    app
}

/// Inserts a ticket and its job, accepted now.
async fn insert_ticket(app: &TestApp, ticket_id: &str, description: &str) -> Uuid {
    let id = app.state.clock.new_id();
    sqlx::query(
        "insert into enhancement_history (
            id, tenant_id, delivery_id, event, ticket_id, description, priority, ticket_created_at,
            accepted_at
        )
        values ($1, $2, $1::text, 'ticket_created', $3, $4, 'high', $5, $5)",
    )
    .bind(id)
    .bind(TENANT)
    .bind(ticket_id)
    .bind(description)
    .bind(app.state.clock.now())
    .execute(&app.owner)
    .await
    .unwrap();
    let tenant = TenantId::parse(TENANT).unwrap();
    let job = enhancement::job::new(id, &tenant, Priority::High).unwrap();
    let mut connection = app.owner.acquire().await.unwrap();
    jobs::enqueue(&mut connection, &job).await.unwrap();
    id
}

/// Returns status, error, text of the note and attempts of a ticket.
async fn outcome(app: &TestApp, id: Uuid) -> (String, Option<String>, Option<String>, i32) {
    sqlx::query_as(
        "select status, error, enhancement, attempts from enhancement_history where id = $1",
    )
    .bind(id)
    .fetch_one(&app.owner)
    .await
    .unwrap()
}

async fn status(app: &TestApp, id: Uuid) -> String {
    outcome(app, id).await.0
}

/// Returns state, attempts, and the seconds until the next attempt of a job.
async fn job_state(app: &TestApp, id: Uuid) -> (String, i32, f64) {
    sqlx::query_as(
        "select state, attempts, extract(epoch from run_at - now())::float8 from job where id = $1",
    )
    .bind(id)
    .fetch_one(&app.owner)
    .await
    .unwrap()
}

/// Lets waiting jobs run at once.
async fn promote(app: &TestApp) {
    sqlx::query("update job set run_at = now() where state = 'waiting'")
        .execute(&app.owner)
        .await
        .unwrap();
}

/// Serves `router` on a local port and returns its URL.
async fn listen(router: Router) -> Uri {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router).into_future());
    url.parse().unwrap()
}

/// A request that a [`Receiver`] got.
#[derive(Debug, Clone)]
struct Received {
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Received {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

/// A server that answers with scripted responses, and then with 201.
#[derive(Clone)]
struct Receiver(Arc<Mutex<Script>>);

struct Script {
    received: Vec<Received>,
    responses: Vec<Response>,
}

impl Receiver {
    /// Starts a server with these responses; returns its URL too.
    async fn start(responses: Vec<Response>) -> (Self, Uri) {
        let script = Script { received: Vec::new(), responses };
        let receiver = Self(Arc::new(Mutex::new(script)));
        let router = Router::new().fallback(receive).with_state(receiver.clone());
        (receiver, listen(router).await)
    }

    fn received(&self) -> Vec<Received> {
        self.0.lock().unwrap().received.clone()
    }
}

async fn receive(
    State(receiver): State<Receiver>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut script = receiver.0.lock().unwrap();
    script.received.push(Received { path: uri.path().to_owned(), headers, body });
    if script.responses.is_empty() {
        StatusCode::CREATED.into_response()
    } else {
        script.responses.remove(0)
    }
}

fn respond(statuses: &[u16]) -> Vec<Response> {
    let response = |status: &u16| StatusCode::from_u16(*status).unwrap().into_response();
    statuses.iter().map(response).collect()
}

/// Settings with this fake service desk.
fn with_desk(fake_desk: Uri) -> Simulations {
    let suffix = HostPattern::Suffix(".servicedesk.local".into());
    let rule = HostRule { plain_http: false, host: suffix, port: None, inside: false };
    let mut simulations = simulations(INSTANT_MODEL);
    simulations.desk = DeskConfig { hosts: vec![rule], fake_desk_url: None };
    simulations.fake_desk = Some(fake_desk);
    simulations
}

/// Returns a worker that posts to this fake service desk.
fn worker(app: &TestApp, fake_desk: Uri) -> Worker {
    crate::app::worker(&app.state, &with_desk(fake_desk))
}

/// Returns a clock that stands still.
fn fixed_clock() -> Clock {
    Clock::fixed("2026-01-02T03:04:05Z".parse().unwrap())
}
