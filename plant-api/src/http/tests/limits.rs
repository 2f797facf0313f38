//! The limits in the OpenAPI description are those that are checked: for each described parameter
//! and field, the longest text, the longest list and the range are accepted, and nothing beyond.

use std::fmt::Write;

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Map, Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::testing::{TestApp, TestResponse, UNKNOWN_ID, json_request};
use crate::token::Role;

/// A value beyond a limit or just within it.
struct Probe {
    value: Value,
    /// The rule that the value violates; for a value within the limit, the one that it satisfies.
    rule: &'static str,
    within_limit: bool,
}

impl Probe {
    fn new(rule: &'static str, within_limit: bool, value: Value) -> Self {
        Self { value, rule, within_limit }
    }
}

/// Returns the schema itself or the one that it refers to. Of alternatives the first that is not
/// `null`.
fn resolve<'a>(api: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(reference) = schema["$ref"].as_str() {
        return resolve(api, api.pointer(reference.trim_start_matches('#')).unwrap());
    }
    for alternatives in ["oneOf", "anyOf", "allOf"] {
        if let Some(list) = schema[alternatives].as_array() {
            let chosen = list.iter().find(|schema| schema["type"] != "null").unwrap();
            return resolve(api, chosen);
        }
    }
    schema
}

fn is(schema: &Value, kind: &str) -> bool {
    schema["type"] == kind
        || schema["type"].as_array().is_some_and(|all| all.contains(&json!(kind)))
}

/// Returns a valid value of a schema, without optional fields.
fn sample(api: &Value, schema: &Value) -> Value {
    if !schema["example"].is_null() {
        return schema["example"].clone();
    }
    let schema = resolve(api, schema);
    if !schema["example"].is_null() {
        schema["example"].clone()
    } else if let Some(first) = schema["enum"].get(0) {
        first.clone()
    } else if schema["format"] == "uuid" {
        json!(UNKNOWN_ID)
    } else if is(schema, "object") {
        let required = schema["required"].as_array().into_iter().flatten();
        let fields = required.map(|name| {
            let name = name.as_str().unwrap();
            (name.to_owned(), sample(api, &schema["properties"][name]))
        });
        Value::Object(fields.collect())
    } else if is(schema, "array") {
        json!([])
    } else if is(schema, "integer") || is(schema, "number") {
        json!(1)
    } else if is(schema, "boolean") {
        json!(true)
    } else {
        json!("text")
    }
}

/// Returns a text of this length that matches the pattern of an email as well.
fn text(schema: &Value, length: u64) -> Value {
    let prefix =
        if schema["pattern"].as_str().is_some_and(|p| p.contains('@')) { "a@" } else { "" };
    json!(format!("{prefix}{}", "x".repeat((length as usize).saturating_sub(prefix.len()))))
}

fn probes(api: &Value, schema: &Value) -> Vec<Probe> {
    let schema = resolve(api, schema);
    let mut probes = Vec::new();
    if let Some(max) = schema["maxLength"].as_u64() {
        probes.push(Probe::new("max-length", true, text(schema, max)));
        probes.push(Probe::new("max-length", false, text(schema, max + 1)));
    }
    if let Some(max) = schema["maxItems"].as_u64() {
        let items = resolve(api, &schema["items"]);
        let item = |n: u128| match &items["format"] {
            format if format == "uuid" => json!(Uuid::from_u128(n)),
            _ if is(items, "object") => sample(api, items),
            _ => json!(n.to_string()),
        };
        let list = |length: u64| Value::Array((0..u128::from(length)).map(item).collect());
        probes.push(Probe::new("max-items", true, list(max)));
        probes.push(Probe::new("max-items", false, list(max + 1)));
    }
    for (limit, step) in [("minimum", -1), ("maximum", 1)] {
        if let Some(number) = schema[limit].as_i64().filter(|_| schema["format"].is_string()) {
            probes.push(Probe::new("range", true, json!(number)));
            probes.push(Probe::new("range", false, json!(number + step)));
        }
    }
    probes
}

/// Returns whether a response reports that `field` violates the rule.
fn is_violated(response: &TestResponse, field: &str, rule: &str) -> bool {
    // The rule for slugs includes their length.
    let also = if (field, rule) == ("id", "max-length") { "slug" } else { rule };
    let problem = serde_json::from_str(&response.text).unwrap_or(Value::Null);
    let mut violations = problem["violations"].as_array().into_iter().flatten();
    violations
        .any(|found| found["field"] == field && (found["rule"] == rule || found["rule"] == also))
}

#[sqlx::test(migrations = "../migrations")]
async fn described_limits_are_checked(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let app = app.with_account_of("lotus", Role::Admin).await;
    // The webhook checks the ticket of a known tenant only.
    let tenant = json!({
        "tenant_id": UNKNOWN_ID, "name": "Acme", "servicedesk_url": "https://acme.servicedesk.local",
        "servicedesk_api_key": "key", "webhook_signing_secret": "signing-secret-of-acme",
    });
    app.post("/admin/tenants", tenant).await.expect(201);
    let api = app.get("/openapi.json").await.expect(200);
    let (mut failures, mut count) = (String::new(), 0);
    for (template, item) in api["paths"].as_object().unwrap() {
        let segments = template.split('/').map(|w| if w.starts_with('{') { UNKNOWN_ID } else { w });
        let path = segments.collect::<Vec<_>>().join("/");
        for (method, operation) in item.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            for (field, probe, request) in requests(&api, &method, &path, operation) {
                count += 1;
                let response = app.send(request).await;
                let Probe { rule, within_limit, .. } = probe;
                let violated = is_violated(&response, &field, rule);
                // A refresh token that is too long is an invalid one, like the others here.
                let as_described = violated != within_limit || field == "refresh_token";
                if !as_described || response.status.is_server_error() {
                    let status = response.status;
                    writeln!(
                        failures,
                        "{method} {path} {field}: {rule}, within limit: {within_limit}: {status}"
                    )
                    .unwrap();
                }
            }
        }
    }
    assert!(failures.is_empty(), "of {count}:\n{failures}");
    assert!(count > 100, "{count}");
}

/// Returns a request for each probe of each parameter and field.
fn requests(
    api: &Value,
    method: &Method,
    path: &str,
    operation: &Value,
) -> Vec<(String, Probe, Request<Body>)> {
    let mut requests = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        if parameter["in"] == "query" {
            let name = parameter["name"].as_str().unwrap();
            for probe in probes(api, &parameter["schema"]) {
                let value = probe.value.to_string().replace('"', "");
                let request =
                    Request::builder().method(method).uri(format!("{path}?{name}={value}"));
                requests.push((name.to_owned(), probe, request.body(Body::empty()).unwrap()));
            }
        }
    }
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    let schema = resolve(api, body);
    let valid = if body.is_null() { json!({}) } else { sample(api, schema) };
    for (name, field) in schema["properties"].as_object().unwrap_or(&Map::new()) {
        for probe in probes(api, field) {
            let mut body = valid.clone();
            body[name] = probe.value.clone();
            requests.push((name.clone(), probe, json_request(method.clone(), path, &body)));
        }
    }
    requests
}

/// The limits that JSON Schema cannot express are in the descriptions.
#[sqlx::test(migrations = "../migrations")]
async fn each_free_form_json_field_is_described_with_its_limit(pool: PgPool) {
    let app = TestApp::new(pool).await;
    let api = app.get("/openapi.json").await.expect(200);
    let mut found = 0;
    for (name, schema) in api["components"]["schemas"].as_object().unwrap() {
        for (field, property) in schema["properties"].as_object().unwrap_or(&Map::new()) {
            if ["settings", "custom_attributes", "evidence"].contains(&&**field) {
                let description = property["description"].as_str().unwrap_or_default();
                let is_request =
                    !["Goal", "HiredAgentConfiguration", "Metadata", "PerformanceFinding"]
                        .contains(&&**name);
                assert!(
                    !is_request || description.contains("at most 64 KiB"),
                    "{name}.{field}: {description}"
                );
                found += usize::from(is_request);
            }
        }
    }
    assert_eq!(found, 7);
}
