//! Ids that one operation returns and another one needs: `GET /items` lists items with an `id`,
//! `GET /items/{id}` reads one of them.

use std::collections::BTreeMap;

use super::document::Document;
use crate::init::{
    names::{Names, singular, variable_name},
    value::{Value, pointer_segment},
};

/// Parameter names that say nothing about what they name.
const GENERIC: [&str; 7] = ["id", "uuid", "key", "name", "slug", "code", "number"];

/// Properties of an object that usually hold the items of a list.
const LIST_KEYS: [&str; 8] =
    ["items", "data", "results", "content", "records", "values", "entries", "list"];

/// Variables for the path parameters of a document.
#[derive(Debug, Default)]
pub struct PathVariables {
    /// By the path before the parameter and the parameter's name.
    names: BTreeMap<(String, String), String>,
    taken: Names,
}

/// A path parameter: the path before it, and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathParameter {
    /// The path of the collection, `/items` for `/items/{id}`.
    pub collection: String,
    /// Name of the parameter.
    pub name: String,
}

/// Returns the parameters of a path, in order. A parameter may be part of a segment.
pub fn parameters(path: &str) -> Vec<PathParameter> {
    let mut found = Vec::new();
    let mut start = 0;
    while let Some(open) = path[start..].find('{').map(|at| start + at) {
        let Some(close) = path[open..].find('}').map(|at| open + at) else { break };
        let collection = path[..open].rsplit_once('/').map_or("", |(before, _)| before);
        found.push(PathParameter {
            collection: collection.to_owned(),
            name: path[open + 1..close].to_owned(),
        });
        start = close + 1;
    }
    found
}

impl PathVariables {
    /// Chooses a variable for every parameter of `paths`.
    pub fn new<'a>(paths: impl Iterator<Item = &'a str>) -> Self {
        let mut variables = Self::default();
        for parameter in paths.flat_map(parameters) {
            variables.add(parameter);
        }
        variables
    }

    fn add(&mut self, parameter: PathParameter) {
        let PathParameter { collection, name } = parameter;
        if self.names.contains_key(&(collection.clone(), name.clone())) {
            return;
        }
        let segment = collection.rsplit('/').find(|segment| !segment.starts_with('{'));
        let segment = segment.unwrap_or_default();
        let generic = GENERIC.contains(&name.to_ascii_lowercase().as_str());
        let wanted = if generic && !segment.is_empty() {
            variable_name(&format!("{}_{name}", singular(segment)))
        } else {
            variable_name(&name)
        };
        let variable = self.taken.take(&wanted);
        self.names.insert((collection, name), variable);
    }

    /// Returns the variable of a parameter.
    pub fn name(&self, parameter: &PathParameter) -> Option<&str> {
        let key = (parameter.collection.clone(), parameter.name.clone());
        self.names.get(&key).map(String::as_str)
    }

    /// Returns what a successful response to `method path` gives: variables with JSON pointers.
    pub fn extracted(
        &self,
        document: &Document,
        method: &str,
        path: &str,
        schema: &Value,
    ) -> Vec<(String, String)> {
        let collection = collection(method, path);
        let of_collection = self
            .names
            .range((collection.to_owned(), String::new())..)
            .take_while(|((other, _), _)| other == collection);
        of_collection
            .filter_map(|((_, parameter), variable)| {
                let pointer = match method {
                    "GET" => list_pointer(document, schema, parameter, collection),
                    "POST" => object_pointer(document, schema, parameter, collection),
                    _ => None,
                };
                Some((variable.clone(), pointer?))
            })
            .collect()
    }
}

/// The collection that an operation lists or adds to: `/items`, also for `GET /items/list` and
/// `POST /items/create`.
fn collection<'p>(method: &str, path: &'p str) -> &'p str {
    let path = path.trim_end_matches('/');
    let verbs: &[&str] = if method == "GET" { &["list", "all"] } else { &["create", "new"] };
    match path.rsplit_once('/') {
        Some((collection, verb)) if verbs.contains(&verb) => collection,
        _ => path,
    }
}

/// Pointer to the ids of a list: the items of an array, or of the array in an object.
fn list_pointer(
    document: &Document,
    schema: &Value,
    parameter: &str,
    collection: &str,
) -> Option<String> {
    let schema = document.resolve(schema).ok()?;
    if let Some(items) = schema.get("items") {
        let key = id_key(document, items, parameter, collection)?;
        return Some(format!("/*/{key}"));
    }
    let properties = schema.get("properties")?.entries();
    let arrays: Vec<(&str, &Value)> = properties
        .iter()
        .filter_map(|(name, property)| {
            Some((name.as_str(), document.resolve(property).ok()?.get("items")?))
        })
        .collect();
    let segment = collection.rsplit('/').next().unwrap_or_default();
    let usual = |name: &str| name == segment || LIST_KEYS.contains(&name);
    let (name, items) = match arrays[..] {
        [only] => only,
        _ => *arrays.iter().find(|(name, _)| usual(name))?,
    };
    let key = id_key(document, items, parameter, collection)?;
    Some(format!("/{}/*/{key}", pointer_segment(name)))
}

/// Pointer to the id of a created object.
fn object_pointer(
    document: &Document,
    schema: &Value,
    parameter: &str,
    collection: &str,
) -> Option<String> {
    id_key(document, schema, parameter, collection).map(|key| format!("/{key}"))
}

/// The property of an object that is the value of a path parameter.
fn id_key(
    document: &Document,
    schema: &Value,
    parameter: &str,
    collection: &str,
) -> Option<String> {
    let words = variable_name(parameter);
    let segment = collection.rsplit('/').next().unwrap_or_default();
    let own = variable_name(&format!("{}_{words}", singular(segment)));
    let mut wanted = vec![words.clone(), own];
    if words == "id" || words.ends_with("_id") {
        wanted.push("id".into());
    }
    let properties = property_names(document, schema, 0);
    let found = wanted
        .iter()
        .find_map(|wanted| properties.iter().find(|property| variable_name(property) == *wanted));
    found.map(|property| pointer_segment(property))
}

fn property_names<'a>(document: &'a Document, schema: &'a Value, depth: usize) -> Vec<&'a str> {
    let Ok(schema) = document.resolve(schema) else { return Vec::new() };
    let mut names: Vec<&str> = Vec::new();
    if depth < 4 {
        let parts = schema.get("allOf").map_or(&[][..], Value::items).iter().take(16);
        names.extend(parts.flat_map(|part| property_names(document, part, depth + 1)));
    }
    let properties = schema.get("properties").map_or(&[][..], Value::entries);
    names.extend(properties.iter().map(|(name, _)| name.as_str()));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extracted(paths: &[&str], method: &str, schema: &str) -> Vec<(String, String)> {
        let text = format!(r##"{{"openapi":"3.1.0","schema":{schema}}}"##);
        let document = Document::parse("api", &text).unwrap();
        let variables = PathVariables::new(paths.iter().copied());
        let schema = document.get("schema").unwrap();
        variables.extracted(&document, method, paths[0], schema)
    }

    fn pair(name: &str, pointer: &str) -> Vec<(String, String)> {
        vec![(name.into(), pointer.into())]
    }

    #[test]
    fn a_list_gives_the_ids_that_reads_need() {
        let array = r#"{"items":{"properties":{"id":{},"name":{}}}}"#;
        assert_eq!(extracted(&["/items", "/items/{id}"], "GET", array), pair("item_id", "/*/id"));
        let paths = ["/pets", "/pets/{petId}"];
        assert_eq!(extracted(&paths, "GET", array), pair("pet_id", "/*/id"));
        let object = r#"{"properties":{"total":{},"page":{"items":{"properties":{"pet_id":{}}}}}}"#;
        assert_eq!(extracted(&paths, "GET", object), pair("pet_id", "/page/*/pet_id"));
        let two =
            r#"{"properties":{"tags":{"items":{}},"items":{"items":{"properties":{"id":{}}}}}}"#;
        assert_eq!(extracted(&paths, "GET", two), pair("pet_id", "/items/*/id"));
    }

    #[test]
    fn a_created_object_gives_its_id_too() {
        let paths = ["/shops/{shop}/items", "/shops/{shop}/items/{item-id}"];
        let object = r#"{"allOf":[{"properties":{"id":{}}},{"properties":{"name":{}}}]}"#;
        assert_eq!(extracted(&paths, "POST", object), pair("item_id", "/id"));
        assert_eq!(extracted(&paths, "PUT", object), []);
    }

    #[test]
    fn verbs_at_the_end_of_a_path_do_not_hide_the_collection() {
        let object = r#"{"properties":{"items":{"items":{"properties":{"id":{}}}},"id":{}}}"#;
        let list = ["/things/list", "/things/{id}"];
        assert_eq!(extracted(&list, "GET", object), pair("thing_id", "/items/*/id"));
        let create = ["/things/create", "/things/{id}"];
        assert_eq!(extracted(&create, "POST", object), pair("thing_id", "/id"));
        assert_eq!(extracted(&create, "GET", object), []);
    }

    #[test]
    fn ids_of_different_collections_have_different_names() {
        let paths = ["/a/{id}", "/b/{id}", "/b/{id}/a/{id}"];
        let variables = PathVariables::new(paths.iter().copied());
        let names: Vec<&str> =
            parameters(paths[2]).iter().filter_map(|parameter| variables.name(parameter)).collect();
        assert_eq!(names, ["b_id", "a_id_2"]);
    }
}
