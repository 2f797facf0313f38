//! `/api/v1/payments`: payments of the authenticated account; `/api/v1/webhooks/payments`: events of
//! the provider.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::event::{Event, Outcome};
use super::{NewPayment, Payment, Status, job, provider, receive, sql};
use crate::access::AuthenticatedAccount;
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Problem, Result};
use crate::etag::Preconditions;
use crate::extract::{FromBody, Json, Path, read_json, require_json};
use crate::metrics::Metrics;
use crate::page::{self, Page, PageParams};
use crate::queue::Queue;
use crate::signature::SIGNATURE_HEADER;
use crate::state::{AccessPolicy, AppState};
use crate::write::{StoredResponse, Write, WriteRequest, WriteTransaction};

/// Returns the routes of payments and of their events.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(list))
        .routes(routes!(find))
        .routes(routes!(receive_event))
}

#[utoipa::path(
    post,
    path = "/api/v1/payments/create",
    tag = "payments",
    security(("bearer" = [])),
    summary = "Create a payment for a plan",
    description = "The plan determines the price: 9.99, 29.99 or 99.99. The payment is `pending` until \
        the provider reports what became of it.",
    request_body(
        content = NewPayment,
        example = json!({"plan_id": "pro", "amount": 29.99, "currency": "USD"})
    ),
    responses(
        (status = 201, description = "The payment was created", body = Payment),
        (status = 403, description = "The admin key has no account", body = Problem)
    )
)]
async fn create(
    State(clock): State<Clock>,
    State(queue): State<Queue>,
    Write { caller, body: Json(new), mut tx }: Write<Json<NewPayment>, AuthenticatedAccount>,
) -> Result<StoredResponse> {
    let (payment, job) = super::create(&mut tx, &clock, &caller, new).await?;
    let location = format!("/api/v1/payments/{}", payment.id);
    tx.after_commit(move || queue.push_later(job::KIND.queue, job));
    tx.finish(StoredResponse::created(location, payment.status.name(), &payment)?).await
}

#[utoipa::path(
    get,
    path = "/api/v1/payments",
    tag = "payments",
    security(("bearer" = [])),
    summary = "List the account's payments, newest first",
    params(PageParams),
    responses(
        (status = 200, description = "A page of payments", body = Vec<Payment>),
        (status = 403, description = "The admin key has no account", body = Problem)
    )
)]
async fn list(
    State(db): State<Db>,
    account: AuthenticatedAccount,
    page: Page,
    conditions: Preconditions,
) -> Result<Response> {
    let mut connection = db.acquire().await?;
    let rows = sql::list(&mut *connection, account.id, &page).await?;
    let payments = page.to_cached_response(page::rows(rows), |payment| payment.id).await?;
    Ok(conditions.respond_cached(&payments))
}

#[utoipa::path(
    get,
    path = "/api/v1/payments/{id}",
    tag = "payments",
    security(("bearer" = [])),
    summary = "Get a payment",
    params(("id" = Uuid, Path, description = "Id of a payment that `POST /api/v1/payments/create` has returned")),
    responses(
        (status = 200, description = "The payment", body = Payment),
        (status = 403, description = "The admin key has no account", body = Problem),
        (status = 404, description = "There is no such payment, or it belongs to another account", body = Problem)
    )
)]
async fn find(
    State(db): State<Db>,
    account: AuthenticatedAccount,
    Path(id): Path<Uuid>,
    conditions: Preconditions,
) -> Result<Response> {
    let mut connection = db.acquire().await?;
    let payment = sql::find(&mut *connection, id, account.id).await?;
    let payment = payment.ok_or_else(|| Error::no_such("payment"))?;
    conditions.respond(payment.status.name(), &payment)
}

/// A JSON body that is parsed only after its signature was verified.
struct SignedBody {
    signature: Option<String>,
    body: Vec<u8>,
}

impl FromBody for SignedBody {
    fn check_headers(headers: &HeaderMap) -> Result<()> {
        require_json(headers)
    }

    fn from_body(headers: &HeaderMap, body: &[u8]) -> Result<Self> {
        // Of two signatures a proxy might have verified the other one.
        let mut signatures = headers.get_all(SIGNATURE_HEADER).iter();
        let signature = match (signatures.next(), signatures.next()) {
            (Some(signature), None) => signature.to_str().ok(),
            _ => None,
        };
        Ok(Self { signature: signature.map(str::to_owned), body: body.to_owned() })
    }
}

/// Response to an event.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = PaymentEventReceipt)]
struct Receipt {
    /// Id of the event.
    event_id: Uuid,
    /// Id of the payment.
    payment_id: Uuid,
    /// What became of the event.
    outcome: Outcome,
    /// Status of the payment after the event.
    status: Option<Status>,
}

#[utoipa::path(
    post,
    path = "/api/v1/webhooks/payments/{provider}",
    tag = "payments",
    summary = "Receive an event of the payment provider",
    description = "The event must be signed: `X-Webhook-Signature: t=<Unix seconds>,v1=<hex>`, the \
        HMAC-SHA256 of `<Unix seconds>.<body>` under the secret shared with the provider. A signature \
        is valid for five minutes, so the example is refused without one.\n\nEvents may be sent repeatedly and in any order. Each is logged, \
        and applied at most once: when the payment has the status that it follows.",
    params(
        ("provider" = String, Path, description = "Name of the provider: `simulated`", example = "simulated", pattern = "^simulated$"),
        ("X-Webhook-Signature" = Option<String>, Header, description = "Signature of the body")
    ),
    request_body = Event,
    responses(
        (status = 200, description = "The event was logged; `outcome` says what became of it", body = Receipt),
        (status = 401, description = "The signature is missing, invalid or too old", body = Problem),
        (status = 404, description = "There is no such provider, or it has no such payment", body = Problem)
    )
)]
async fn receive_event(
    State(state): State<AppState>,
    State(policy): State<AccessPolicy>,
    State(metrics): State<Metrics>,
    Path(provider): Path<String>,
    WriteRequest { body: signed, .. }: WriteRequest<SignedBody>,
) -> Result<StoredResponse> {
    if provider != provider::NAME {
        return Err(Error::no_such("payment provider"));
    }
    let SignedBody { signature, body } = signed;
    let signature = signature.unwrap_or_default();
    if !policy.webhook_key.verify(&signature, &body, state.clock.now()) {
        metrics.payment_events.with_label_values(&["forged"]).inc();
        return Err(Error::Unauthenticated(
            "the X-Webhook-Signature is missing, invalid or more than five minutes off",
        ));
    }
    let event: Event = read_json(&body).inspect_err(|error| {
        metrics.payment_events.with_label_values(&["invalid"]).inc();
        tracing::warn!(%provider, %error, "signed event of the payment provider was refused");
    })?;
    let mut tx = WriteTransaction::without_key(&state).await?;
    let received = receive::receive(&mut tx, &state.clock, &provider, &event).await?;
    let (event_id, payment_id, outcome) = (event.id, event.payment_id, received.outcome);
    tx.after_commit(move || metrics.payment_events.with_label_values(&[outcome.name()]).inc());
    let receipt = Receipt { event_id, payment_id, outcome, status: received.status };
    let response = tx.finish(StoredResponse::json(&receipt)?).await?;
    match outcome {
        Outcome::UnknownPayment => Err(Error::no_such("payment of this provider")),
        Outcome::Mismatched => Err(Error::invalid(
            "",
            "mismatch",
            "amount or currency are not those of the payment, or another event had this id",
        )),
        Outcome::Applied | Outcome::Kept | Outcome::Repeated | Outcome::Ignored => Ok(response),
    }
}
