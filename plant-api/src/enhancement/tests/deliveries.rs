//! Forged, altered, stale and repeated deliveries.

use futures::future::join_all;

use super::*;

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
