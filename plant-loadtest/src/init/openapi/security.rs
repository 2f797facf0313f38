//! Security schemes as headers with variables that a person fills in. Secrets are never invented.

use super::{
    document::Document,
    operation::{self, Operation},
};
use crate::{
    init::{
        draft::{Body, Class, Draft, RemarkKind, Step, Variable},
        names::{free_name, variable_name},
        toml_text,
        value::{Value, pointer_segment},
    },
    placeholder::FILL_IN,
};

/// Properties of a login's response that hold the access token.
const TOKEN_KEYS: [&str; 6] =
    ["access_token", "accessToken", "token", "id_token", "jwt", "auth_token"];

/// Adds a header for each security scheme that an operation needs.
pub fn add(
    document: &Document,
    operations: &[Operation<'_>],
    class: &mut Class,
    draft: &mut Draft,
) {
    let schemes =
        document.get("components").and_then(|components| components.get("securitySchemes"));
    for (name, scheme) in schemes.map_or(&[][..], Value::entries) {
        let Ok(scheme) = document.resolve(scheme) else { continue };
        if !operations.iter().any(|operation| needs(document, operation, name)) {
            continue;
        }
        match (scheme.text_of("type"), scheme.text_of("scheme"), scheme.text_of("in")) {
            (Some("http"), Some(kind), _) if kind.eq_ignore_ascii_case("basic") => {
                let variable = add_secret(class, "basic_credentials");
                set_header(class, "Authorization", format!("Basic {{{variable}}}"));
                let text = format!("replace the value of `{variable}` by user:password in base64");
                draft.remark(RemarkKind::ToDo, name, text);
            }
            (Some("http" | "oauth2" | "openIdConnect"), ..) => {
                add_bearer(document, operations, name, class, draft);
            }
            (Some("apiKey"), _, Some("header")) => {
                let header = scheme.text_of("name").unwrap_or("X-API-Key");
                let variable = add_secret(class, &variable_name(header));
                set_header(class, header, format!("{{{variable}}}"));
                draft.remark(RemarkKind::ToDo, name, format!("replace the value of `{variable}`"));
            }
            (Some("apiKey"), _, place) => {
                let key = scheme.text_of("name").unwrap_or("key");
                let text = format!("add `{key}` to the {}", place.unwrap_or("query"));
                draft.remark(RemarkKind::ToDo, name, text);
            }
            (kind, ..) => {
                let text = format!("security of type {} is not supported", kind.unwrap_or("?"));
                draft.remark(RemarkKind::LeftOut, name, text);
            }
        }
    }
}

/// Whether an operation needs the scheme; its own list replaces that of the document.
fn needs(document: &Document, operation: &Operation<'_>, scheme: &str) -> bool {
    let own = operation.value.get("security").or_else(|| document.get("security"));
    let alternatives = own.map_or(&[][..], Value::items);
    alternatives.iter().any(|alternative| alternative.get(scheme).is_some())
}

fn add_bearer(
    document: &Document,
    operations: &[Operation<'_>],
    scheme: &str,
    class: &mut Class,
    draft: &mut Draft,
) {
    if class.headers.iter().any(|(header, _)| header == "Authorization") {
        return;
    }
    let variable = add_secret(class, "token");
    set_header(class, "Authorization", format!("Bearer {{{variable}}}"));
    let login = login(document, operations);
    let pointer = login.as_ref().map_or("/access_token", |(_, pointer)| pointer);
    let mut step = Step {
        method: "POST".into(),
        path: login.as_ref().map_or("/login", |(operation, _)| operation.path).to_owned(),
        extract: vec![(variable.clone(), pointer.to_owned())],
        ..Step::default()
    };
    let body =
        login.as_ref().and_then(|(operation, _)| operation::example_body(operation, document));
    let credentials = ["email", "password"].map(|key| (key.to_owned(), Value::from(FILL_IN)));
    step.body = Body::Json(body.unwrap_or_else(|| Value::Table(credentials.into())));
    let explanation = format!(
        "# To log in each user: remove `{variable}` from the variables above, complete this request\n\
         # and remove the #.\n"
    );
    class.on_start_example = explanation + &toml_text::on_start(&step);
    let text = format!(
        "replace the value of `{variable}` by an access token, or complete the commented on_start"
    );
    draft.remark(RemarkKind::ToDo, scheme, text);
}

/// The operation that looks like a login: a POST whose response has a token.
pub fn login<'a, 'd>(
    document: &'d Document,
    operations: &'a [Operation<'d>],
) -> Option<(&'a Operation<'d>, String)> {
    let tokens =
        operations.iter().filter(|operation| operation.method == "POST").filter_map(|operation| {
            let responses = operation.value.get("responses")?.entries();
            let (_, response) = responses.iter().find(|(status, _)| status.starts_with('2'))?;
            let schema = operation::json_schema(document, response)?;
            let properties = document.resolve(schema).ok()?.get("properties")?;
            let key = TOKEN_KEYS.iter().find(|key| properties.get(key).is_some())?;
            Some((operation, format!("/{}", pointer_segment(key))))
        });
    let mut tokens: Vec<_> = tokens.collect();
    // `/auth/refresh` returns a token too.
    tokens.sort_by_key(|(operation, _)| {
        !["login", "signin", "sign-in", "token", "sessions"]
            .iter()
            .any(|word| operation.path.to_ascii_lowercase().ends_with(word))
    });
    tokens.into_iter().next()
}

fn set_header(class: &mut Class, name: &str, value: String) {
    if !class.headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name)) {
        class.headers.push((name.to_owned(), value));
    }
}

/// Adds a variable whose value a person fills in; returns its name.
fn add_secret(class: &mut Class, wanted: &str) -> String {
    let of_tasks = class.tasks.iter().flat_map(|task| {
        let extracted = task.steps.iter().flat_map(|step| &step.extract).map(|(name, _)| name);
        task.variables.iter().map(|(name, _)| name).chain(extracted)
    });
    let of_tasks: Vec<&String> = of_tasks.collect();
    let taken = |name: &str| {
        class.variables.iter().any(|(other, _)| other == name)
            || of_tasks.iter().any(|other| *other == name)
    };
    let name = free_name(wanted, taken);
    class.variables.push((name.clone(), Variable::Is(Value::from(FILL_IN))));
    name
}
