//! The examples of the OpenAPI description are requests that succeed on the seeded rows, and its links lead
//! to operations that succeed with the values of the response.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Map, Value, json};
use sqlx::PgPool;

use super::super::{SeedSpec, seed_database};
use crate::signature::SIGNATURE_HEADER;
use crate::testing::TestApp;

/// The default arguments of `seed_test_data`.
const SPEC: SeedSpec = SeedSpec { agents: 100, skills: 50, customers: 5, users: 5, seed: 42 };

/// Path of the operations whose body is signed.
const PAYMENT_EVENTS: &str = "/api/v1/webhooks/payments/";

/// Operations whose examples cannot succeed by themselves, with the expected status and the reason.
const EXCEPTIONS: [(&str, u16, &str); 2] = [
    (
        "POST /api/v1/workflows/{id}/approve",
        409,
        "only a workflow that has planned awaits approval",
    ),
    ("POST /api/v1/workflows/{id}/reject", 409, "only a workflow that has planned awaits approval"),
];

/// What cannot be sent as the page has it, with a part of the description that says what is missing.
const INCOMPLETE: [(&str, &str); 10] = [
    ("POST /admin/queue/dead/{id}/requeue", "`GET /admin/queue/dead`"),
    ("POST /api/v1/auth/refresh", "`POST /api/v1/auth/login`"),
    ("GET /api/v1/generation/{id}", "`POST /api/v1/generation/create`"),
    ("GET /api/v1/payments/{id}", "`POST /api/v1/payments/create`"),
    ("POST /api/v1/webhooks/payments/{provider}", "must be signed"),
    ("GET /api/v1/workflows/{id}", "`GET /api/v1/workflows`"),
    ("POST /api/v1/workflows/{id}/approve", "`GET /api/v1/workflows`"),
    ("POST /api/v1/workflows/{id}/cancel", "`GET /api/v1/workflows`"),
    ("POST /api/v1/workflows/{id}/reject", "`GET /api/v1/workflows`"),
    ("GET /enhancements/{ticket_id}", "`POST /webhooks/servicedesk/{tenant_id}`"),
];

/// A request and its response.
#[derive(Clone)]
struct Exchange {
    parameters: Map<String, Value>,
    request: Value,
    response: Value,
}

struct Described {
    app: TestApp,
    api: Value,
    /// The exchanges of the operations so far, by operation id.
    done: BTreeMap<String, Exchange>,
    failures: Vec<String>,
}

/// Returns the operations of one method: path and description.
fn operations(api: &Value, method: &str) -> Vec<(String, Value)> {
    let paths = api["paths"].as_object().unwrap().iter();
    let with_method = paths.filter(|(_, item)| item[method].is_object());
    let mut found: Vec<_> =
        with_method.map(|(path, item)| (path.clone(), item[method].clone())).collect();
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    found
}

impl Exchange {
    /// Evaluates a runtime expression; null if it has no value.
    fn evaluate(&self, expression: &Value) -> Value {
        let text = expression.as_str().unwrap();
        let at = |value: &Value, pointer| value.pointer(pointer).cloned().unwrap_or_default();
        if let Some(pointer) = text.strip_prefix("$response.body#") {
            at(&self.response, pointer)
        } else if let Some(pointer) = text.strip_prefix("$request.body#") {
            at(&self.request, pointer)
        } else {
            let name = text.strip_prefix("$request.path.").expect(text);
            self.parameters.get(name).cloned().unwrap_or_default()
        }
    }
}

impl Described {
    /// Returns the links to an operation, with the exchanges that they start from.
    fn links_to(&self, id: &str) -> Vec<(Value, Exchange)> {
        let mut found = Vec::new();
        for method in ["get", "post"] {
            for (_, operation) in operations(&self.api, method) {
                let Some(exchange) = self.done.get(operation["operationId"].as_str().unwrap())
                else {
                    continue;
                };
                for response in operation["responses"].as_object().unwrap().values() {
                    let links = response["links"].as_object().into_iter().flat_map(Map::values);
                    let links = links.filter(|link| link["operationId"] == id);
                    found.extend(links.map(|link| (link.clone(), exchange.clone())));
                }
            }
        }
        found
    }

    /// Returns the parameters of an operation: the examples, and for the others the values of a link.
    fn parameters(&self, operation: &Value) -> Map<String, Value> {
        let mut parameters = Map::new();
        let links = self.links_to(operation["operationId"].as_str().unwrap());
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap();
            let example = [&parameter["example"], &parameter["schema"]["example"]];
            let mut examples = example.into_iter().filter(|example| !example.is_null());
            let linked = || {
                let values = links.iter().map(|(link, from)| match &link["parameters"][name] {
                    Value::Null => Value::Null,
                    expression => from.evaluate(expression),
                });
                values.into_iter().find(|value| !value.is_null())
            };
            if parameter["required"] == true {
                let value = examples.next().cloned().or_else(linked);
                parameters.insert(name.to_owned(), value.unwrap_or_else(|| json!("missing")));
            }
        }
        parameters
    }

    /// Returns the body of an operation, with what is in no example because it is secret or random.
    fn body(&self, path: &str, operation: &Value) -> Value {
        let content = &operation["requestBody"]["content"]["application/json"];
        let mut body = content["example"].clone();
        if path == "/api/v1/auth/refresh" {
            body["refresh_token"] =
                self.done["post_api_v1_auth_login"].response["refresh_token"].clone();
        }
        if path.starts_with(PAYMENT_EVENTS) {
            body["payment_id"] = self.done["post_api_v1_payments_create"].response["id"].clone();
        }
        assert!(content.is_null() || body.is_object(), "{path} has no example: {body}");
        body
    }

    /// Sends the example of an operation.
    async fn send_example(&mut self, method: &str, path: &str, operation: &Value) {
        let (parameters, body) = (self.parameters(operation), self.body(path, operation));
        self.send((method, path, operation), parameters, body).await;
    }

    /// Sends a request, which has to succeed unless it is one of [`EXCEPTIONS`].
    async fn send(
        &mut self,
        (method, path, operation): (&str, &str, &Value),
        parameters: Map<String, Value>,
        body: Value,
    ) {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut uri = path.to_owned();
        for (name, value) in &parameters {
            let place = format!("{{{name}}}");
            if uri.contains(&place) {
                uri = uri.replace(&place, &text(value));
            } else {
                let separator = if uri.contains('?') { '&' } else { '?' };
                uri += &format!("{separator}{name}={}", text(value));
            }
        }
        let mut request = Request::builder()
            .method(Method::from_bytes(method.to_uppercase().as_bytes()).unwrap())
            .uri(uri);
        if body.is_object() {
            request = request.header("content-type", "application/json");
        }
        if path.starts_with(PAYMENT_EVENTS) {
            let key = &self.app.state.access_policy.webhook_key;
            let signature = key.sign(body.to_string().as_bytes(), self.app.state.clock.now());
            request = request.header(SIGNATURE_HEADER, signature);
        }
        let payload = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let response = self.app.send(request.body(payload).unwrap()).await;
        let status = response.status.as_u16();
        let sent = format!("{} {path}", method.to_uppercase());
        let expected = EXCEPTIONS.iter().find(|(operation, ..)| *operation == sent);
        let succeeds =
            expected.map_or((200..300).contains(&status), |(_, expected, _)| *expected == status);
        if !succeeds {
            self.failures.push(format!("{sent} {parameters:?} {body}: {status} {}", response.text));
        } else if (200..300).contains(&status) {
            let response = serde_json::from_str(&response.text).unwrap_or_default();
            let id = operation["operationId"].as_str().unwrap().to_owned();
            self.done.insert(id, Exchange { parameters, request: body, response });
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn examples_and_links_of_the_description_succeed(pool: PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    seed_database(&mut connection, SPEC, false).await.unwrap();
    drop(connection);
    let app = TestApp::new(pool).await;
    insert_dead_ticket(&app).await;
    let api = app.get("/openapi.json").await.expect(200);
    let credentials = &api["paths"]["/api/v1/auth/login"]["post"]["requestBody"]["content"];
    let credentials = credentials["application/json"]["example"].clone();
    let login = app.post("/api/v1/auth/login", credentials).await.expect(200);
    let app = app.with_token(login["access_token"].as_str().unwrap());
    let mut described = Described { app, api, done: BTreeMap::new(), failures: Vec::new() };
    let (mut count, mut links) = (0, 0);
    // Lists first, since requests refer to their items; reads after what they read was created; the end of the
    // session last.
    let is_list = |path: &str| !path.contains('{');
    let is_last = |path: &str| path.ends_with("/logout");
    for (path, operation) in operations(&described.api, "get") {
        if is_list(&path) {
            described.send_example("get", &path, &operation).await;
        }
    }
    for method in ["post", "put", "get", "patch"] {
        for (path, operation) in operations(&described.api, method) {
            if !is_last(&path) {
                described.send_example(method, &path, &operation).await;
                count += 1;
            }
        }
    }
    // Writes by links would use up rows, so only reads follow them. A list may be empty.
    for (path, operation) in operations(&described.api, "get") {
        for (link, from) in described.links_to(operation["operationId"].as_str().unwrap()) {
            let values = link["parameters"].as_object().unwrap();
            let values = values.iter().map(|(name, value)| (name.clone(), from.evaluate(value)));
            let values: Map<_, _> = values.collect();
            if values.values().all(|value| !value.is_null()) {
                described.send(("get", &path, &operation), values, Value::Null).await;
                links += 1;
            }
        }
    }
    for method in ["delete", "post"] {
        for (path, operation) in operations(&described.api, method) {
            if method == "delete" || is_last(&path) {
                described.send_example(method, &path, &operation).await;
                count += 1;
            }
        }
    }
    let failures = described.failures;
    assert!(failures.is_empty(), "{} of {count}:\n{}", failures.len(), failures.join("\n"));
    assert!(count >= 80 && links >= 40, "{count} operations, {links} links");
}

/// As Swagger UI sends them: with all examples of parameters, and nothing from other responses.
#[sqlx::test(migrations = "../migrations")]
async fn examples_succeed_as_they_stand_on_the_page(pool: PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    seed_database(&mut connection, SPEC, false).await.unwrap();
    drop(connection);
    let app = TestApp::new(pool).await;
    let api = app.get("/openapi.json").await.expect(200);
    let login = &api["paths"]["/api/v1/auth/login"]["post"];
    let credentials = login["requestBody"]["content"]["application/json"]["example"].clone();
    let login = app.post("/api/v1/auth/login", credentials).await.expect(200);
    let app = app.with_token(login["access_token"].as_str().unwrap());
    let mut described = Described { app, api, done: BTreeMap::new(), failures: Vec::new() };
    for method in ["get", "post", "put", "patch", "delete"] {
        for (path, operation) in operations(&described.api, method) {
            let name = format!("{} {path}", method.to_uppercase());
            let incomplete = INCOMPLETE.iter().find(|(incomplete, _)| *incomplete == name);
            if let Some((_, missing)) = incomplete {
                assert!(operation.to_string().contains(missing), "{name} does not say {missing}");
            } else if !path.ends_with("/logout") {
                let parameters = examples_of_parameters(&operation);
                let body = &operation["requestBody"]["content"]["application/json"]["example"];
                described.send((method, &path, &operation), parameters, body.clone()).await;
            }
        }
    }
    let failures = described.failures;
    assert!(failures.is_empty(), "{}:\n{}", failures.len(), failures.join("\n"));
}

fn examples_of_parameters(operation: &Value) -> Map<String, Value> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let with_example = parameters.filter_map(|parameter| {
        let example = parameter.get("example").or_else(|| parameter["schema"].get("example"))?;
        Some((parameter["name"].as_str()?.to_owned(), example.clone()))
    });
    with_example.collect()
}

/// Inserts the dead-lettered ticket that the example of its requeueing follows.
async fn insert_dead_ticket(app: &TestApp) {
    sqlx::query(
        "with ticket as (
            insert into enhancement_history (
                id, tenant_id, delivery_id, event, ticket_id, description, priority, status,
                error, ticket_created_at, accepted_at, completed_at
            )
            values (
                gen_random_uuid(), 'load-test-tenant', 'dead', 'ticket_created', 'DEAD-1', 'Slow', 'low',
                'failed', 'refused', now(), now(), now()
            )
            returning id
        )
        insert into job (
            id, kind, owner, payload, state, priority, turn, run_at, created_at, finished_at
        )
        select id, 'enhancement', 'load-test-tenant', '{}', 'dead', 2, 0, now(), now(), now()
        from ticket",
    )
    .execute(&app.owner)
    .await
    .unwrap();
}
