//! One operation of an OpenAPI document as a task.

use super::{
    chain::{self, PathVariables},
    document::Document,
    sample::Sampler,
    style,
};
use crate::{
    init::{
        destructive,
        draft::{Body, Expect, Part, Shape, Step, Task, Variable},
        names::variable_name,
        value::Value,
    },
    placeholder::escape,
};

/// An operation.
#[derive(Clone, Debug)]
pub struct Operation<'a> {
    /// Method in capital letters.
    pub method: String,
    /// Path as documented.
    pub path: &'a str,
    /// Its description.
    pub value: &'a Value,
    /// Parameters of the path and of the operation.
    pub parameters: Vec<&'a Value>,
}

/// A task, and what a person has to do about it.
#[derive(Debug, Default)]
pub struct Converted {
    /// The task.
    pub task: Task,
    /// Values to fill in.
    pub to_do: Vec<String>,
}

impl<'a> Operation<'a> {
    /// Method and path.
    pub fn endpoint(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Converts the operation. `has_value` returns which path variables another operation gives.
    ///
    /// # Errors
    /// Returns the reason if a required value can neither be found nor made.
    pub fn convert(
        &self,
        document: &'a Document,
        variables: &PathVariables,
        has_value: &'a dyn Fn(&str) -> bool,
    ) -> Result<Converted, String> {
        let mut sampler = Sampler::new(document, has_value);
        let mut step = Step { method: self.method.clone(), ..Step::default() };
        let comment = self.value.text_of("summary").unwrap_or_default().trim();
        let mut made_up = Vec::new();
        step.path = self.path_template(&mut sampler, variables, has_value, &mut made_up)?;
        if step.path != self.path {
            step.name = Some(self.endpoint());
        }
        self.add_parameters(document, &mut sampler, &mut step)?;
        step.body = self.body(document, &mut sampler)?;
        let response = self.success(document);
        step.expect = response.expect;
        if let Some(schema) = response.schema {
            step.extract = variables.extracted(document, &self.method, self.path, schema);
        }
        let disabled = if !made_up.is_empty() {
            Some(format!(
                "no operation returns {}; fill in a value that exists",
                made_up.join(", ")
            ))
        } else if let Some(name) = made_up_token(&step.body) {
            Some(format!("fill in a `{name}` that exists"))
        } else if self.is_destructive() {
            Some(destructive::REASON.into())
        } else {
            None
        };
        let Sampler { variables, to_do, .. } = sampler;
        let comment = comment.to_owned();
        let task =
            Task { comment, weight: 1, variables, steps: vec![step], disabled, ..Task::default() };
        Ok(Converted { task, to_do })
    }

    fn is_destructive(&self) -> bool {
        let id = self.value.text_of("operationId").unwrap_or_default();
        destructive::is_destructive(&self.method, self.path, id)
    }

    /// The path with a variable for each parameter.
    fn path_template(
        &self,
        sampler: &mut Sampler<'a>,
        variables: &PathVariables,
        has_value: &dyn Fn(&str) -> bool,
        made_up: &mut Vec<String>,
    ) -> Result<String, String> {
        let mut template = String::new();
        let mut rest = self.path;
        for parameter in chain::parameters(self.path) {
            let documented = format!("{{{}}}", parameter.name);
            let Some((before, after)) = rest.split_once(&documented) else { break };
            let name = variables.name(&parameter).unwrap_or("value").to_owned();
            template.push_str(before);
            template.push_str(&format!("{{{name}}}"));
            rest = after;
            if has_value(&name) {
                continue;
            }
            let description = self.parameter(&parameter.name, "path");
            let documented = description.is_some_and(has_example);
            let value = match description {
                Some(description) => path_value(sampler, description, &name)?,
                None => Value::Integer(1),
            };
            match value {
                // The sampler has made a variable of that name already.
                Value::Text(text) if text == format!("{{{name}}}") => {}
                value => sampler.variables.push((name.clone(), Variable::Is(value))),
            }
            if !documented {
                made_up.push(format!("`{name}`"));
            }
        }
        Ok(template + rest)
    }

    fn parameter(&self, name: &str, place: &str) -> Option<&'a Value> {
        let mut parameters = self.parameters.iter();
        let found = parameters.find(|parameter| {
            parameter.text_of("name") == Some(name) && parameter.text_of("in") == Some(place)
        });
        found.copied()
    }

    fn add_parameters(
        &self,
        document: &'a Document,
        sampler: &mut Sampler<'a>,
        step: &mut Step,
    ) -> Result<(), String> {
        let mut query = Vec::new();
        for parameter in self.parameters.iter().filter(|parameter| parameter.is_true("required")) {
            let name = parameter.text_of("name").unwrap_or_default();
            let place = parameter.text_of("in").unwrap_or_default();
            let lower = name.to_ascii_lowercase();
            // OpenAPI ignores descriptions of these headers.
            let ignored = ["accept", "content-type", "authorization"].contains(&lower.as_str());
            if place == "path" || (place == "header" && ignored) {
                continue;
            }
            let value = match parameter.get("content").and_then(|content| content.entries().first())
            {
                Some((_, media)) => {
                    let value = sampler.example_or_value(document.resolve(media)?, name)?;
                    Value::Text(value.to_json())
                }
                None => sampler.example_or_value(parameter, name)?,
            };
            match place {
                "query" => query.extend(style::query_fields(parameter, name, value)?),
                "header" => step.headers.push((name.to_owned(), style::listed(name, &value)?)),
                "cookie" => {
                    let text = style::listed(name, &value)?;
                    step.headers.push(("Cookie".into(), format!("{name}={text}")));
                }
                _ => return Err(format!("`{name}` is in `{place}`, which is not supported")),
            }
        }
        step.set_query(query);
        Ok(())
    }

    fn body(&self, document: &'a Document, sampler: &mut Sampler<'a>) -> Result<Body, String> {
        let Some(body) = self.value.get("requestBody") else { return Ok(Body::None) };
        let content = document.resolve(body)?.get("content").map_or(&[][..], Value::entries);
        let media = |wanted: fn(&str) -> bool| content.iter().find(|(name, _)| wanted(name));
        if let Some((_, media)) = media(is_json) {
            return Ok(Body::Json(sampler.example_or_value(media, "body")?));
        }
        if let Some((_, media)) =
            media(|name| name.starts_with("application/x-www-form-urlencoded"))
        {
            return Body::form(style::form_fields(sampler.example_or_value(media, "body")?)?);
        }
        if let Some((_, media)) = media(|name| name.starts_with("multipart/form-data")) {
            return multipart(document, sampler, media);
        }
        let Some((content_type, media)) = content.first() else { return Ok(Body::None) };
        match media.get("example").and_then(Value::text) {
            Some(text) => Ok(Body::Text { text: escape(text), content_type: content_type.clone() }),
            None if content_type.starts_with("text/") => {
                Ok(Body::Text { text: "text".into(), content_type: content_type.clone() })
            }
            None => Err(format!("its body is {content_type}, without an example")),
        }
    }

    fn success(&self, document: &'a Document) -> Success<'a> {
        let responses = self.value.get("responses").map_or(&[][..], Value::entries);
        let documented = |first: char| {
            let of_class = responses.iter().filter(move |(status, _)| status.starts_with(first));
            of_class.collect::<Vec<_>>()
        };
        let mut successes = documented('2');
        if successes.is_empty() {
            successes = documented('3');
        }
        let status: Vec<u16> =
            successes.iter().filter_map(|(status, _)| status.parse().ok()).collect();
        // A range such as `2XX` is the default of a profile.
        let status = if status.len() == successes.len() { status } else { Vec::new() };
        let schema = match successes[..] {
            [(_, response)] => json_schema(document, response),
            _ => None,
        };
        let shape = schema.and_then(|schema| shape(document, schema));
        Success { expect: Expect { status, shape, ..Expect::default() }, schema }
    }
}

/// The value of a path parameter. Arrays and objects have commas.
fn path_value<'a>(
    sampler: &mut Sampler<'a>,
    parameter: &'a Value,
    name: &str,
) -> Result<Value, String> {
    if let Some(style) = parameter.text_of("style").filter(|style| *style != "simple") {
        return Err(format!("the style {style} of `{name}` is not supported"));
    }
    match sampler.example_or_value(parameter, name)? {
        value @ (Value::List(_) | Value::Table(_)) => Ok(style::listed(name, &value)?.into()),
        value => Ok(value),
    }
}

/// What a successful response looks like.
struct Success<'a> {
    expect: Expect,
    schema: Option<&'a Value>,
}

/// Schema of a JSON response.
pub fn json_schema<'a>(document: &'a Document, response: &'a Value) -> Option<&'a Value> {
    let content = document.resolve(response).ok()?.get("content")?.entries();
    let (_, media) = content.iter().find(|(name, _)| is_json(name))?;
    media.get("schema")
}

fn shape(document: &Document, schema: &Value) -> Option<Shape> {
    let schema = document.resolve(schema).ok()?;
    if let Some(items) = schema.get("items") {
        let keys = required(document, items, 0);
        return (!keys.is_empty()).then_some(Shape::Array(keys));
    }
    let keys = required(document, schema, 0);
    (!keys.is_empty()).then_some(Shape::Object(keys))
}

/// Required keys of an object, those of the parts of its `allOf` included.
fn required(document: &Document, schema: &Value, depth: usize) -> Vec<String> {
    let Ok(schema) = document.resolve(schema) else { return Vec::new() };
    let mut keys = Vec::new();
    if depth < 4 {
        let parts = schema.get("allOf").map_or(&[][..], Value::items).iter().take(16);
        keys.extend(parts.flat_map(|part| required(document, part, depth + 1)));
    }
    let own = schema.get("required").map_or(&[][..], Value::items);
    keys.extend(own.iter().filter_map(Value::text).map(str::to_owned));
    keys
}

fn multipart<'a>(
    document: &'a Document,
    sampler: &mut Sampler<'a>,
    media: &'a Value,
) -> Result<Body, String> {
    let schema = match media.get("schema") {
        Some(schema) => document.resolve(schema)?,
        None => return Err("its multipart body has no schema".into()),
    };
    let value = sampler.example_or_value(media, "body")?;
    let properties = schema.get("properties").map_or(&[][..], Value::entries);
    let is_file = |name: &str| {
        let property = properties.iter().find(|(other, _)| other == name);
        let property = property.and_then(|(_, property)| document.resolve(property).ok());
        property.is_some_and(|property| {
            property.text_of("format") == Some("binary")
                || property.get("contentMediaType").is_some()
        })
    };
    let mut parts = Vec::new();
    for (name, value) in value.entries() {
        if is_file(name) {
            return Err(format!("`{name}` of its body is a file"));
        }
        // Objects are JSON; how an array is sent depends on its encoding.
        if !value.items().is_empty() {
            return Err(format!("`{name}` of its multipart body is an array"));
        }
        parts.push((name.clone(), Part::Text(value.plain())));
    }
    Ok(Body::Multipart(parts))
}

/// A field that is a token without an example: the service rejects what is made up.
fn made_up_token(body: &Body) -> Option<&str> {
    let fields = match body {
        Body::Json(json) => json.entries(),
        Body::Form(fields) => fields,
        _ => return None,
    };
    let made_up = fields.iter().find(|(name, value)| {
        let is_made_up = value.text().is_some_and(|text| text.contains("{random}"));
        is_made_up && variable_name(name).split('_').any(|word| word == "token")
    });
    made_up.map(|(name, _)| name.as_str())
}

fn is_json(media_type: &str) -> bool {
    let name = media_type.split(';').next().unwrap_or_default().trim();
    name == "application/json" || name.ends_with("+json") || name == "*/*"
}

fn has_example(parameter: &Value) -> bool {
    let schema = parameter.get("schema");
    let has = |key| parameter.get(key).or_else(|| schema.and_then(|schema| schema.get(key)));
    ["example", "examples", "default", "enum", "const"].iter().any(|key| has(key).is_some())
}

/// The JSON or form body of an operation, for a request that a person completes.
pub fn example_body<'a>(operation: &Operation<'a>, document: &'a Document) -> Option<Value> {
    match operation.body(document, &mut Sampler::new(document, &|_| false)).ok()? {
        Body::Json(json) => Some(json),
        _ => None,
    }
}
