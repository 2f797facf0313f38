//! What is sent to service desks, and what becomes of their responses.

use std::time::Duration;

use axum::http::header;
use axum::response::Redirect;
use prometheus::IntGauge;

use super::*;
use crate::config::Secret;
use crate::enhancement::circuits::Circuits;
use crate::enhancement::desk::{AllowList, Desk, DeskError, Note};
use crate::enhancement::tenants::DeskAccess;
use crate::http_client::{HttpClient, Reach};

/// Posts a note to this URL with this list of hosts.
async fn post(hosts: &[String], url: String) -> Result<(), DeskError> {
    let rules = hosts.iter().map(|host| host.parse().unwrap()).collect();
    let circuits = Circuits::new(Clock::System, IntGauge::new("open", "open").unwrap());
    let desk = Desk::new(AllowList::new(rules, None), HttpClient::new(Reach::Any), circuits);
    let access = DeskAccess { url, api_key: Secret("the api key".into()) };
    desk.post(&access, &Note { key: Uuid::nil(), ticket_id: "TKT-1", text: "Hello" }).await
}

#[tokio::test]
async fn a_listed_name_with_an_inside_address_is_refused_unless_the_entry_allows_it() {
    let (receiver, url) = Receiver::start(Vec::new()).await;
    let url = format!("http://localhost:{}/desk/", url.port_u16().unwrap());
    let entry = url.trim_end_matches("/desk/").to_owned();
    let refused = post(std::slice::from_ref(&entry), url.clone()).await.unwrap_err();
    let DeskError::Rejected(reason) = &refused else { panic!("{refused:?}") };
    assert!(reason.contains("not a public address"), "{reason}");
    assert!(receiver.received().is_empty());
    post(&[format!("{entry}+inside")], url).await.unwrap();
    assert_eq!(receiver.received()[0].path, "/desk/api/v3/requests/TKT-1/notes");
}

#[tokio::test]
async fn a_listed_address_is_contacted_and_no_other() {
    let (receiver, url) = Receiver::start(Vec::new()).await;
    let entry = url.to_string().trim_end_matches('/').to_owned();
    post(std::slice::from_ref(&entry), entry.clone()).await.unwrap();
    let port = url.port_u16().unwrap();
    for other in
        ["127.1", "2130706433", "0x7f000001", "127.0.0.2", "[::ffff:127.0.0.1]", "localhost"]
    {
        let url = format!("http://{other}:{port}");
        let refused = post(std::slice::from_ref(&entry), url).await;
        assert!(matches!(refused, Err(DeskError::Rejected(_))), "{other}: {refused:?}");
    }
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn redirects_are_rejected() {
    let (other, other_url) = Receiver::start(Vec::new()).await;
    let redirect = Redirect::temporary(&other_url.to_string()).into_response();
    let (_, url) = Receiver::start(vec![redirect]).await;
    let entry = url.to_string().trim_end_matches('/').to_owned();
    let rejected = post(std::slice::from_ref(&entry), entry.clone()).await;
    assert!(matches!(rejected, Err(DeskError::Rejected(_))), "{rejected:?}");
    assert!(other.received().is_empty());
}

#[tokio::test]
async fn a_429_without_a_delay_defers_for_five_seconds() {
    for (value, seconds) in [("7", 7), ("soon", 5)] {
        let response = (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, value)]);
        let (_, url) = Receiver::start(vec![response.into_response()]).await;
        let entry = url.to_string().trim_end_matches('/').to_owned();
        let deferred = post(std::slice::from_ref(&entry), entry.clone()).await;
        let Err(DeskError::Deferred { after, .. }) = deferred else { panic!("{deferred:?}") };
        assert_eq!(after, Duration::from_secs(seconds));
    }
}

#[tokio::test]
async fn a_desk_that_cannot_be_reached_has_failed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let failed = post(std::slice::from_ref(&url), url.clone()).await;
    assert!(matches!(failed, Err(DeskError::Failed(_))), "{failed:?}");
}
