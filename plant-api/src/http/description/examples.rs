//! Examples of bodies and of parts of paths: requests that the service accepts as they stand after
//! `seed_test_data` with default arguments. They are composed of the examples of fields and of types; a
//! test sends them in the order of the description.

use serde_json::{Map, Value};

/// Adds an example to every JSON body and to every part of a path, unless there is one.
pub fn add(api: &mut Value) {
    let schemas = api["components"]["schemas"].clone();
    let schemas = Schemas(&schemas);
    for item in api["paths"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
            let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
            for parameter in parameters.into_iter().flatten() {
                if parameter["in"] == "path" {
                    schemas.add_example(parameter);
                }
            }
            if let Some(body) = operation.pointer_mut("/requestBody/content/application~1json") {
                schemas.add_example(body);
            }
        }
    }
}

/// The named schemas of the description.
#[derive(Clone, Copy)]
struct Schemas<'a>(&'a Value);

impl<'a> Schemas<'a> {
    /// Adds an example to a parameter or body, unless it has one.
    fn add_example(self, described: &mut Value) {
        let example = self.example_of(&described["schema"]);
        if let (Some(described), Some(example)) = (described.as_object_mut(), example) {
            described.entry("example").or_insert(example);
        }
    }

    /// Returns the schema that `schema` refers to, or itself; of alternatives the first that is not `null`.
    fn resolve(self, schema: &'a Value) -> &'a Value {
        if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            return self.resolve(&self.0[name]);
        }
        let alternatives = schema["oneOf"].as_array().into_iter().flatten();
        match alternatives.into_iter().find(|alternative| alternative["type"] != "null") {
            Some(alternative) => self.resolve(alternative),
            None => schema,
        }
    }

    /// Returns the example that a schema, or the one that it refers to, was given.
    fn given_example(self, schema: &'a Value) -> Option<&'a Value> {
        schema.get("example").or_else(|| self.resolve(schema).get("example"))
    }

    /// Returns an example of a schema: the one that it was given, or the first of an enumeration, or those
    /// of the items or fields. Optional fields that were given no example are left out.
    fn example_of(self, schema: &'a Value) -> Option<Value> {
        if let Some(example) = self.given_example(schema) {
            return Some(example.clone());
        }
        let schema = self.resolve(schema);
        if let Some(first) = schema["enum"].get(0) {
            return Some(first.clone());
        }
        if schema["type"] == "array" {
            return Some(vec![self.example_of(&schema["items"])?].into());
        }
        let is_required = |name: &str| {
            schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name))
        };
        let mut example = Map::new();
        for (name, property) in schema["properties"].as_object()? {
            match self.given_example(property) {
                Some(value) => example.insert(name.clone(), value.clone()),
                None if is_required(name) => {
                    example.insert(name.clone(), self.example_of(property)?)
                }
                None => None,
            };
        }
        Some(example.into())
    }
}
