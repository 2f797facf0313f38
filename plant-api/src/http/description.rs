//! Completes the OpenAPI description with what holds for every operation alike, so that no
//! handler repeats it.

use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
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
    add(operation, "500", "A bug; the log has it under the request id");
    add(operation, "503", "The database is away, or overloaded; see Retry-After");
}

fn conditions(method: &str, operation: &mut Operation) {
    let answers = |status: &str| operation.responses.responses.contains_key(status);
    if answers("201") {
        add(operation, "409", "Another request with this Idempotency-Key is still running");
        let about = "Makes it safe to send the request again, within a day";
        header(operation, "Idempotency-Key", about);
    } else if answers("412") {
        header(operation, "If-Match", "The version to be changed, from an ETag");
    } else if method == "get" {
        let unchanged = ResponseBuilder::new().description("The version in If-None-Match").build();
        operation.responses.responses.entry("304".into()).or_insert(RefOr::T(unchanged));
        header(operation, "If-None-Match", "The version that the client has, from an ETag");
    }
}

fn add(operation: &mut Operation, status: &str, about: &str) {
    operation.responses.responses.entry(status.to_owned()).or_insert_with(|| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        RefOr::T(ResponseBuilder::new().description(about).content(PROBLEM, content).build())
    });
}

fn header(operation: &mut Operation, name: &str, about: &str) {
    let parameter: Parameter = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(about))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
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
