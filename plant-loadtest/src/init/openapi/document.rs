//! The OpenAPI document and its references.

use std::{cell::RefCell, collections::HashMap};

use crate::init::{ConvertError, value::Value};

/// Longest chain of references to references.
const LONGEST_CHAIN: usize = 32;

/// Tables with more entries than this get an index.
const SMALL_TABLE: usize = 16;

/// A parsed document.
#[derive(Debug)]
pub struct Document {
    root: Value,
    /// Positions of the keys of large tables, by the address of their entries. Large documents have
    /// thousands of schemas that everything refers to.
    indexes: RefCell<HashMap<*const (String, Value), Index>>,
}

/// Positions of the keys of a table.
type Index = HashMap<String, usize>;

impl Document {
    /// Parses JSON, or YAML if the text does not start with a brace.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConvertError> {
        let is_json = text.trim_start_matches('\u{feff}').trim_start().starts_with('{');
        let parsed = if is_json {
            serde_json::from_str(text.trim_start_matches('\u{feff}'))
                .map_err(|error| error.to_string())
        } else {
            parse_yaml(text)
        };
        let root: Value = parsed.map_err(|message| ConvertError::new(file, message))?;
        // `openapi: 3.1` of YAML is a number.
        let version = root.get("openapi").map(Value::plain);
        match version {
            Some(version) if version.starts_with("3.") => {
                Ok(Self { root, indexes: RefCell::default() })
            }
            Some(version) => {
                let message = format!("OpenAPI {version} is not supported, only 3.0 to 3.2");
                Err(ConvertError::new(file, message))
            }
            None if root.get("swagger").is_some() => Err(ConvertError::new(
                file,
                "this is Swagger 2; convert it to OpenAPI 3 first, for instance with editor.swagger.io",
            )),
            None => Err(ConvertError::new(file, "not an OpenAPI document: `openapi` is missing")),
        }
    }

    /// Returns the value of a key of the document.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.root.get(key)
    }

    /// Returns `value`, or what its `$ref` refers to.
    ///
    /// # Errors
    /// Returns a message if the reference leads outside the document, nowhere, or in a circle.
    pub fn resolve<'a>(&'a self, value: &'a Value) -> Result<&'a Value, String> {
        let mut value = value;
        for _ in 0..LONGEST_CHAIN {
            let Some(reference) = value.text_of("$ref") else { return Ok(value) };
            let pointer = reference
                .strip_prefix("#/")
                .ok_or_else(|| format!("`{reference}` refers to another file"))?;
            value =
                self.at(pointer).ok_or_else(|| format!("`{reference}` is not in the document"))?;
        }
        Err("a `$ref` refers to itself".into())
    }

    fn at(&self, pointer: &str) -> Option<&Value> {
        pointer.split('/').try_fold(&self.root, |value, segment| {
            let key = unescape(segment);
            match value {
                Value::List(items) => items.get(key.parse::<usize>().ok()?),
                Value::Table(entries) if entries.len() > SMALL_TABLE => {
                    let mut indexes = self.indexes.borrow_mut();
                    let index = indexes.entry(entries.as_ptr()).or_insert_with(|| index(entries));
                    entries.get(*index.get(&key)?).map(|(_, value)| value)
                }
                table => table.get(&key),
            }
        })
    }
}

fn index(entries: &[(String, Value)]) -> Index {
    let keys = entries.iter().enumerate();
    keys.map(|(position, (key, _))| (key.clone(), position)).collect()
}

/// Parses YAML 1.2, in which `no` and `y` are texts. A leading zero is no octal number, because a
/// document that means one writes `0o17`.
fn parse_yaml(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

fn unescape(segment: &str) -> String {
    let decoded = percent_encoding::percent_decode_str(segment).decode_utf8_lossy();
    decoded.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Document, ConvertError> {
        Document::parse("api", text)
    }

    #[test]
    fn json_and_yaml_give_the_same_document() {
        let json = parse(r#"{"openapi":"3.0.3","paths":{"/a":{"get":{"responses":{"200":{}}}}}}"#);
        let yaml =
            parse("openapi: 3.0.3\npaths:\n  /a:\n    get:\n      responses:\n        200: {}\n");
        assert_eq!(json.unwrap().root, yaml.unwrap().root);
        assert!(parse("openapi: 3.1\n").is_ok());
    }

    #[test]
    fn yaml_has_the_booleans_and_texts_of_version_1_2() {
        let document = parse("openapi: 3.0.3\na: {y: NO, n: [on, yes, 0123, true]}\n").unwrap();
        let expected = r#"{"y":"NO","n":["on","yes","0123",true]}"#;
        assert_eq!(document.get("a").unwrap().to_json(), expected);
    }

    #[test]
    fn a_reference_into_a_large_table_is_found() {
        let schemas: Vec<String> =
            (0..100).map(|number| format!(r#""S{number}":{{"number":{number}}}"#)).collect();
        let text = format!(
            r##"{{"openapi":"3.1.0","schemas":{{{}}},"a":{{"$ref":"#/schemas/S77"}},
                "b":{{"$ref":"#/schemas/S100"}}}}"##,
            schemas.join(",")
        );
        let document = parse(&text).unwrap();
        let found = document.resolve(document.get("a").unwrap()).unwrap();
        assert_eq!(found.get("number"), Some(&Value::Integer(77)));
        assert!(document.resolve(document.get("b").unwrap()).is_err());
    }

    #[test]
    fn what_is_no_openapi_3_is_refused_with_the_reason() {
        for (text, reason) in [
            ("{\"swagger\":\"2.0\"}", "Swagger 2"),
            ("{\"openapi\":\"4.0\"}", "OpenAPI 4.0 is not supported"),
            ("{\"a\":1}", "`openapi` is missing"),
            ("{\"openapi\":", "line 1"),
            ("a: [", "line 1"),
            ("", "`openapi` is missing"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with("api: ") && error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn deep_and_exploding_texts_are_errors() {
        let deep = format!("{}{}", "{\"openapi\":".repeat(5000), "}".repeat(5000));
        assert!(parse(&deep).is_err());
        assert!(parse(&format!("a: {}", "[".repeat(5000))).is_err());
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let alias = format!("*a{}", level - 1);
            bomb += &format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 10].join(", "));
        }
        assert!(parse(&bomb).is_err());
    }

    #[test]
    fn a_reference_in_a_circle_or_to_nowhere_is_an_error() {
        let document = parse(
            r##"{"openapi":"3.1.0","a":{"$ref":"#/b"},"b":{"$ref":"#/a"},
                "c":{"$ref":"#/x~1y/0"},"x/y":[{"found":true}],"d":{"$ref":"#/nowhere"},
                "e":{"$ref":"other.json#/a"}}"##,
        )
        .unwrap();
        let resolve = |key| document.resolve(document.get(key).unwrap());
        assert!(resolve("c").unwrap().is_true("found"));
        for (key, reason) in [("a", "itself"), ("d", "not in the document"), ("e", "another file")]
        {
            assert!(resolve(key).unwrap_err().contains(reason), "{key}");
        }
    }
}
