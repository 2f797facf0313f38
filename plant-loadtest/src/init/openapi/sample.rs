//! Values for the schemas of bodies and parameters: the documented example, or a value made from
//! the constraints.

use super::document::Document;
use crate::{
    init::{
        draft::Variable,
        names::{free_name, variable_name},
        value::Value,
    },
    placeholder,
};

/// Deepest nesting of a value.
const DEEPEST: usize = 12;

/// Most values in one body. Schemas that refer to each other can describe billions.
const MOST_VALUES: usize = 2000;

/// Most items of an array that are made for a `minItems`.
const MOST_ITEMS: usize = 100;

/// Longest text that is made for a `minLength`.
const LONGEST_FILLER: usize = 5000;

/// Makes the values of one request.
pub struct Sampler<'a> {
    document: &'a Document,
    /// Whether a response gives the variable of this name.
    is_given: &'a dyn Fn(&str) -> bool,
    values: usize,
    /// Schemas whose values are being made, the outermost first.
    active: Vec<&'a Value>,
    /// Variables of the task that the values refer to.
    pub variables: Vec<(String, Variable)>,
    /// What a person has to fill in.
    pub to_do: Vec<String>,
}

/// Limits of a number.
struct Bounds {
    from: Option<f64>,
    to: Option<f64>,
}

impl<'a> Sampler<'a> {
    /// Creates a sampler for the schemas of `document`.
    /// Properties that are named like a variable that responses give, such as `skill_id`, get it.
    pub fn new(document: &'a Document, is_given: &'a dyn Fn(&str) -> bool) -> Self {
        Self {
            document,
            is_given,
            values: 0,
            active: Vec::new(),
            variables: Vec::new(),
            to_do: Vec::new(),
        }
    }

    /// Returns the example of a parameter or media type, or a value for its schema.
    pub fn example_or_value(&mut self, owner: &'a Value, name: &str) -> Result<Value, String> {
        let mut example = owner.get("example");
        if let Some((_, first)) = owner.get("examples").and_then(|all| all.entries().first()) {
            example = example.or(self.document.resolve(first)?.get("value"));
        }
        match (example, owner.get("schema")) {
            (Some(example), Some(schema)) => Ok(self.documented(schema, example, name, 0)),
            (Some(example), None) => Ok(literal(example)),
            (None, Some(schema)) => self.value(schema, name, 0),
            (None, None) => Err(format!("`{name}` has neither an example nor a schema")),
        }
    }

    /// An example, in which numbers and booleans are texts where the schema wants one: YAML has no
    /// quotes where people expect none.
    fn documented(
        &mut self,
        schema: &'a Value,
        example: &'a Value,
        name: &str,
        depth: usize,
    ) -> Value {
        let Some(schema) = self.document.resolve(schema).ok().filter(|_| depth < DEEPEST) else {
            return literal(example);
        };
        match example {
            Value::Table(entries) => {
                let properties = schema.get("properties");
                let entries = entries.iter().map(|(key, value)| {
                    let value = match properties.and_then(|properties| properties.get(key)) {
                        Some(property) => self.documented(property, value, key, depth + 1),
                        None => literal(value),
                    };
                    (key.clone(), value)
                });
                Value::Table(entries.collect())
            }
            Value::List(items) => match schema.get("items") {
                Some(of_items) => {
                    let items = items.iter();
                    let items = items.map(|item| self.documented(of_items, item, name, depth + 1));
                    Value::List(items.collect())
                }
                None => literal(example),
            },
            Value::Bool(_) | Value::Integer(_) | Value::Float(_)
                if schema.text_of("type") == Some("string") =>
            {
                let text = example.to_json();
                self.to_do.push(format!(
                    "`{name}` is a text and {text} is none: `\"{text}\"` is sent; quote it in the document"
                ));
                Value::Text(text)
            }
            other => literal(other),
        }
    }

    /// Returns a value for `schema`; `name` is that of the property or parameter.
    fn value(&mut self, schema: &'a Value, name: &str, depth: usize) -> Result<Value, String> {
        self.values += 1;
        if depth > DEEPEST || self.values > MOST_VALUES {
            return Err(format!("the schema of `{name}` is too large or refers to itself"));
        }
        let schema = self.document.resolve(schema)?;
        if self.active.iter().any(|active| std::ptr::eq(*active, schema)) {
            return Err(format!("the schema of `{name}` refers to itself"));
        }
        self.active.push(schema);
        let value = self.value_of(schema, name, depth);
        self.active.pop();
        value
    }

    fn value_of(&mut self, schema: &'a Value, name: &str, depth: usize) -> Result<Value, String> {
        if let Some(example) = given(schema) {
            return Ok(self.documented(schema, example, name, depth));
        }
        if schema.get("not").is_some() {
            return Err(format!("`{name}` must not match a schema: give an example"));
        }
        if let Some(choices) = schema.get("enum") {
            return Ok(self.one_of(schema, choices.items(), name));
        }
        for key in ["oneOf", "anyOf"] {
            let mut choices = schema.get(key).map_or(&[][..], Value::items).iter();
            if let Some(choice) = choices.find(|choice| choice.text_of("type") != Some("null")) {
                return self.value(choice, name, depth + 1);
            }
        }
        let kind = self.type_of(schema, depth)?.unwrap_or("string");
        let variable = variable_name(name);
        if ["string", "integer"].contains(&kind) && (self.is_given)(&variable) {
            return Ok(Value::Text(format!("{{{variable}}}")));
        }
        if let Some(parts) = schema.get("allOf").filter(|_| kind != "object") {
            return match parts.items() {
                [only] => self.value(only, name, depth + 1),
                _ => Err(format!("`{name}` has several parts: give an example")),
            };
        }
        match kind {
            "object" => self.object(schema, name, depth),
            "array" => self.array(schema, name, depth),
            "integer" => integer(schema, name).map(|drawn| self.number(name, drawn)),
            "number" => number(schema, name).map(|drawn| self.number(name, drawn)),
            "boolean" => Ok(Value::Bool(true)),
            "null" => Ok(Value::Null),
            _ => self.text(schema, name),
        }
    }

    /// The type of a schema, or of the first part of its `allOf` that has one.
    fn type_of(&mut self, schema: &'a Value, depth: usize) -> Result<Option<&'a str>, String> {
        self.values += 1;
        if depth > DEEPEST || self.values > MOST_VALUES {
            return Err("an `allOf` is too large or refers to itself".into());
        }
        let named = match schema.get("type") {
            Some(Value::Text(name)) => Some(name.as_str()),
            Some(Value::List(names)) => {
                names.iter().filter_map(Value::text).find(|name| *name != "null")
            }
            _ => None,
        };
        if named.is_some() {
            return Ok(named);
        }
        if schema.get("properties").is_some() || schema.get("additionalProperties").is_some() {
            return Ok(Some("object"));
        }
        if schema.get("items").is_some() {
            return Ok(Some("array"));
        }
        for part in schema.get("allOf").map_or(&[][..], Value::items) {
            let part = self.document.resolve(part)?;
            if let Some(kind) = self.type_of(part, depth + 1)? {
                return Ok(Some(kind));
            }
        }
        Ok(None)
    }

    /// All required properties; all properties if none is required.
    fn object(&mut self, schema: &'a Value, name: &str, depth: usize) -> Result<Value, String> {
        let mut object = Object::default();
        self.collect(schema, depth, &mut object)?;
        let Object { properties, required, least } = object;
        let mut entries: Vec<(String, Value)> = Vec::new();
        for (name, property) in properties {
            let wanted = required.is_empty() || required.contains(&name);
            let resolved = self.document.resolve(property)?;
            if !wanted || property.is_true("readOnly") || resolved.is_true("readOnly") {
                continue;
            }
            match self.value(property, name, depth + 1) {
                Ok(value) => entries.push((name.to_owned(), value)),
                // An optional property that refers to its own object ends here.
                Err(_) if required.is_empty() && self.values <= MOST_VALUES => {}
                Err(reason) => return Err(reason),
            }
        }
        if entries.len() < least {
            return Err(format!("`{name}` needs at least {least} properties: give an example"));
        }
        Ok(Value::Table(entries))
    }

    /// Adds the properties of `schema` and of all parts of its `allOf`.
    fn collect(
        &mut self,
        schema: &'a Value,
        depth: usize,
        object: &mut Object<'a>,
    ) -> Result<(), String> {
        self.values += 1;
        if depth > DEEPEST || self.values > MOST_VALUES {
            return Err("an `allOf` is too large or refers to itself".into());
        }
        let schema = self.document.resolve(schema)?;
        for part in schema.get("allOf").map_or(&[][..], Value::items) {
            self.collect(part, depth + 1, object)?;
        }
        for (name, property) in schema.get("properties").map_or(&[][..], Value::entries) {
            object.properties.retain(|(other, _)| other != name);
            object.properties.push((name, property));
        }
        let required = schema.get("required").map_or(&[][..], Value::items);
        object.required.extend(required.iter().filter_map(Value::text));
        object.least = object.least.max(count(schema, "minProperties").unwrap_or(0));
        Ok(())
    }

    fn array(&mut self, schema: &'a Value, name: &str, depth: usize) -> Result<Value, String> {
        let least = count(schema, "minItems").unwrap_or(0);
        let most = count(schema, "maxItems").unwrap_or(usize::MAX);
        let Some(items) = schema.get("items").filter(|_| least <= MOST_ITEMS && least <= most)
        else {
            return match least {
                0 => Ok(Value::List(Vec::new())),
                _ => Err(format!("`{name}` needs at least {least} items: give an example")),
            };
        };
        let mut list: Vec<Value> = Vec::new();
        for _ in 0..least.max(1).min(most) {
            let item = self.value(items, name, depth + 1)?;
            let is_new = item.text().is_some_and(|text| text.contains("{uuid}"));
            if schema.is_true("uniqueItems") && !is_new && list.contains(&item) {
                return Err(format!("`{name}` needs {least} different items: give an example"));
            }
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn one_of(&mut self, schema: &'a Value, choices: &'a [Value], name: &str) -> Value {
        let choices = choices.iter().filter(|choice| **choice != Value::Null);
        let mut choices: Vec<Value> =
            choices.map(|choice| self.documented(schema, choice, name, 0)).collect();
        match choices.len() {
            0 => Value::Null,
            1 => choices.remove(0),
            _ => self.drawn(name, Variable::OneOf(choices)),
        }
    }

    fn number(&mut self, name: &str, variable: Variable) -> Value {
        match variable {
            Variable::Is(value) => value,
            drawn => self.drawn(name, drawn),
        }
    }

    fn text(&mut self, schema: &Value, name: &str) -> Result<Value, String> {
        let text = match schema.text_of("format").unwrap_or_default() {
            "uuid" => "{uuid}",
            "date-time" => "{now}",
            "date" => "2026-01-31",
            "time" => "12:00:00Z",
            "duration" => "PT1H",
            "email" | "idn-email" => "user-{uuid}@example.com",
            "uri" | "url" | "iri" | "uri-reference" => "https://example.com/",
            "hostname" | "idn-hostname" => "example.com",
            "ipv4" => "192.0.2.1",
            "ipv6" => "2001:db8::1",
            "byte" => "dGV4dA==",
            _ => return self.plain_text(schema, name),
        };
        Ok(text.into())
    }

    /// A text that differs from request to request if there is space for it: names are often unique.
    fn plain_text(&mut self, schema: &Value, name: &str) -> Result<Value, String> {
        if let Some(pattern) = schema.text_of("pattern") {
            self.to_do.push(format!("`{name}` must match `{pattern}`"));
        }
        let least = count(schema, "minLength").unwrap_or(0);
        let most = count(schema, "maxLength").unwrap_or(usize::MAX);
        if least > LONGEST_FILLER || least > most {
            return Err(format!("`{name}` needs at least {least} characters: give an example"));
        }
        // `{random}` has one to ten digits.
        let fixed = (name.chars().count() + 1).max(least.saturating_sub(1));
        Ok(Value::Text(if fixed.saturating_add(10) <= most {
            let text = placeholder::escape(&filled(name, fixed - 1));
            format!("{text} {{random}}")
        } else {
            filled("text", least.max(4).min(most))
        }))
    }

    /// Adds a variable of the task and returns its placeholder.
    fn drawn(&mut self, name: &str, variable: Variable) -> Value {
        let wanted = variable_name(name);
        let name = free_name(&wanted, |name| {
            self.variables.iter().any(|(other, drawn)| other == name && *drawn != variable)
        });
        let placeholder = Value::Text(format!("{{{name}}}"));
        if !self.variables.iter().any(|(other, _)| *other == name) {
            self.variables.push((name, variable));
        }
        placeholder
    }
}

/// Returns `length` characters that start with `start`.
fn filled(start: &str, length: usize) -> String {
    start.chars().chain(" text".chars().cycle()).take(length).collect()
}

#[derive(Default)]
struct Object<'a> {
    properties: Vec<(&'a str, &'a Value)>,
    required: Vec<&'a str>,
    /// Least number of properties.
    least: usize,
}

/// The value that the schema itself names.
fn given(schema: &Value) -> Option<&Value> {
    let examples = || schema.get("examples").and_then(|examples| examples.items().first());
    let value = schema.get("example").or_else(examples);
    value.or_else(|| schema.get("const")).or_else(|| schema.get("default"))
}

/// A value of the document: its braces are no placeholders.
pub fn literal(value: &Value) -> Value {
    value.clone().map_text(&mut |text| Value::Text(placeholder::escape(&text)))
}

/// The limit of a length or a number of things; YAML may have it as `1e9`.
fn count(schema: &Value, key: &str) -> Option<usize> {
    let limit = schema.get(key).and_then(Value::number)?;
    usize::try_from(whole(limit.ceil())).ok()
}

/// An integer within the limits of its schema.
fn integer(schema: &Value, name: &str) -> Result<Variable, String> {
    let Bounds { from, to } = bounds(schema, 1.0);
    let (from, to) = (from.map(|from| whole(from.ceil())), to.map(|to| whole(to.floor())));
    let step = schema.get("multipleOf").and_then(Value::integer).filter(|step| *step > 0);
    let value = match (from, to, step) {
        (from, to, Some(step)) => {
            let start = from.unwrap_or_else(|| to.map_or(step, |to| to.min(step)));
            let up = (step - start.rem_euclid(step)) % step;
            // Without a lower limit the multiple below is within the upper one.
            let down = if from.is_none() && up > 0 { step } else { 0 };
            start.saturating_add(up).saturating_sub(down)
        }
        (Some(from), Some(to), None) if from < to => return Ok(Variable::Integer(from, to)),
        (Some(from), _, None) => from.max(1).min(to.unwrap_or(i64::MAX)),
        (None, Some(to), None) => to.min(1),
        (None, None, None) => 1,
    };
    if from.is_some_and(|from| value < from) || to.is_some_and(|to| value > to) {
        return Err(format!("no integer is within the limits of `{name}`"));
    }
    Ok(Variable::Is(Value::Integer(value)))
}

/// A number within the limits of its schema.
fn number(schema: &Value, name: &str) -> Result<Variable, String> {
    let Bounds { from, to } = bounds(schema, 0.0);
    let step = schema.get("multipleOf").and_then(Value::number).filter(|step| *step > 0.0);
    let value = match (from, to, step) {
        (Some(from), _, Some(step)) => ((from / step).floor() + 1.0) * step,
        (None, Some(to), Some(step)) => ((to / step).ceil() - 1.0) * step,
        (None, None, Some(step)) => step,
        (Some(from), Some(to), None) if from < to => return Ok(Variable::Number(from, to)),
        (Some(from), Some(_), None) => from,
        (Some(from), None, None) => from + 1.0,
        (None, Some(to), None) => to - 1.0,
        (None, None, None) => 1.0,
    };
    if from.is_some_and(|from| value < from) || to.is_some_and(|to| value > to) {
        return Err(format!("no number is within the limits of `{name}`"));
    }
    Ok(Variable::Is(Value::Float(value)))
}

/// Limits of a number; exclusive ones are moved inwards by `step`. OpenAPI 3.0 has
/// `exclusiveMinimum: true` beside `minimum`, 3.1 the limit itself.
fn bounds(schema: &Value, step: f64) -> Bounds {
    let limit = |inclusive: &str, exclusive: &str, step: f64| {
        let limit = schema.get(inclusive).and_then(Value::number);
        let moved = if schema.is_true(exclusive) { step } else { 0.0 };
        let strict = schema.get(exclusive).and_then(Value::number).map(|limit| limit + step);
        strict.or_else(|| limit.map(|limit| limit + moved))
    };
    Bounds {
        from: limit("minimum", "exclusiveMinimum", step),
        to: limit("maximum", "exclusiveMaximum", -step),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a cast saturates")]
fn whole(number: f64) -> i64 {
    number as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(schema: &str) -> Result<(Value, Vec<(String, Variable)>), String> {
        let text = format!(r##"{{"openapi":"3.1.0","owner":{{"schema":{schema}}}}}"##);
        let document = Document::parse("api", &text).unwrap();
        let mut sampler = Sampler::new(&document, &|name| name == "shop_id");
        let value = sampler.example_or_value(document.get("owner").unwrap(), "it")?;
        Ok((value, sampler.variables))
    }

    fn json(schema: &str) -> String {
        sample(schema).unwrap().0.to_json()
    }

    #[test]
    fn examples_and_defaults_come_first() {
        assert_eq!(json(r#"{"type":"string","example":"{a}"}"#), r#""{{a}}""#);
        assert_eq!(json(r#"{"type":"integer","minimum":5,"default":9}"#), "9");
        assert_eq!(json(r#"{"examples":[{"b":1}]}"#), r#"{"b":1}"#);
        assert_eq!(json(r#"{"const":"only"}"#), r#""only""#);
    }

    #[test]
    fn a_number_where_a_text_is_documented_is_sent_as_text_and_listed() {
        let schema = r#"{"type":"object","example":{"zip":90210,"tags":[true],"count":3},"properties":
            {"zip":{"type":"string"},"tags":{"items":{"type":"string"}},"count":{"type":"integer"}}}"#;
        let text = format!(r##"{{"openapi":"3.1.0","owner":{{"schema":{schema}}}}}"##);
        let document = Document::parse("api", &text).unwrap();
        let mut sampler = Sampler::new(&document, &|_| false);
        let value = sampler.example_or_value(document.get("owner").unwrap(), "it").unwrap();
        assert_eq!(value.to_json(), r#"{"zip":"90210","tags":["true"],"count":3}"#);
        assert_eq!(sampler.to_do.len(), 2, "{:?}", sampler.to_do);
        assert_eq!(json(r#"{"type":"string","enum":[1]}"#), r#""1""#);
    }

    #[test]
    fn limits_that_no_made_value_meets_are_errors() {
        for schema in [
            r#"{"type":"array","minItems":1000000000,"items":{"type":"string"}}"#,
            r#"{"type":"array","minItems":1e9,"items":{"type":"string"}}"#,
            r#"{"type":"array","minItems":2}"#,
            r#"{"type":"array","minItems":2,"uniqueItems":true,"items":{"type":"integer"}}"#,
            r#"{"type":"object","additionalProperties":{"type":"string"},"minProperties":2}"#,
            r#"{"type":"integer","minimum":5,"maximum":3}"#,
            r#"{"type":"integer","minimum":6,"maximum":9,"multipleOf":5}"#,
            r#"{"type":"number","minimum":0.6,"maximum":0.9,"multipleOf":0.5}"#,
            r#"{"type":"string","minLength":100000000}"#,
            r#"{"not":{"type":"string"}}"#,
            r#"{"allOf":[{"type":"string"},{"maxLength":3}]}"#,
        ] {
            assert!(sample(schema).is_err(), "{schema}: {:?}", sample(schema));
        }
        let ids = r#"{"type":"array","minItems":2,"uniqueItems":true,"items":{"format":"uuid"}}"#;
        assert_eq!(json(ids), r#"["{uuid}","{uuid}"]"#);
    }

    #[test]
    fn a_schema_of_one_part_is_that_part() {
        let schema = r#"{"description":"a","allOf":[{"type":"string","enum":["on"]}]}"#;
        assert_eq!(json(schema), r#""on""#);
        assert_eq!(
            json(r#"{"allOf":[{"description":"a"},{"properties":{"b":{"const":1}}}]}"#),
            r#"{"b":1}"#
        );
    }

    #[test]
    fn numbers_respect_their_limits() {
        for (schema, expected) in [
            (r#"{"type":"integer","minimum":5}"#, "5"),
            (r#"{"type":"integer","exclusiveMinimum":5}"#, "6"),
            (r#"{"type":"integer","minimum":5,"exclusiveMinimum":true}"#, "6"),
            (r#"{"type":"integer","maximum":-3}"#, "-3"),
            (r#"{"type":"integer","minimum":7,"maximum":7}"#, "7"),
            (r#"{"type":"integer","minimum":7,"multipleOf":5}"#, "10"),
            (r#"{"type":"integer"}"#, "1"),
            (r#"{"type":["null","integer"]}"#, "1"),
            (r#"{"type":"integer","maximum":-3,"multipleOf":5}"#, "-5"),
            (r#"{"type":"number","minimum":0}"#, "1.0"),
            (r#"{"type":"number","minimum":0.5,"maximum":0.5}"#, "0.5"),
            (r#"{"type":"number","exclusiveMinimum":0,"maximum":0.5,"multipleOf":0.25}"#, "0.25"),
            (r#"{"type":"integer","minimum":1,"maximum":9}"#, r#""{it}""#),
        ] {
            assert_eq!(json(schema), expected, "{schema}");
        }
        let (_, variables) = sample(r#"{"type":"number","minimum":0.5,"maximum":2}"#).unwrap();
        assert_eq!(variables, [("it".into(), Variable::Number(0.5, 2.0))]);
    }

    #[test]
    fn texts_respect_their_length_and_format() {
        for (least, most) in [(0, 3), (5, 5), (20, 25), (0, 2000), (300, 300)] {
            let text =
                json(&format!(r#"{{"type":"string","minLength":{least},"maxLength":{most}}}"#));
            let longest = text.replace("{random}", "0123456789").len() - 2;
            let shortest = text.replace("{random}", "0").len() - 2;
            assert!(shortest >= least && longest <= most, "{least} {most} {text}");
        }
        assert_eq!(json(r#"{"type":"string","format":"uuid"}"#), r#""{uuid}""#);
        assert_eq!(json(r#"{"type":"string","format":"email"}"#), r#""user-{uuid}@example.com""#);
    }

    #[test]
    fn an_enumeration_is_a_drawn_variable_or_its_only_value() {
        assert_eq!(json(r#"{"enum":["a"]}"#), r#""a""#);
        let (value, variables) = sample(r#"{"enum":["a","b",null]}"#).unwrap();
        assert_eq!(value, Value::from("{it}"));
        assert_eq!(variables, [("it".into(), Variable::OneOf(vec!["a".into(), "b".into()]))]);
    }

    #[test]
    fn an_object_has_its_required_properties_from_all_parts() {
        let schema = r#"{"allOf":[{"type":"object","required":["id"],"properties":
            {"id":{"type":"integer"},"extra":{"type":"string"}}},
            {"required":["tags"],"properties":{"tags":{"type":"array","minItems":2,
            "items":{"const":"x"}},"made":{"readOnly":true}}}]}"#;
        assert_eq!(json(schema), r#"{"id":1,"tags":["x","x"]}"#);
        assert_eq!(json(r#"{"anyOf":[{"type":"null"},{"type":"boolean"}]}"#), "true");
    }

    #[test]
    fn endless_schemas_are_errors() {
        let node = r##"{"type":"object","required":["next"],"properties":
            {"next":{"$ref":"#/owner/schema"}}}"##;
        assert!(sample(node).unwrap_err().contains("refers to itself"));
        // Ten properties of ten properties each, and so on: billions of values.
        let level = |level: usize| {
            let next = format!(r##"{{"$ref":"#/owner/schema/levels/{}"}}"##, level + 1);
            let properties: Vec<String> = (0..10).map(|n| format!(r#""p{n}":{next}"#)).collect();
            format!(r#"{{"properties":{{{}}}}}"#, properties.join(","))
        };
        let levels: Vec<String> = (0..9).map(level).collect();
        let first = r##"{"$ref":"#/owner/schema/levels/0"}"##;
        let wide = format!(r#"{{"items":{first},"levels":[{},{{}}]}}"#, levels.join(","));
        assert!(sample(&wide).is_err());
        assert!(sample(r##"{"type":"object","allOf":[{"$ref":"#/owner/schema"}]}"##).is_err());
        assert!(sample(r##"{"allOf":[{"$ref":"#/owner/schema"}]}"##).is_err());
    }

    #[test]
    fn an_id_that_responses_give_is_used() {
        let schema = r#"{"required":["shop_id","itemId"],"properties":
            {"shop_id":{"type":"string","format":"uuid"},"itemId":{"type":"integer"}}}"#;
        assert_eq!(json(schema), r#"{"shop_id":"{shop_id}","itemId":1}"#);
    }

    #[test]
    fn an_optional_reference_to_itself_is_left_out() {
        let schema = r##"{"properties":{"name":{"const":"a"},"child":{"$ref":"#/owner/schema"}}}"##;
        assert_eq!(json(schema), r#"{"name":"a"}"#);
    }
}
