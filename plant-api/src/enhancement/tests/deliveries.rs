//! Forged, altered, stale and repeated deliveries.

use futures::future::join_all;

use super::*;
use crate::testing::wait_until;

const NOW: i64 = 1_700_000_000;

/// A service whose clock stands still at [`NOW`], with the tenant `acme`.
async fn app_at_now(pool: PgPool) -> TestApp {
    let clock = Clock::fixed(chrono::DateTime::from_timestamp(NOW, 0).unwrap());
    let app = TestApp::with_required_access(pool, clock).await;
    create_tenant(&app, "acme").await;
    app
}

#[sqlx::test(migrations = "../migrations")]
async fn forged_signatures_are_401_and_store_nothing(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    let body = ticket("TKT-1").to_string().into_bytes();
    let valid = sign(&body, SECRET);
    let one = |value: &str| vec![(SIGNATURE_HEADER, value.to_owned())];
    for (name, headers) in [
        ("none", vec![]),
        ("empty", one("")),
        ("another secret", one(&sign(&body, "another-signing-secret"))),
        ("empty secret", one(&sign(&body, ""))),
        ("of another body", one(&sign(b"{}", SECRET))),
        ("truncated", one(&valid[..62])),
        ("longer", one(&format!("{valid}00"))),
        ("another algorithm", one(&format!("sha1={valid}"))),
        ("base64", one(&BASE64.encode(hmac(SECRET.as_bytes(), &[&body])))),
        ("sent twice", [one(&valid), one(&valid)].concat()),
        ("a valid and a wrong one", [one(&valid), one(&"00".repeat(32))].concat()),
        ("an id alone", vec![(STANDARD_ID_HEADER, "msg".to_owned())]),
    ] {
        let refused = post_with(&app, "acme", &body, &headers).await;
        assert_eq!(refused.status, 401, "{name}: {}", refused.text);
    }
    assert_eq!(counts(&app).await, (0, 0));
    for header in [valid.to_uppercase(), format!("sha256={valid}")] {
        post_with(&app, "acme", &body, &one(&header)).await.expect(202);
    }
    assert_eq!(counts(&app).await, (1, 1));
}

#[sqlx::test(migrations = "../migrations")]
async fn an_altered_body_is_401(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    let body = ticket("TKT-1").to_string();
    let headers = [(SIGNATURE_HEADER, sign(body.as_bytes(), SECRET))];
    // printf '%s' … | gzip: the service does not decompress bodies, nor would its bytes be the signed ones.
    let gzip_header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    for (name, altered) in [
        ("a space", body.replacen('{', "{ ", 1).into_bytes()),
        ("a line at the end", format!("{body}\n").into_bytes()),
        ("an escape", body.replace("mail", "m\\u0061il").into_bytes()),
        ("truncated", body.as_bytes()[..body.len() - 1].to_vec()),
        ("a byte order mark", [b"\xef\xbb\xbf", body.as_bytes()].concat()),
        ("another ticket", body.replace("TKT-1", "TKT-2").into_bytes()),
        ("compressed", [&gzip_header, body.as_bytes()].concat()),
    ] {
        let refused = post_with(&app, "acme", &altered, &headers).await;
        assert_eq!(refused.status, 401, "{name}: {}", refused.text);
    }
    assert_eq!(counts(&app).await, (0, 0));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_delivery_is_processed_once(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    let first = post_signed(&app, "acme", &ticket("TKT-1"), SECRET).await.expect(202);
    let again = post_signed(&app, "acme", &ticket("TKT-1"), SECRET).await.expect(202);
    assert_eq!(again["job_id"], first["job_id"]);
    assert!(again["message"].as_str().unwrap().contains("accepted before"));
    // An id that is not signed does not make it another delivery.
    let body = ticket("TKT-1").to_string().into_bytes();
    let headers = [(SIGNATURE_HEADER, sign(&body, SECRET)), (STANDARD_ID_HEADER, "msg".to_owned())];
    let third = post_with(&app, "acme", &body, &headers).await.expect(202);
    assert_eq!(third["job_id"], first["job_id"]);
    assert_eq!(counts(&app).await, (1, 1));
    // Another tenant's delivery is another one.
    create_tenant(&app, "rose").await;
    let other = post_signed(&app, "rose", &ticket("TKT-1"), SECRET).await.expect(202);
    assert_ne!(other["job_id"], first["job_id"]);
    assert_eq!(counts(&app).await, (2, 2));
}

#[sqlx::test(migrations = "../migrations")]
async fn one_hundred_simultaneous_deliveries_make_one_job(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    let ticket = ticket("TKT-1");
    let posts = (0..100).map(|_| post_signed(&app, "acme", &ticket, SECRET));
    let mut ids: Vec<String> = Vec::new();
    for response in join_all(posts).await {
        ids.push(response.expect(202)["job_id"].to_string());
    }
    ids.dedup();
    assert_eq!((ids.len(), counts(&app).await), (1, (1, 1)));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_recorded_request_without_its_webhook_id_is_no_new_delivery(pool: PgPool) {
    let app = app_at_now(pool).await;
    let body = ticket("TKT-1").to_string().into_bytes();
    let desk = (SIGNATURE_HEADER, sign(&body, SECRET));
    let both = |id| [standard(id, NOW, &body, SECRET.as_bytes()), vec![desk.clone()]].concat();
    let first = post_with(&app, "acme", &body, &both("msg_1")).await.expect(202);
    let second = post_with(&app, "acme", &body, &both("msg_2")).await.expect(202);
    let stripped = post_with(&app, "acme", &body, std::slice::from_ref(&desk)).await.expect(202);
    // Ids of one millisecond of the clock are in no order.
    assert!([&first["job_id"], &second["job_id"]].contains(&&stripped["job_id"]));
    assert_eq!(counts(&app).await, (2, 2));
    // A delivery of another body is a new one.
    post_signed(&app, "acme", &ticket("TKT-2"), SECRET).await.expect(202);
    assert_eq!(counts(&app).await, (3, 3));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_webhook_id_belongs_to_one_body(pool: PgPool) {
    let app = app_at_now(pool).await;
    let [first, other] = ["TKT-1", "TKT-2"].map(|id| ticket(id).to_string().into_bytes());
    let post = async |body: &[u8]| {
        post_with(&app, "acme", body, &standard("msg_1", NOW, body, SECRET.as_bytes())).await
    };
    let accepted = post(&first).await.expect(202);
    assert_eq!(post(&other).await.invalid_fields(), [STANDARD_ID_HEADER]);
    assert_eq!(post(&first).await.expect(202)["job_id"], accepted["job_id"]);
    assert_eq!(counts(&app).await, (1, 1));
    // Of a version that did not store the body.
    sqlx::query("update enhancement_history set body_sha256 = null")
        .execute(&app.owner)
        .await
        .unwrap();
    assert_eq!(post(&other).await.expect(202)["job_id"], accepted["job_id"]);
}

/// A body with its headers.
type SignedBody = (Vec<u8>, Vec<(&'static str, String)>);

/// Posts bodies while nothing can be inserted, so that they wait together. Returns the responses.
async fn post_together(app: &TestApp, posts: Vec<SignedBody>) -> Vec<TestResponse> {
    let mut lock = app.owner.begin().await.unwrap();
    sqlx::query("lock table enhancement_history").execute(&mut *lock).await.unwrap();
    let posts = join_all(posts.iter().map(|(body, headers)| post_with(app, "acme", body, headers)));
    let unlock = async {
        wait_until(async || {
            let waiting: i64 = sqlx::query_scalar(
                "select count(*)
                from pg_locks
                where not granted and relation = 'enhancement_history'::regclass",
            )
            .fetch_one(&app.owner)
            .await
            .unwrap();
            waiting > 0
        })
        .await;
        lock.rollback().await.unwrap();
    };
    futures::join!(posts, unlock).0
}

#[sqlx::test(migrations = "../migrations")]
async fn deliveries_that_are_stored_together_have_their_own_results(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    let known = accept(&app, &ticket("TKT-0")).await;
    let signed = |body: Vec<u8>| {
        let signature = sign(&body, SECRET);
        (body, vec![(SIGNATURE_HEADER, signature)])
    };
    let valid = |id: &str| signed(ticket(id).to_string().into_bytes());
    let mut posts = Vec::new();
    for id in 1..=20 {
        posts.push(valid(&format!("TKT-{id}")));
        posts.push((ticket("TKT-99").to_string().into_bytes(), vec![]));
        posts.push(valid("TKT-0"));
        posts.push(signed(b"{".to_vec()));
        posts.push(signed(ticket("tkt").to_string().into_bytes()));
        posts.push(valid(&format!("TKT-{id}")));
    }
    let mut new = Vec::new();
    for (index, six) in post_together(&app, posts).await.chunks(6).enumerate() {
        let statuses: Vec<u16> = six.iter().map(|response| response.status.as_u16()).collect();
        assert_eq!(statuses, [202, 401, 202, 400, 422, 202]);
        let accepted = [&six[0], &six[2], &six[5]].map(|r| serde_json::from_str(&r.text).unwrap());
        let [first, old, again]: [Value; 3] = accepted;
        assert_eq!(old["job_id"], known.to_string());
        assert_eq!(first["job_id"], again["job_id"]);
        let location = format!("/enhancements/TKT-{}?tenant_id=acme", index + 1);
        assert_eq!(six[0].header("location"), Some(&*location));
        new.push(first["job_id"].as_str().unwrap().to_owned());
    }
    new.sort_unstable();
    new.dedup();
    assert_eq!((new.len(), counts(&app).await), (20, (21, 21)));
    let turns: Vec<i64> = sqlx::query_scalar("select distinct turn from job order by turn")
        .fetch_all(&app.owner)
        .await
        .unwrap();
    assert!(turns.len() > 4, "another tenant's jobs come between these: {turns:?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn one_that_the_database_refuses_does_not_fail_those_stored_with_it(pool: PgPool) {
    let app = app_with_tenant(pool).await;
    let refuse = "alter table enhancement_history add check (event <> 'refused')";
    sqlx::query(refuse).execute(&app.owner).await.unwrap();
    let posts = (0..20).map(|id| {
        let mut ticket = ticket(&format!("TKT-{id}"));
        if id == 13 {
            ticket["event"] = json!("refused");
        }
        let body = ticket.to_string().into_bytes();
        let signature = sign(&body, SECRET);
        (body, vec![(SIGNATURE_HEADER, signature)])
    });
    let responses = post_together(&app, posts.collect()).await;
    let statuses: Vec<u16> = responses.iter().map(|response| response.status.as_u16()).collect();
    let expected: Vec<u16> = (0..20).map(|id| if id == 13 { 500 } else { 202 }).collect();
    assert_eq!(statuses, expected);
    assert_eq!(counts(&app).await, (19, 19));
}

#[sqlx::test(migrations = "../migrations")]
async fn standard_webhooks_are_accepted_within_their_bounds(pool: PgPool) {
    let app = app_at_now(pool).await;
    let body = ticket("TKT-1").to_string().into_bytes();
    for (index, (age, status)) in
        [(301, 401), (300, 202), (0, 202), (-30, 202), (-31, 401)].into_iter().enumerate()
    {
        let id = format!("msg_{index}");
        let headers = standard(&id, NOW - age, &body, SECRET.as_bytes());
        post_with(&app, "acme", &body, &headers).await.expect(status);
    }
    // Three ids of one body are three deliveries; each of them is processed once.
    assert_eq!(counts(&app).await, (3, 3));
    for id in ["msg_1", "msg_2"] {
        let headers = standard(id, NOW, &body, SECRET.as_bytes());
        post_with(&app, "acme", &body, &headers).await.expect(202);
    }
    assert_eq!(counts(&app).await, (3, 3));
    // A recorded request is refused when it is older than 300 s.
    let recorded = standard("msg_9", NOW, &body, SECRET.as_bytes());
    app.state.clock.advance(chrono::TimeDelta::seconds(301));
    post_with(&app, "acme", &body, &recorded).await.expect(401);
    let long_id = standard(&"x".repeat(191), NOW + 301, &body, SECRET.as_bytes());
    let fields = post_with(&app, "acme", &body, &long_id).await.invalid_fields();
    assert_eq!(fields, [STANDARD_ID_HEADER]);
    let longest_id = standard(&"x".repeat(190), NOW + 301, &body, SECRET.as_bytes());
    post_with(&app, "acme", &body, &longest_id).await.expect(202);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_standard_secret_is_decoded_for_its_form_only(pool: PgPool) {
    let app = app_at_now(pool).await;
    let key = b"twenty-four bytes of key";
    let secret = format!("whsec_{}", BASE64.encode(key));
    let changes = json!({"webhook_signing_secret": secret, "grace_seconds": 0});
    change_tenant(&app, "acme", changes).await;
    let body = ticket("TKT-1").to_string().into_bytes();
    let decoded = standard("msg_1", NOW, &body, key);
    post_with(&app, "acme", &body, &decoded).await.expect(202);
    let literal = standard("msg_2", NOW, &body, secret.as_bytes());
    post_with(&app, "acme", &body, &literal).await.expect(401);
    post_signed(&app, "acme", &ticket("TKT-2"), &secret).await.expect(202);
    // Both forms at once must both be valid.
    let both = |hex: String| {
        let mut headers = standard("msg_3", NOW, &body, key);
        headers.push((SIGNATURE_HEADER, hex));
        headers
    };
    post_with(&app, "acme", &body, &both("00".repeat(32))).await.expect(401);
    post_with(&app, "acme", &body, &both(sign(&body, &secret))).await.expect(202);
}
