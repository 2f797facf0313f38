//! Completes the OpenAPI description with what holds for every operation alike, so that no
//! handler repeats it.

use serde_json::{Map, Value, json};
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Content, ContentBuilder, ObjectBuilder, OpenApi, Ref, RefOr, Required, Response,
    ResponseBuilder, Type,
};

const PROBLEM: &str = "application/problem+json";

/// Every operation with its method.
pub fn operations(item: &PathItem) -> impl Iterator<Item = (&'static str, &Operation)> {
    [
        ("GET", &item.get),
        ("PUT", &item.put),
        ("POST", &item.post),
        ("DELETE", &item.delete),
        ("PATCH", &item.patch),
    ]
    .into_iter()
    .filter_map(|(method, operation)| operation.as_ref().map(|operation| (method, operation)))
}

/// Gives every operation a unique id, its common errors, and the headers it honours.
pub fn complete(api: &mut OpenApi) {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("An access token, as `POST /api/v1/auth/login` answers one"))
        .build();
    api.components
        .get_or_insert_default()
        .add_security_scheme("bearer", SecurityScheme::Http(bearer));
    for (path, item) in &mut api.paths.paths {
        for (method, operation) in [
            ("get", &mut item.get),
            ("put", &mut item.put),
            ("post", &mut item.post),
            ("delete", &mut item.delete),
            ("patch", &mut item.patch),
        ] {
            if let Some(operation) = operation {
                operation.operation_id = Some(operation_id(method, path));
                if path.starts_with("/api/") {
                    common_errors(operation);
                    conditions(method, operation);
                }
                problems_are_problems(operation);
            }
        }
    }
}

fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.fold(method.to_owned(), |id, word| id + "_" + word)
}

fn common_errors(operation: &mut Operation) {
    if operation.request_body.is_some() {
        add(operation, "400", "The body is not well-formed JSON");
        add(operation, "408", "The body did not arrive in time");
        add(operation, "413", "The body is too large");
        add(operation, "415", "The body is not sent as JSON");
    }
    if operation.request_body.is_some() || operation.parameters.is_some() {
        add(operation, "422", "Fields are at fault; `violations` names them");
    }
    if operation.security.is_some() {
        add(operation, "401", "No token, where one is needed, or not a good one");
    }
    add(operation, "429", "Too many requests from this address; see Retry-After");
    add(operation, "500", "A bug; the log has it under the request id");
    add(operation, "503", "Something is away, or overloaded; see Retry-After");
}

fn conditions(method: &str, operation: &mut Operation) {
    let answers = |status: &str| operation.responses.responses.contains_key(status);
    if answers("201") || answers("202") {
        add(operation, "409", "Another request with this Idempotency-Key is still running");
        let about = "Makes it safe to send the request again, within a day";
        let key = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[!-~]{1,255}$"));
        header(operation, "Idempotency-Key", about, key);
    } else if answers("412") {
        header(operation, "If-Match", "The version to be changed, from an ETag", tag());
    } else if method == "get" && !answers_in_lines(operation) {
        let unchanged = ResponseBuilder::new().description("The version in If-None-Match").build();
        operation.responses.responses.entry("304".into()).or_insert(RefOr::T(unchanged));
        header(operation, "If-None-Match", "The version that the client has, from an ETag", tag());
    }
}

/// Whether what it answers is streamed, so that its version is known only at the end.
fn answers_in_lines(operation: &Operation) -> bool {
    match operation.responses.responses.get("200") {
        Some(RefOr::T(response)) => response.content.contains_key("application/x-ndjson"),
        _ => false,
    }
}

fn add(operation: &mut Operation, status: &str, about: &str) {
    operation.responses.responses.entry(status.to_owned()).or_insert_with(|| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        RefOr::T(ResponseBuilder::new().description(about).content(PROBLEM, content).build())
    });
}

fn tag() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn header(operation: &mut Operation, name: &str, about: &str, schema: ObjectBuilder) {
    let parameter: Parameter = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(about))
        .schema(Some(schema))
        .build();
    operation.parameters.get_or_insert_default().push(RefOr::T(parameter));
}

/// Handlers name `Problem` as the body of an error; its media type is said here.
fn problems_are_problems(operation: &mut Operation) {
    let errors = operation
        .responses
        .responses
        .iter_mut()
        .filter(|(status, _)| status.starts_with('4') || status.starts_with('5'));
    for (_, response) in errors {
        if let RefOr::T(Response { content, .. }) = response
            && let Some(json) = content.swap_remove("application/json")
        {
            let kind = if is_problem(&json) { PROBLEM } else { "application/json" };
            content.insert(kind.to_owned(), json);
        }
    }
}

fn is_problem(content: &RefOr<Content>) -> bool {
    match content {
        RefOr::T(Content { schema: Some(RefOr::Ref(schema)), .. }) => {
            schema.ref_location.ends_with("/Problem")
        }
        _ => false,
    }
}

/// No NUL, which PostgreSQL's text cannot hold.
const TEXT: &str = r"^[^\x00]*$";
/// What a name must be: something visible, no control characters.
const NAME: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$";

/// The description as JSON, saying what strict reading asks of every text and every free object,
/// which no handler repeats: names are the texts of at most 200 characters.
pub fn strict(api: &OpenApi) -> serde_json::Result<Value> {
    let mut api = serde_json::to_value(api)?;
    tighten(&mut api);
    let safe = 1_u64 << 53;
    api["components"]["schemas"]["SafeJson"] = json!({
        "description": "JSON that RFC 8785 can carry: no NUL, no integers beyond ±2^53",
        "anyOf": [
            {"type": ["null", "boolean"]},
            {"type": "string", "pattern": TEXT},
            {"type": "number", "minimum": -(safe as f64), "maximum": safe},
            {"type": "array", "items": {"$ref": "#/components/schemas/SafeJson"}},
            {"type": "object", "propertyNames": {"pattern": TEXT},
                "additionalProperties": {"$ref": "#/components/schemas/SafeJson"}},
        ],
    });
    Ok(api)
}

fn tighten(value: &mut Value) {
    match value {
        Value::Object(map) => {
            let is = |map: &Map<String, Value>, name: &str| match map.get("type") {
                Some(Value::String(kind)) => kind == name,
                Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == name),
                _ => false,
            };
            let has = |map: &Map<String, Value>, names: &[&str]| {
                names.iter().any(|name| map.contains_key(*name))
            };
            if is(map, "string") && !has(map, &["format", "enum", "pattern"]) {
                let name = map.get("maxLength").is_some_and(|most| most == 200);
                map.insert("pattern".into(), if name { NAME } else { TEXT }.into());
            }
            if is(map, "object") && !has(map, &["properties", "$ref", "oneOf", "allOf"]) {
                map.insert("propertyNames".into(), json!({"pattern": TEXT}));
                let safe = json!({"$ref": "#/components/schemas/SafeJson"});
                map.insert("additionalProperties".into(), safe);
            } else if is(map, "object") && !map.contains_key("additionalProperties") {
                // Unknown fields are left alone, but they are read strictly as well.
                map.insert("propertyNames".into(), json!({"pattern": TEXT}));
                let safe = json!({"$ref": "#/components/schemas/SafeJson"});
                map.insert("additionalProperties".into(), safe);
            }
            map.values_mut().for_each(tighten);
        }
        Value::Array(items) => items.iter_mut().for_each(tighten),
        _ => {}
    }
}
