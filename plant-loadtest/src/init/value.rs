//! Values of bodies, queries and variables. Tables keep the order of the text they come from.

use std::{
    collections::{HashMap, HashSet},
    fmt::{self, Write as _},
};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

/// A value as JSON has it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, which TOML does not have.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// A string. In a profile it may contain placeholders, see [`crate::placeholder`].
    Text(String),
    /// An array.
    List(Vec<Value>),
    /// An object, in the order of its text.
    Table(Vec<(String, Value)>),
}

impl Value {
    /// Returns the value of `key` if this is a table that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Returns the entries of a table; none for any other value.
    #[must_use]
    pub fn entries(&self) -> &[(String, Self)] {
        if let Self::Table(entries) = self { entries } else { &[] }
    }

    /// Returns the items of an array; none for any other value.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        if let Self::List(items) = self { items } else { &[] }
    }

    /// Returns the text of a string.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// Returns the value of an integer.
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        if let Self::Integer(number) = self { Some(*number) } else { None }
    }

    /// Returns the value of any number.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "limits of schemas are small")]
            Self::Integer(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// Returns the text of the string that is the value of `key`.
    #[must_use]
    pub fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    /// Whether the value of `key` is `true`.
    #[must_use]
    pub fn is_true(&self, key: &str) -> bool {
        self.get(key) == Some(&Self::Bool(true))
    }

    /// Whether there is a `null` anywhere in the value.
    #[must_use]
    pub fn contains_null(&self) -> bool {
        match self {
            Self::Null => true,
            Self::List(items) => items.iter().any(Self::contains_null),
            Self::Table(entries) => entries.iter().any(|(_, value)| value.contains_null()),
            _ => false,
        }
    }

    /// Calls `visit` for every string in the value, keys excluded.
    pub fn for_each_text<'a>(&'a self, visit: &mut impl FnMut(&'a str)) {
        match self {
            Self::Text(text) => visit(text),
            Self::List(items) => items.iter().for_each(|item| item.for_each_text(visit)),
            Self::Table(entries) => {
                entries.iter().for_each(|(_, value)| value.for_each_text(visit));
            }
            _ => {}
        }
    }

    /// Returns the value with every string replaced by what `change` returns for it.
    #[must_use]
    pub fn map_text(self, change: &mut impl FnMut(String) -> Self) -> Self {
        match self {
            Self::Text(text) => change(text),
            Self::List(items) => {
                Self::List(items.into_iter().map(|item| item.map_text(change)).collect())
            }
            Self::Table(entries) => Self::Table(
                entries.into_iter().map(|(key, value)| (key, value.map_text(change))).collect(),
            ),
            other => other,
        }
    }

    /// Returns the text of a string, and any other value as JSON.
    #[must_use]
    pub fn plain(&self) -> String {
        self.text().map_or_else(|| self.to_json(), str::to_owned)
    }

    /// Returns the value as compact JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        self.to_json_template(&|_| false)
    }

    /// Returns the value as compact JSON. Strings that `is_raw` are written without quotes:
    /// placeholders whose values are no strings.
    #[must_use]
    pub fn to_json_template(&self, is_raw: &dyn Fn(&str) -> bool) -> String {
        let mut json = String::new();
        self.write_json(&mut json, is_raw);
        json
    }

    fn write_json(&self, json: &mut String, is_raw: &dyn Fn(&str) -> bool) {
        match self {
            Self::Null => json.push_str("null"),
            Self::Bool(value) => json.push_str(if *value { "true" } else { "false" }),
            Self::Integer(number) => {
                let _ = write!(json, "{number}");
            }
            Self::Float(number) => json.push_str(&serde_json::Value::from(*number).to_string()),
            Self::Text(text) if is_raw(text) => json.push_str(text),
            Self::Text(text) => write_json_text(json, text),
            Self::List(items) => {
                json.push('[');
                for (position, item) in items.iter().enumerate() {
                    if position > 0 {
                        json.push(',');
                    }
                    item.write_json(json, is_raw);
                }
                json.push(']');
            }
            Self::Table(entries) => {
                json.push('{');
                for (position, (key, value)) in entries.iter().enumerate() {
                    if position > 0 {
                        json.push(',');
                    }
                    write_json_text(json, key);
                    json.push(':');
                    value.write_json(json, is_raw);
                }
                json.push('}');
            }
        }
    }
}

/// Returns `key` as a segment of a JSON pointer.
#[must_use]
pub fn pointer_segment(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn write_json_text(json: &mut String, text: &str) {
    json.push_str(&serde_json::Value::from(text).to_string());
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        #[expect(clippy::cast_precision_loss, reason = "beyond the integers of TOML")]
        Ok(i64::try_from(number).map_or(Value::Float(number as f64), Value::Integer))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<Value, Value>()? {
            // YAML allows other keys than strings: `200:` in the responses of an operation.
            let key = match key {
                Value::Text(text) => text,
                other => other.to_json(),
            };
            entries.push((key, value));
        }
        Ok(Value::Table(last_of_each(entries)))
    }
}

/// The last entry of each key, as JSON parsers of browsers read a key that occurs twice.
fn last_of_each(mut entries: Vec<(String, Value)>) -> Vec<(String, Value)> {
    let mut keys: HashMap<&str, usize> = HashMap::with_capacity(entries.len());
    for (position, (key, _)) in entries.iter().enumerate() {
        keys.insert(key, position);
    }
    if keys.len() < entries.len() {
        let last: HashSet<usize> = keys.into_values().collect();
        let mut position = 0..;
        entries.retain(|_| position.next().is_some_and(|position| last.contains(&position)));
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_its_order_and_reads_back_unchanged() {
        let json = r#"{"z":[1,-2.5,null,true],"a":{"text":"a \"quote\"\n","empty":{}}}"#;
        let value: Value = serde_json::from_str(json).unwrap();
        assert_eq!(value.to_json(), json);
        assert!(value.contains_null());
        assert_eq!(value.get("a").and_then(|a| a.text_of("text")), Some("a \"quote\"\n"));
        let twice: Value = serde_json::from_str(r#"{"a":1,"b":2,"a":3}"#).unwrap();
        assert_eq!(twice.to_json(), r#"{"b":2,"a":3}"#);
    }
}
