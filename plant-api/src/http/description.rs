//! Adds the parts that all operations share to the OpenAPI description, so that no handler repeats
//! them.

use serde_json::{Map, Value, json};
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Content, ContentBuilder, ObjectBuilder, OpenApi, Ref, RefOr, Required, Response,
    ResponseBuilder, Type,
};

use crate::check::field_limits::{
    MAX_FREE_FORM_JSON_BYTES, MAX_JSON_DEPTH, MAX_JSON_FIELDS, MAX_JSON_VALUES,
    MAX_PATH_SEGMENT_BYTES,
};
use crate::error::MAX_VIOLATIONS;
use crate::limit::{
    MAX_HEADER_BYTES, MAX_HEADERS, MAX_RESERVED_BYTES, MAX_UNRESERVED_BODY_BYTES, MAX_URI_BYTES,
};
use crate::page::MAX_BYTES as MAX_PAGE_BYTES;

const PROBLEM_JSON: &str = "application/problem+json";

/// Returns the operations of a path with their methods.
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

/// Adds a unique id, the common errors and the supported request headers to every operation.
pub fn add_common_parts(api: &mut OpenApi) {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("Access token from `POST /api/v1/auth/login`"))
        .build();
    let admin_key = ApiKeyValue::with_description("X-Admin-Key", "The admin key");
    let components = api.components.get_or_insert_default();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    components.add_security_scheme("admin_key", SecurityScheme::ApiKey(ApiKey::Header(admin_key)));
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
                if super::is_api(path) {
                    add_common_errors(operation);
                    add_role_error(method, operation);
                    add_request_headers(method, path, operation);
                }
                set_problem_media_type(operation);
            }
        }
    }
}

/// Adds the limits that apply to every request.
pub fn add_limits(api: &mut OpenApi) {
    let description = api.info.description.take().unwrap_or_default();
    api.info.description = Some(format!(
        "{description}\n\nLimits of a request: URI {MAX_URI_BYTES} bytes (414), request line and \
         headers {MAX_HEADER_BYTES} bytes (431), {MAX_HEADERS} headers (431), body 1 MiB unless \
         configured otherwise (413). All bodies larger than {MAX_UNRESERVED_BODY_BYTES} bytes may use \
         {MAX_RESERVED_BYTES} bytes together (503). The number of connections is limited in all (503) \
         and from each address (429). Clients that send or read nothing for 10 s are disconnected."
    ));
}

fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.fold(method.to_owned(), |id, word| id + "_" + word)
}

fn add_common_errors(operation: &mut Operation) {
    if operation.request_body.is_some() {
        add_error(operation, "400", "The body is not well-formed JSON");
        add_error(operation, "408", "The body was not received in time");
        add_error(operation, "413", "The body exceeds the size limit");
        add_error(operation, "415", "The Content-Type is not application/json");
    }
    if operation.request_body.is_some() || operation.parameters.is_some() {
        add_error(operation, "422", "Invalid fields, listed in `violations`");
    }
    if operation.security.is_some() {
        add_error(operation, "401", "The access token is missing, invalid or expired");
    }
    add_error(operation, "414", "The URI is too long");
    add_error(operation, "431", "The headers are too large");
    add_error(operation, "429", "Too many requests from this client address; see Retry-After");
    add_error(operation, "500", "Internal error; logged on the server with the request id");
    add_error(
        operation,
        "503",
        "A dependency is unavailable or the service is overloaded; see Retry-After",
    );
}

/// Adds the error of callers that may not change what all customers share.
fn add_role_error(method: &str, operation: &mut Operation) {
    let is_shared = |tag: &String| tag == "catalogue" || tag == "genesis";
    if method != "get" && operation.tags.iter().flatten().any(is_shared) {
        add_error(
            operation,
            "403",
            "The role `editor` or administrator rights are required, unless access is open",
        );
    }
}

/// Returns whether an operation accepts an `Idempotency-Key`: POSTs that create, certify or review.
fn is_idempotent(path: &str, operation: &Operation) -> bool {
    let creates =
        ["201", "202"].iter().any(|status| operation.responses.responses.contains_key(*status));
    // Webhooks are deduplicated by the delivery.
    let creates = creates && !path.starts_with("/webhooks/");
    creates || ["/certify", "/approve", "/reject"].iter().any(|action| path.ends_with(action))
}

fn add_request_headers(method: &str, path: &str, operation: &mut Operation) {
    let has_status = |status: &str| operation.responses.responses.contains_key(status);
    if is_idempotent(path, operation) {
        add_error(
            operation,
            "409",
            "Another request with this Idempotency-Key is still in progress",
        );
        let description = "Makes a retry safe: within 24 hours the same key and body return the \
                           first response";
        let key = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[!-~]{1,255}$"));
        add_header(operation, "Idempotency-Key", description, key);
    } else if has_status("412") {
        add_header(operation, "If-Match", "ETag of the version to change", string_schema());
    } else if method == "get" && !streams_ndjson(operation) && !is_measured(path) {
        let unchanged = ResponseBuilder::new().description("Unchanged since If-None-Match").build();
        operation.responses.responses.entry("304".into()).or_insert(RefOr::T(unchanged));
        add_header(operation, "If-None-Match", "ETag of the client's copy", string_schema());
    }
}

/// Returns whether the response is measured for each request, so that it has no ETag.
fn is_measured(path: &str) -> bool {
    matches!(path, "/api/v1/health" | "/api/v1/health/detailed")
}

/// Returns whether the response is a stream of JSON lines, which has no ETag.
fn streams_ndjson(operation: &Operation) -> bool {
    match operation.responses.responses.get("200") {
        Some(RefOr::T(response)) => response.content.contains_key("application/x-ndjson"),
        _ => false,
    }
}

fn add_error(operation: &mut Operation, status: &str, description: &str) {
    operation.responses.responses.entry(status.to_owned()).or_insert_with(|| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        RefOr::T(
            ResponseBuilder::new().description(description).content(PROBLEM_JSON, content).build(),
        )
    });
}

fn string_schema() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn add_header(operation: &mut Operation, name: &str, description: &str, schema: ObjectBuilder) {
    let parameter: Parameter = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema))
        .build();
    operation.parameters.get_or_insert_default().push(RefOr::T(parameter));
}

/// Sets the media type of `Problem` bodies, which handlers declare without one.
fn set_problem_media_type(operation: &mut Operation) {
    let errors = operation
        .responses
        .responses
        .iter_mut()
        .filter(|(status, _)| status.starts_with('4') || status.starts_with('5'));
    for (_, response) in errors {
        if let RefOr::T(Response { content, .. }) = response
            && let Some(json) = content.swap_remove("application/json")
        {
            let media_type =
                if is_problem_schema(&json) { PROBLEM_JSON } else { "application/json" };
            content.insert(media_type.to_owned(), json);
        }
    }
}

fn is_problem_schema(content: &RefOr<Content>) -> bool {
    match content {
        RefOr::T(Content { schema: Some(RefOr::Ref(schema)), .. }) => {
            schema.ref_location.ends_with("/Problem")
        }
        _ => false,
    }
}

/// Adds the limits of JSON bodies and of lists to the description.
pub fn add_json_limits(api: &mut OpenApi) {
    let description = api.info.description.take().unwrap_or_default();
    let (free_kib, page_mib) = (MAX_FREE_FORM_JSON_BYTES >> 10, MAX_PAGE_BYTES >> 20);
    api.info.description = Some(format!(
        "{description}\n\nLimits of a JSON body: {MAX_JSON_DEPTH} levels of arrays and objects, \
         {MAX_JSON_VALUES} values, {MAX_JSON_FIELDS} fields of objects, {free_kib} KiB for a free-form field such as `settings`. A part \
         of a path has at most {MAX_PATH_SEGMENT_BYTES} bytes. A 422 lists at most \
         {MAX_VIOLATIONS} violations. A page of a list has at most {page_mib} MiB, but at least \
         one item; the `Link` header points to the next page."
    ));
}

/// Any text without NUL, which PostgreSQL's `text` type cannot store.
const TEXT_PATTERN: &str = r"^[^\x00]*$";
/// A name: at least one visible character, no control characters.
const NAME_PATTERN: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$";

/// Returns the description as JSON with the constraints that the strict JSON reader puts on every
/// string and every free-form object. Treats strings of at most 200 characters as names.
pub fn to_strict_json(api: &OpenApi) -> serde_json::Result<Value> {
    let mut api = serde_json::to_value(api)?;
    add_constraints(&mut api);
    let max_integer = 1_u64 << 53;
    api["components"]["schemas"]["SafeJson"] = json!({
        "description": "JSON that RFC 8785 can represent: no NUL characters, no integers beyond ±2^53",
        "anyOf": [
            {"type": ["null", "boolean"]},
            {"type": "string", "pattern": TEXT_PATTERN},
            {"type": "number", "minimum": -(max_integer as f64), "maximum": max_integer},
            {"type": "array", "items": {"$ref": "#/components/schemas/SafeJson"}},
            {"type": "object", "propertyNames": {"pattern": TEXT_PATTERN},
                "additionalProperties": {"$ref": "#/components/schemas/SafeJson"}},
        ],
    });
    Ok(api)
}

fn add_constraints(value: &mut Value) {
    match value {
        Value::Object(map) => {
            let has_type = |map: &Map<String, Value>, name: &str| match map.get("type") {
                Some(Value::String(kind)) => kind == name,
                Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == name),
                _ => false,
            };
            let has_any_key = |map: &Map<String, Value>, names: &[&str]| {
                names.iter().any(|name| map.contains_key(*name))
            };
            if has_type(map, "string") && !has_any_key(map, &["format", "enum", "pattern"]) {
                let is_name = map.get("maxLength").is_some_and(|max| max == 200);
                map.insert(
                    "pattern".into(),
                    if is_name { NAME_PATTERN } else { TEXT_PATTERN }.into(),
                );
            }
            if has_type(map, "object")
                && !has_any_key(map, &["properties", "$ref", "oneOf", "allOf"])
            {
                map.insert("propertyNames".into(), json!({"pattern": TEXT_PATTERN}));
                let safe = json!({"$ref": "#/components/schemas/SafeJson"});
                map.insert("additionalProperties".into(), safe);
            } else if has_type(map, "object") && !map.contains_key("additionalProperties") {
                // Unknown fields are ignored, but read strictly as well.
                map.insert("propertyNames".into(), json!({"pattern": TEXT_PATTERN}));
                let safe = json!({"$ref": "#/components/schemas/SafeJson"});
                map.insert("additionalProperties".into(), safe);
            }
            map.values_mut().for_each(add_constraints);
        }
        Value::Array(items) => items.iter_mut().for_each(add_constraints),
        _ => {}
    }
}
