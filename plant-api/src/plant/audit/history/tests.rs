use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::plant::chain::{Amendment, Format};
use crate::plant::entity;
use crate::testing::{TestApp, json_request};

/// Appends an amendment with any content and a correct link, as the owner of the database.
async fn append(app: &TestApp, id: &str, content: &[u8]) {
    let id: Uuid = id.parse().unwrap();
    let base = entity::sql::find(&app.owner, id).await.unwrap().unwrap();
    let amendment =
        Amendment::after(Format::NEWEST, base.identity(), base.head(), content.to_vec());
    let mut tx = app.owner.begin().await.unwrap();
    sqlx::raw_sql("alter table base_entity disable trigger user").execute(&mut *tx).await.unwrap();
    sqlx::query("insert into amendment values ($1, $2, default, $3, $4, $5)")
        .bind(id)
        .bind(base.chain_length)
        .bind(&amendment.content)
        .bind(&amendment.content_hash.0[..])
        .bind(&amendment.link.0[..])
        .execute(&mut *tx)
        .await
        .unwrap();
    sqlx::query("update base_entity set chain_length = $2, version_hash = $3 where id = $1")
        .bind(id)
        .bind(base.chain_length + 1)
        .bind(&amendment.link.0[..])
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

fn evolution(data: &str) -> String {
    let (actor, time) = ("genesis", "2026-01-14T09:30:00Z");
    format!(r#"{{"actor":"{actor}","change_type":"evolution","data":{data},"timestamp":"{time}"}}"#)
}

#[sqlx::test(migrations = "../migrations")]
async fn an_amendment_that_cannot_be_read_is_shown_as_broken(pool: PgPool) {
    let app = TestApp::new(pool).await;
    for (n, content) in [
        b"not JSON".to_vec(),
        b"{}".to_vec(),
        evolution("[]").into_bytes(),
        evolution("{}").replace("evolution", "growth").into_bytes(),
        [evolution("{}").as_bytes(), b"\xff"].concat(),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("Industry {n}");
        let id = app.create("/api/v1/industries", json!({"name": name})).await;
        append(&app, &id, &content).await;

        let chain = app.get(&format!("/api/v1/entities/{id}/amendments")).await.expect(200);
        assert_eq!(chain[0]["change_type"], "creation");
        let broken = chain[1].as_object().unwrap();
        let keys: Vec<_> = broken.keys().collect();
        assert_eq!(keys, ["broken", "content", "content_hash", "link", "reason", "sequence"]);
        assert_eq!((&broken["broken"], &broken["reason"]), (&json!(true), &json!("unreadable")));
        assert_eq!(broken["content"], hex::encode(&content));

        let report = app.get(&format!("/api/v1/audit/tampering/{id}")).await.expect(200);
        assert_eq!((&report["tampered"], &report["broken_at_index"]), (&json!(true), &json!(1)));
        assert_eq!(report["reason"], "unreadable");
        let certify = json!({"entity_type": "industry", "entity_id": id});
        let refused = app.post("/api/v1/genesis/certify", certify).await.expect(409);
        assert_eq!(refused["code"], "hash-chain-broken");
        assert_eq!(refused["broken_at_index"], 1);
        let audit = app.post(&format!("/api/v1/audit/run?entity_id={id}"), json!({})).await;
        assert_eq!(audit.expect(200)["violations"][0]["broken_at_index"], 1);

        let view = app.get(&format!("/api/v1/entities/{id}")).await.expect(200);
        assert_eq!(view["audit_trail"]["tamper_proof"], false);
        let history = &view["versioning"]["amendment_history"];
        let summary = json!({"sequence": 1, "broken": true, "reason": "unreadable"});
        assert_eq!(history[1], summary);
        assert_eq!(view["versioning"]["evolution_markers"], json!([]));
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn an_amendment_is_shown_as_stored_however_deep(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.create("/api/v1/industries", json!({"name": "Sales"})).await;
    let nested = format!("{}37e-23{}", "[".repeat(125), "]".repeat(125));
    append(&app, &id, evolution(&format!(r#"{{"x":{nested},"y":1}}"#)).as_bytes()).await;
    let chain = app.get(&format!("/api/v1/entities/{id}/amendments")).await;
    assert!(chain.text.contains(&format!(r#""data":{{"x":{nested},"y":1}}"#)), "{}", chain.text);
    let view = app.get(&format!("/api/v1/entities/{id}")).await.expect(200);
    assert_eq!(view["versioning"]["evolution_markers"][0]["fields"], json!(["x", "y"]));
}

#[sqlx::test(migrations = "../migrations")]
async fn a_page_of_large_amendments_is_limited_in_bytes_and_the_link_continues(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.create("/api/v1/industries", json!({"name": "Sales"})).await;
    // Older versions accepted contents of this size.
    for n in 0..6 {
        let text = "x".repeat(400_000 + n);
        append(&app, &id, evolution(&format!(r#"{{"text":"{text}"}}"#)).as_bytes()).await;
    }
    append(&app, &id, &vec![b'x'; 1_200_000]).await;
    append(&app, &id, evolution("{}").as_bytes()).await;
    let mut path = format!("/api/v1/entities/{id}/amendments");
    let (mut sequences, mut lengths) = (Vec::new(), Vec::new());
    loop {
        let page = app.get(&path).await;
        let link = page.header("link").map(str::to_owned);
        let list = page.expect(200);
        lengths.push(list.as_array().unwrap().len());
        let numbers = list.as_array().unwrap().iter().map(|a| a["sequence"].as_u64().unwrap());
        sequences.extend(numbers);
        let Some(link) = link else { break };
        path = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
    }
    assert_eq!(sequences, (0..9).collect::<Vec<_>>());
    assert_eq!(lengths, [3, 2, 2, 1, 1]);
}

#[sqlx::test(migrations = "../migrations")]
async fn the_newest_100_amendments_are_part_of_the_view(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let id = app.create("/api/v1/industries", json!({"name": "Sales"})).await;
    for n in 1..=101 {
        append(&app, &id, evolution(&format!(r#"{{"n":{n}}}"#)).as_bytes()).await;
    }
    let view = app.get(&format!("/api/v1/entities/{id}")).await.expect(200);
    let history: &Vec<Value> = view["versioning"]["amendment_history"].as_array().unwrap();
    assert_eq!((history.len(), &history[0]["sequence"]), (100, &json!(2)));
    let links = view["audit_trail"]["hash_chain_sha256"].as_array().unwrap();
    assert_eq!(links.last(), Some(&view["versioning"]["version_hash"]));
}

/// Returns a random double in a random notation. None is a whole number beyond 2^53, which is
/// rejected.
fn random_number(random: &mut fastrand::Rng) -> String {
    loop {
        let bits = match random.u8(..4) {
            // Subnormal.
            0 => random.u64(..1 << 52) | (random.u64(..2) << 63),
            _ => random.u64(..),
        };
        let number = f64::from_bits(bits);
        if !number.is_finite() || (number.fract() == 0.0 && number.abs() > 9e15) {
            continue;
        }
        return match random.u8(..6) {
            0 => format!("{number:e}"),
            1 => format!("{number:E}").replace('E', "E+").replace("+-", "-"),
            2 => format!("{number:.16e}"),
            3 => format!("{number:.30e}"),
            // Whole, or with few digits.
            4 => format!("{}.{}", random.i32(..), random.u16(..)),
            // Between two doubles, which have 12 binary digits after the point.
            _ => {
                let odd = u64::from(random.u16(..1 << 12)) * 2 + 1;
                format!("{}.{:013}", (1_u64 << 40) | random.u64(..1 << 40), odd * 5_u64.pow(13))
            }
        };
    }
}

/// Sends the numbers as they are written, which `Value` could not.
async fn set_numbers(app: &TestApp, agent: &str, numbers: &[String]) {
    let path = format!("/api/v1/agents/{agent}");
    let mut request = json_request(Method::PATCH, &path, &json!({}));
    let body = format!(r#"{{"custom_attributes":{{"x":[{}]}}}}"#, numbers.join(","));
    *request.body_mut() = Body::from(body);
    app.send(request).await.expect(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_number_is_hashed_stored_and_shown_alike(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let agent = app.create_agent("Asha").await.agent;
    let mut random = fastrand::Rng::with_seed(13);
    let special = ["37e-23", "5e-324", "-0.0", "0.1", "9007199254740992.0", "1e15", "-2.5E-7"];
    for _ in 0..50 {
        let mut numbers: Vec<_> = (0..1_993).map(|_| random_number(&mut random)).collect();
        numbers.extend(special.map(str::to_owned));
        set_numbers(&app, &agent, &numbers).await;
        let sent: Vec<f64> = numbers.iter().map(|number| number.parse().unwrap()).collect();

        let view = app.get(&format!("/api/v1/entities/{agent}")).await.expect(200);
        let stored: Vec<f64> =
            serde_json::from_value(view["metadata"]["custom_attributes"]["x"].clone()).unwrap();
        assert_eq!(stored, sent);
        let length = view["versioning"]["amendment_history"].as_array().unwrap().len();
        let newest = format!("/api/v1/entities/{agent}/amendments?after={}", length - 2);
        let chain = app.get(&newest).await.expect(200);
        let hashed: Vec<f64> =
            serde_json::from_value(chain[0]["data"]["custom_attributes"]["x"].clone()).unwrap();
        assert_eq!(hashed, sent);
        let report = app.get(&format!("/api/v1/audit/tampering/{agent}")).await.expect(200);
        assert_eq!(report["tampered"], false, "{report}");
    }
    let certify = json!({"entity_type": "agent", "entity_id": agent});
    app.post("/api/v1/genesis/certify", certify).await.expect(200);
}
