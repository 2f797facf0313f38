//! What all operations share: a unique id, the common errors and the supported request headers.

use serde_json::{Map, Value, json};
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Content, ContentBuilder, ObjectBuilder, OpenApi, Ref, RefOr, Required, Response,
    ResponseBuilder, Type,
};

use super::super::is_api;
use super::{operation_id, operations_mut};

const PROBLEM_JSON: &str = "application/problem+json";

/// Adds a unique id, the common errors and the supported request headers to every operation.
pub fn add(api: &mut OpenApi) {
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
        for (method, operation) in operations_mut(item) {
            operation.operation_id = Some(operation_id(method, path));
            if is_api(path) {
                add_common_errors(operation);
                add_role_error(method, operation);
                add_request_headers(method, path, operation);
            }
            add_header_errors(operation);
            set_problem_media_type(operation);
        }
    }
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
    add_error(operation, "429", "Too many requests from this client address; see Retry-After");
    add_error(operation, "500", "Internal error; logged on the server with the request id");
    add_error(
        operation,
        "503",
        "A dependency is unavailable or the service is overloaded; see Retry-After",
    );
}

/// Adds the errors of requests that are too large to be routed.
fn add_header_errors(operation: &mut Operation) {
    add_error(operation, "414", "The URI is too long");
    add_error(operation, "431", "The headers are too large");
}

/// Adds the error of callers that may not change what all customers share.
fn add_role_error(method: &str, operation: &mut Operation) {
    let is_shared = |tag: &String| tag == "catalogue" || tag == "genesis";
    if method != "GET" && operation.tags.iter().flatten().any(is_shared) {
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
    } else if method == "GET" && !streams_ndjson(operation) && !is_measured(path) {
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

/// Describes that the other operations need no credential.
pub fn mark_public_operations(api: &mut Value) {
    for item in api["paths"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
            if operation.get("security").is_none() {
                operation["security"] = json!([]);
            }
        }
    }
}
