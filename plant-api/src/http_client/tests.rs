use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::Redirect;
use axum::routing::get;
use bytes::Bytes;
use http_body_util::Full;
use tokio::net::TcpListener;

use super::{ClientError, HttpClient, MAX_RESPONSE_BYTES, Reach, Response};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Starts a server and returns its port.
async fn start(router: Router) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(axum::serve(listener, router).into_future());
    port
}

async fn fetch(reach: Reach, url: String, timeout: Duration) -> Result<Response, ClientError> {
    let request = Request::get(url).body(Full::new(Bytes::new())).unwrap();
    HttpClient::new(reach).send(request, timeout).await
}

#[tokio::test]
async fn a_name_of_an_inside_address_is_refused_before_the_connection() {
    let port = start(Router::new().route("/", get(|| async { "hello" }))).await;
    let url = format!("http://localhost:{port}/");
    let response = fetch(Reach::Any, url.clone(), TIMEOUT).await.unwrap();
    assert_eq!(response.body.unwrap(), "hello");
    let refused = fetch(Reach::Public, url.clone(), TIMEOUT).await.unwrap_err();
    let ClientError::Inside(inside) = &refused else { panic!("{refused}") };
    assert!(inside.name == "localhost" && inside.address.is_loopback());
    let refused = fetch(Reach::Public, url.replace("http", "https"), TIMEOUT).await.unwrap_err();
    assert!(matches!(refused, ClientError::Inside(_)), "{refused}");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let router = Router::new().route("/", get(|| async { Redirect::temporary("/other") }));
    let port = start(router).await;
    let response = fetch(Reach::Any, format!("http://127.0.0.1:{port}/"), TIMEOUT).await.unwrap();
    assert_eq!(response.status, StatusCode::TEMPORARY_REDIRECT);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_not_kept() {
    let sized = |size: usize| get(move || async move { "x".repeat(size) });
    let router = Router::new()
        .route("/largest", sized(MAX_RESPONSE_BYTES))
        .route("/larger", sized(MAX_RESPONSE_BYTES + 1));
    let port = start(router).await;
    for (path, kept) in [("largest", true), ("larger", false)] {
        let url = format!("http://127.0.0.1:{port}/{path}");
        let response = fetch(Reach::Any, url, TIMEOUT).await.unwrap();
        assert_eq!((response.status, response.body.is_some()), (StatusCode::OK, kept));
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_times_out_but_its_status_counts_without_the_rest() {
    let endless =
        || async { Body::from_stream(futures::stream::pending::<Result<Bytes, String>>()) };
    let router = Router::new()
        .route("/silent", get(|| async { std::future::pending::<()>().await }))
        .route("/endless", get(endless));
    let port = start(router).await;
    let fetch = |path: &str| {
        let url = format!("http://127.0.0.1:{port}/{path}");
        fetch(Reach::Any, url, Duration::from_secs(1))
    };
    let (silent, endless) = futures::join!(fetch("silent"), fetch("endless"));
    let error = silent.unwrap_err();
    assert!(matches!(error, ClientError::Timeout(_)), "{error}");
    let endless = endless.unwrap();
    assert_eq!((endless.status, endless.body), (StatusCode::OK, None));
}

#[tokio::test]
async fn retry_after_is_read_in_seconds_or_as_a_date() {
    let with_header = |value: &'static str| get(move || async move { [("retry-after", value)] });
    let with_dates = |now: &'static str, until: &'static str| {
        get(move || async move { [("date", now), ("retry-after", until)] })
    };
    const AT: &str = "Wed, 21 Oct 2026 07:28:00 GMT";
    let router = Router::new()
        .route("/seconds", with_header("7"))
        .route("/days", with_header("864000"))
        .route("/date", with_dates("Wed, 21 Oct 2026 07:27:39 GMT", AT))
        .route("/past", with_dates("Wed, 21 Oct 2026 07:28:01 GMT", AT))
        .route("/words", with_header("soon"));
    let port = start(router).await;
    for (path, expected) in [
        ("seconds", Some(7)),
        ("days", Some(300)),
        ("date", Some(21)),
        ("past", Some(0)),
        ("words", None),
    ] {
        let url = format!("http://127.0.0.1:{port}/{path}");
        let response = fetch(Reach::Any, url, TIMEOUT).await.unwrap();
        assert_eq!(response.retry_after, expected.map(Duration::from_secs), "{path}");
    }
}

#[tokio::test]
async fn an_unreachable_server_is_a_connection_error_with_its_cause() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let error = fetch(Reach::Any, url, TIMEOUT).await.unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_client_may_have_another_limit_of_bodies() {
    let body = || async { "x".repeat(MAX_RESPONSE_BYTES + 1) };
    let url = format!("http://127.0.0.1:{}/", start(Router::new().route("/", get(body))).await);
    for (limit, kept) in [(MAX_RESPONSE_BYTES, false), (MAX_RESPONSE_BYTES + 1, true)] {
        let client = HttpClient::new(Reach::Any).with_max_response_bytes(limit);
        let request = Request::get(&url).body(Full::new(Bytes::new())).unwrap();
        let response = client.send(request, TIMEOUT).await.unwrap();
        assert_eq!(response.body.is_some(), kept, "{limit}");
    }
}
