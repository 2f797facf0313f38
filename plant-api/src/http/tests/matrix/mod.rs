//! Who may do what: every described operation, asked by everybody, with every kind of token.

mod rows;
mod tokens;

use axum::body::Body;
use axum::http::{Method, Request};
use sqlx::PgPool;

use crate::clock::Clock;
use crate::config::Access;
use crate::http::description;
use crate::testing::{Answer, OPERATORS_KEY, TestApp, gate, with_json};
use crate::token::Role;
use rows::{Row, Who, World};

/// What somebody sends to say who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    /// No token.
    Nothing,
    /// A token that is none, or none of today.
    Bad(&'static str),
    /// That of another customer's account.
    Stranger,
    /// That of an administrator's account.
    Admin,
    /// The operator's key.
    Operator,
    /// That of the account whose customer's things are asked for.
    Owner,
}

/// The status that the specification asks for.
fn specified(access: Access, who: Who, sent: Sent, ok: u16) -> u16 {
    match (who, sent) {
        (Who::Anybody, _) => ok,
        (_, Sent::Bad(_)) => 401,
        (Who::Account | Who::Author, Sent::Nothing) => 401,
        (_, Sent::Nothing) if access == Access::Required => 401,
        (Who::Owner, Sent::Stranger) => 404,
        (Who::Administrator, Sent::Stranger | Sent::Owner) => 403,
        (Who::Author, Sent::Stranger | Sent::Admin) => 404,
        (Who::Account | Who::Author, Sent::Operator) => 403,
        _ => ok,
    }
}

/// Asks every operation in every way.
async fn ask_everything(pool: PgPool, access: Access) {
    let app = TestApp::gated(pool, Clock::System, gate(access)).await;
    let world = World::new(&app).await;
    let owner = world.owner.clone();
    let bad = tokens::bad(&app, &owner);
    let everybody = {
        let known = |sent, token: &str| (sent, Some(format!("Bearer {token}")));
        let mut all = vec![(Sent::Nothing, None)];
        all.extend(bad.into_iter().map(|(name, value)| (Sent::Bad(name), Some(value))));
        all.push(known(Sent::Stranger, &tokens::good(&app, &world.stranger)));
        all.push(known(Sent::Owner, &tokens::good(&app, &owner)));
        let admin = app.an_account("house", Role::Admin).await;
        all.push(known(Sent::Admin, &tokens::good(&app, &admin)));
        all.push(known(Sent::Operator, OPERATORS_KEY));
        all
    };

    let mut asked = 0;
    let mut wrong = Vec::new();
    for (path, item) in &app.api.paths.paths {
        for (method, operation) in description::operations(item) {
            let name = format!("{method} {path}");
            let Some(first) = world.row(&name).await else {
                wrong.push(format!("{name} has no row in {}", file!()));
                continue;
            };
            let guarded = operation.security.is_some();
            if guarded == (first.who == Who::Anybody) {
                wrong.push(format!("{name} is described as guarded: {guarded}"));
            }
            let mut target = Some(first);
            for (sent, value) in &everybody {
                // What was refused has changed nothing, so the next can ask for the same.
                let row = match target.take() {
                    Some(row) => row,
                    None => world.row(&name).await.unwrap(),
                };
                let expected = specified(access, row.who, *sent, row.ok);
                let answer = ask(&app, method, &row, value.as_deref()).await;
                asked += 1;
                if answer.status.as_u16() != expected {
                    let got = (answer.status.as_u16(), &answer.text);
                    wrong.push(format!("{name} by {sent:?}: {expected} expected, {got:?}"));
                } else if expected == 401 && answer.header("www-authenticate") != Some("Bearer") {
                    wrong.push(format!("{name} by {sent:?}: no WWW-Authenticate"));
                }
                if expected >= 400 {
                    target = Some(row);
                }
            }
            // Logged out by the operation itself.
            let again = sqlx::query("update session set revoked_at = null");
            again.execute(&app.owner).await.unwrap();
        }
    }
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
    let credentials = everybody.len();
    println!("{} rows × {credentials} credentials = {asked} answers", asked / credentials);
}

async fn ask(app: &TestApp, method: &str, row: &Row, authorization: Option<&str>) -> Answer {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = match &row.body {
        Some(body) => with_json(method, &row.path, body),
        None => Request::builder().method(method).uri(&row.path).body(Body::empty()).unwrap(),
    };
    if let Some(value) = authorization {
        request.headers_mut().insert("authorization", value.parse().unwrap());
    }
    app.send(request).await
}

#[sqlx::test(migrations = "../migrations")]
async fn everybody_may_do_what_is_specified_where_tokens_are_required(pool: PgPool) {
    ask_everything(pool, Access::Required).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn everybody_may_do_what_is_specified_where_access_is_open(pool: PgPool) {
    ask_everything(pool, Access::Open).await;
}
