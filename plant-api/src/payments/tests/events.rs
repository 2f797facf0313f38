//! Events of the provider: repeated, early, late, contradictory, forged, of unknown payments.

use axum::http::HeaderValue;
use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    WEBHOOK, app_with_account, balances, create_payment, event, event_log, post_event, status,
    webhook_request,
};
use crate::clock::Clock;
use crate::config::Secret;
use crate::signature::{SIGNATURE_HEADER, WebhookKey};
use crate::testing::{TestApp, UNKNOWN_ID};
use crate::token::Role;

const CAPTURED: [&str; 2] = ["provider 2999 EUR", "revenue -2999 EUR"];
const REFUNDED: [&str; 2] = ["refunds 2999 EUR", "revenue -2999 EUR"];

/// Events in the order of arrival, and what must become of them. An event is its kind and, after
/// `#`, a number that makes it another event of that kind.
struct Row {
    events: &'static [&'static str],
    outcomes: &'static [&'static str],
    /// The log at the end, where it differs from the outcomes: kept events have been applied.
    log: &'static [&'static str],
    status: &'static str,
    balances: &'static [&'static str],
}

const ROWS: [Row; 15] = [
    Row {
        events: &["waiting_for_capture", "succeeded"],
        outcomes: &["applied", "applied"],
        log: &["applied", "applied"],
        status: "succeeded",
        balances: &CAPTURED,
    },
    Row {
        events: &["waiting_for_capture", "succeeded", "refunded"],
        outcomes: &["applied", "applied", "applied"],
        log: &["applied", "applied", "applied"],
        status: "refunded",
        balances: &REFUNDED,
    },
    Row {
        events: &["waiting_for_capture", "canceled"],
        outcomes: &["applied", "applied"],
        log: &["applied", "applied"],
        status: "canceled",
        balances: &[],
    },
    Row {
        events: &["waiting_for_capture", "failed"],
        outcomes: &["applied", "applied"],
        log: &["applied", "applied"],
        status: "failed",
        balances: &[],
    },
    // Repeated.
    Row {
        events: &[
            "waiting_for_capture",
            "waiting_for_capture",
            "succeeded",
            "succeeded",
            "waiting_for_capture",
            "refunded",
            "refunded",
            "succeeded",
        ],
        outcomes: &[
            "applied", "repeated", "applied", "repeated", "repeated", "applied", "repeated",
            "repeated",
        ],
        log: &[
            "applied", "repeated", "applied", "repeated", "repeated", "applied", "repeated",
            "repeated",
        ],
        status: "refunded",
        balances: &REFUNDED,
    },
    // Early.
    Row {
        events: &["succeeded"],
        outcomes: &["kept"],
        log: &["kept"],
        status: "pending",
        balances: &[],
    },
    Row {
        events: &["succeeded", "waiting_for_capture"],
        outcomes: &["kept", "applied"],
        log: &["applied", "applied"],
        status: "succeeded",
        balances: &CAPTURED,
    },
    Row {
        events: &["refunded", "succeeded", "waiting_for_capture"],
        outcomes: &["kept", "kept", "applied"],
        log: &["applied", "applied", "applied"],
        status: "refunded",
        balances: &REFUNDED,
    },
    Row {
        events: &["waiting_for_capture", "refunded", "succeeded"],
        outcomes: &["applied", "kept", "applied"],
        log: &["applied", "applied", "applied"],
        status: "refunded",
        balances: &REFUNDED,
    },
    Row {
        events: &["succeeded", "succeeded", "waiting_for_capture", "succeeded"],
        outcomes: &["kept", "repeated", "applied", "repeated"],
        log: &["applied", "repeated", "applied", "repeated"],
        status: "succeeded",
        balances: &CAPTURED,
    },
    // Contradictory: the first one decides.
    Row {
        events: &["waiting_for_capture", "succeeded", "canceled", "failed"],
        outcomes: &["applied", "applied", "ignored", "ignored"],
        log: &["applied", "applied", "ignored", "ignored"],
        status: "succeeded",
        balances: &CAPTURED,
    },
    Row {
        events: &["waiting_for_capture", "canceled", "succeeded", "refunded"],
        outcomes: &["applied", "applied", "ignored", "ignored"],
        log: &["applied", "applied", "ignored", "ignored"],
        status: "canceled",
        balances: &[],
    },
    Row {
        events: &["failed", "succeeded", "refunded", "waiting_for_capture"],
        outcomes: &["kept", "kept", "kept", "applied"],
        log: &["applied", "ignored", "ignored", "applied"],
        status: "failed",
        balances: &[],
    },
    // Another event of the same kind changes nothing.
    Row {
        events: &["waiting_for_capture", "waiting_for_capture#2", "succeeded", "succeeded#2"],
        outcomes: &["applied", "ignored", "applied", "ignored"],
        log: &["applied", "ignored", "applied", "ignored"],
        status: "succeeded",
        balances: &CAPTURED,
    },
    Row {
        events: &["succeeded#2", "succeeded", "waiting_for_capture"],
        outcomes: &["kept", "kept", "applied"],
        log: &["applied", "ignored", "applied"],
        status: "succeeded",
        balances: &CAPTURED,
    },
];

#[sqlx::test(migrations = "../migrations")]
async fn events_in_any_order_lead_to_the_specified_status_and_ledger(pool: PgPool) {
    let app = app_with_account(pool).await;
    for Row { events, outcomes, log, status: expected, balances: expected_balances } in ROWS {
        sqlx::query("truncate payment_event, ledger_transaction cascade")
            .execute(&app.owner)
            .await
            .unwrap();
        let payment = create_payment(&app).await;
        let mut received = Vec::new();
        for name in events {
            let kind = name.split('#').next().unwrap();
            let id = Uuid::new_v5(&payment, name.as_bytes());
            let receipt = post_event(&app, &event(id, kind, payment)).await.expect(200);
            received.push(receipt["outcome"].as_str().unwrap().to_owned());
            assert_eq!(receipt["status"], status(&app, payment).await, "{events:?}");
        }
        assert_eq!(received, outcomes, "{events:?}");
        assert_eq!(status(&app, payment).await, expected, "{events:?}");
        assert_eq!(balances(&app).await, expected_balances, "{events:?}");
        let kinds = events.iter().map(|name| name.split('#').next().unwrap());
        let expected_log: Vec<_> =
            kinds.zip(log).map(|(kind, outcome)| format!("{kind} {outcome}")).collect();
        assert_eq!(event_log(&app).await, expected_log, "{events:?}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn simultaneous_events_are_applied_once(pool: PgPool) {
    let app = app_with_account(pool).await;
    let payment = create_payment(&app).await;
    let kinds = ["succeeded", "waiting_for_capture", "refunded", "canceled", "failed"];
    let ids = kinds.map(|_| Uuid::new_v4());
    // Equal events are adjacent, so that they are received at the same time.
    let events = (0..100).map(|n| event(ids[n / 20], kinds[n / 20], payment)).collect::<Vec<_>>();
    let posts = events.iter().map(|event| post_event(&app, event));
    let receipts = futures::future::join_all(posts).await;
    assert!(receipts.iter().all(|receipt| receipt.status == 200));
    let applied: Vec<String> =
        sqlx::query_scalar("select kind from payment_event where outcome = 'applied'")
            .fetch_all(&app.owner)
            .await
            .unwrap();
    let log = event_log(&app).await;
    assert_eq!(log.len(), 100);
    let repeated = log.iter().filter(|entry| entry.ends_with(" repeated")).count();
    assert_eq!(repeated, 95, "{log:?}");
    let (end, expected) = (status(&app, payment).await, balances(&app).await);
    match end.as_str() {
        "refunded" => assert_eq!((applied.len(), expected), (3, REFUNDED.map(String::from).into())),
        "canceled" | "failed" => assert_eq!((applied.len(), expected), (2, Vec::new())),
        other => panic!("{other}: {log:?}"),
    }
}

/// Asserts that nothing was logged or changed, except the metric.
async fn assert_forged(app: &TestApp, payment: Uuid, count: u64) {
    assert_eq!(event_log(app).await, [""; 0]);
    assert_eq!(status(app, payment).await, "pending");
    let metrics = app.get("/metrics").await.text;
    let counted = format!("payment_events_total{{outcome=\"forged\"}} {count}\n");
    assert!(metrics.contains(&counted), "{metrics}");
}

#[sqlx::test(migrations = "../migrations")]
async fn forged_events_are_401_and_leave_no_trace(pool: PgPool) {
    let clock = Clock::fixed(DateTime::from_timestamp(1_790_000_000, 0).unwrap());
    let app = TestApp::with_clock(pool, clock).await.with_account_of("lotus", Role::User).await;
    let payment = create_payment(&app).await;
    let body = event(Uuid::new_v4(), "waiting_for_capture", payment).to_string();
    let (key, now) = (&app.state.access_policy.webhook_key, app.state.clock.now());
    let other_key = WebhookKey::new(&Secret("another secret of 32 bytes or so".into())).unwrap();
    let other_body = event(Uuid::new_v4(), "waiting_for_capture", payment).to_string();
    let minutes = TimeDelta::minutes(5) + TimeDelta::seconds(1);
    for (count, signature) in [
        None,
        Some("forged".to_owned()),
        Some(other_key.sign(body.as_bytes(), now)),
        Some(key.sign(other_body.as_bytes(), now)),
        Some(key.sign(body.as_bytes(), now - minutes)),
        Some(key.sign(body.as_bytes(), now + minutes)),
    ]
    .into_iter()
    .enumerate()
    {
        app.send(webhook_request(&body, signature.as_deref())).await.expect(401);
        assert_forged(&app, payment, count as u64 + 1).await;
    }
    // Not even the form of a body is checked before its signature.
    app.send(webhook_request("no JSON", Some("forged"))).await.expect(401);
    let signature = key.sign(body.as_bytes(), now);
    app.send(webhook_request(&body, Some(&signature))).await.expect(200);
    let signature = key.sign(b"no JSON", now);
    app.send(webhook_request("no JSON", Some(&signature))).await.expect(400);
    // One right signature of two.
    let signature = HeaderValue::try_from(key.sign(body.as_bytes(), now)).unwrap();
    for second in [signature.clone(), HeaderValue::from_static("forged")] {
        let mut request = webhook_request(&body, signature.to_str().ok());
        request.headers_mut().append(SIGNATURE_HEADER, second);
        app.send(request).await.expect(401);
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_event_of_an_impossible_time_or_type_is_refused_and_counted(pool: PgPool) {
    let app = app_with_account(pool).await;
    let payment = create_payment(&app).await;
    let valid = event(Uuid::new_v4(), "waiting_for_capture", payment);
    for (field, value) in [
        ("created_at", "-5000-01-01T00:00:00Z"),
        ("created_at", "1969-12-31T23:59:59Z"),
        ("created_at", "+262000-01-01T00:00:00Z"),
        ("type", "disputed"),
    ] {
        let refused = post_event(&app, &changed(&valid, field, json!(value))).await;
        assert_eq!(refused.invalid_fields(), [field], "{value}");
    }
    let invalid = app.state.metrics.payment_events.with_label_values(&["invalid"]).get();
    assert_eq!(invalid, 4);
    post_event(&app, &valid).await.expect(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn one_event_id_for_two_payments_at_once_is_processed_for_one(pool: PgPool) {
    let app = app_with_account(pool).await;
    for _ in 0..10 {
        let (first, second) = (create_payment(&app).await, create_payment(&app).await);
        let id = Uuid::new_v4();
        let (one, other) = (event(id, "succeeded", first), event(id, "succeeded", second));
        let (one, other) = tokio::join!(post_event(&app, &one), post_event(&app, &other));
        let mut statuses = [one.status.as_u16(), other.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 422]);
        for payment in [first, second] {
            let reserved = event(Uuid::new_v4(), "waiting_for_capture", payment);
            post_event(&app, &reserved).await.expect(200);
        }
    }
}

/// Changes one field of an event.
fn changed(event: &Value, field: &str, value: Value) -> Value {
    let mut event = event.clone();
    event[field] = value;
    event
}

#[sqlx::test(migrations = "../migrations")]
async fn events_of_unknown_or_foreign_payments_are_logged_and_change_nothing(pool: PgPool) {
    let app = app_with_account(pool).await;
    let unknown: Uuid = UNKNOWN_ID.parse().unwrap();
    let id = Uuid::new_v4();
    for _ in 0..2 {
        let refused = post_event(&app, &event(id, "waiting_for_capture", unknown)).await;
        assert_eq!(refused.expect(404)["detail"], "there is no such payment of this provider");
    }
    let foreign = create_payment(&app).await;
    sqlx::query("update payment set provider = 'another'").execute(&app.owner).await.unwrap();
    post_event(&app, &event(Uuid::new_v4(), "waiting_for_capture", foreign)).await.expect(404);
    assert_eq!(status(&app, foreign).await, "pending");
    assert_eq!(event_log(&app).await, ["waiting_for_capture unknown_payment"; 3]);

    // The same event is applied once the payment is known.
    sqlx::query("update payment set provider = 'simulated'").execute(&app.owner).await.unwrap();
    let accepted = post_event(&app, &event(id, "waiting_for_capture", foreign)).await.expect(200);
    assert_eq!(accepted["outcome"], "applied");

    let body = event(id, "waiting_for_capture", foreign).to_string();
    let key = &app.state.access_policy.webhook_key;
    let signature = key.sign(body.as_bytes(), app.state.clock.now());
    let mut request = webhook_request(&body, Some(&signature));
    *request.uri_mut() = WEBHOOK.replace("simulated", "another").parse().unwrap();
    let refused = app.send(request).await;
    assert_eq!(refused.expect(404)["detail"], "there is no such payment provider");
}

#[sqlx::test(migrations = "../migrations")]
async fn events_that_do_not_match_their_payment_are_logged_and_change_nothing(pool: PgPool) {
    let app = app_with_account(pool).await;
    let (payment, other) = (create_payment(&app).await, create_payment(&app).await);
    let valid = event(Uuid::new_v4(), "waiting_for_capture", payment);
    post_event(&app, &changed(&valid, "amount", json!(9.99))).await.expect(422);
    post_event(&app, &changed(&valid, "currency", json!("USD"))).await.expect(422);
    assert_eq!(status(&app, payment).await, "pending");
    post_event(&app, &valid).await.expect(200);
    // Another event with the id of an applied one.
    post_event(&app, &changed(&valid, "type", json!("succeeded"))).await.expect(422);
    post_event(&app, &changed(&valid, "payment_id", json!(other))).await.expect(422);
    assert_eq!(status(&app, payment).await, "waiting_for_capture");
    assert_eq!(status(&app, other).await, "pending");
    let log = event_log(&app).await;
    let mismatched = log.iter().filter(|entry| entry.ends_with(" mismatched")).count();
    assert_eq!((mismatched, log.len()), (4, 5));
}
