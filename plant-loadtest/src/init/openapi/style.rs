//! How arrays and objects of parameters and forms are sent, by their style.

use crate::init::value::Value;

/// The fields that a query parameter becomes.
///
/// # Errors
/// Returns the reason if OpenAPI does not define how the value is sent.
pub fn query_fields(
    parameter: &Value,
    name: &str,
    value: Value,
) -> Result<Vec<(String, Value)>, String> {
    let style = parameter.text_of("style").unwrap_or("form");
    let explodes = parameter.get("explode").map_or(style == "form", |it| *it == Value::Bool(true));
    match (value, style) {
        (Value::List(items), "form") if explodes => repeated(name, items),
        (Value::List(items), style) => {
            let separator = match (style, explodes) {
                ("form", _) => ",",
                ("spaceDelimited", false) => " ",
                ("pipeDelimited", false) => "|",
                _ => return Err(format!("an array in the style {style} of `{name}` is not read")),
            };
            Ok(vec![(name.to_owned(), joined(name, &items, separator)?)])
        }
        (Value::Table(entries), "form") if explodes => each(name, entries, str::to_owned),
        (Value::Table(entries), "deepObject") => {
            each(name, entries, |key| format!("{name}[{key}]"))
        }
        (table @ Value::Table(_), "form") => {
            Ok(vec![(name.to_owned(), Value::Text(listed(name, &table)?))])
        }
        (Value::Table(_), style) => {
            Err(format!("an object in the style {style} of `{name}` is not read"))
        }
        (value, _) => Ok(vec![(name.to_owned(), single(value))]),
    }
}

/// The fields of a form. Arrays are repeated fields.
///
/// # Errors
/// Returns the reason if OpenAPI does not define how a value is sent.
pub fn form_fields(form: Value) -> Result<Vec<(String, Value)>, String> {
    let Value::Table(entries) = form else { return Err("its form is no object".into()) };
    let mut fields = Vec::new();
    for (name, value) in entries {
        match value {
            Value::List(items) => fields.extend(repeated(&name, items)?),
            Value::Table(_) => return Err(format!("`{name}` of its form is an object")),
            value => fields.push((name, single(value))),
        }
    }
    Ok(fields)
}

/// A value of a header or a cookie: items, or keys and values, with commas.
///
/// # Errors
/// Returns the reason if the value has arrays or objects in it.
pub fn listed(name: &str, value: &Value) -> Result<String, String> {
    let value = match value {
        Value::List(items) => joined(name, items, ",")?,
        Value::Table(entries) => {
            let items =
                entries.iter().flat_map(|(key, value)| [Value::from(&**key), value.clone()]);
            joined(name, &items.collect::<Vec<_>>(), ",")?
        }
        value => single(value.clone()),
    };
    Ok(value.plain())
}

fn repeated(name: &str, items: Vec<Value>) -> Result<Vec<(String, Value)>, String> {
    check_flat(name, items.iter())?;
    Ok(items.into_iter().map(|item| (name.to_owned(), single(item))).collect())
}

fn each(
    name: &str,
    entries: Vec<(String, Value)>,
    field: impl Fn(&str) -> String,
) -> Result<Vec<(String, Value)>, String> {
    check_flat(name, entries.iter().map(|(_, value)| value))?;
    Ok(entries.into_iter().map(|(key, value)| (field(&key), single(value))).collect())
}

fn joined(name: &str, items: &[Value], separator: &str) -> Result<Value, String> {
    check_flat(name, items.iter())?;
    let items: Vec<String> = items.iter().map(|item| single(item.clone()).plain()).collect();
    Ok(Value::Text(items.join(separator)))
}

fn check_flat<'v>(name: &str, mut values: impl Iterator<Item = &'v Value>) -> Result<(), String> {
    if values.any(|value| matches!(value, Value::List(_) | Value::Table(_))) {
        return Err(format!("`{name}` has arrays or objects in it, for which there is no style"));
    }
    Ok(())
}

/// A single value; there is no null.
fn single(value: Value) -> Value {
    if value == Value::Null { "".into() } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(parameter: &str, value: &str) -> Result<String, String> {
        let parameter = serde_json::from_str(parameter).unwrap();
        let fields = query_fields(&parameter, "p", serde_json::from_str(value).unwrap())?;
        let fields = fields.iter().map(|(name, value)| format!("{name}={}", value.plain()));
        Ok(fields.collect::<Vec<_>>().join("&"))
    }

    #[test]
    fn arrays_and_objects_are_sent_in_their_style() {
        for (parameter, value, expected) in [
            ("{}", "[1,2]", "p=1&p=2"),
            (r#"{"explode":false}"#, "[1,2]", "p=1,2"),
            (r#"{"style":"pipeDelimited"}"#, "[1,2]", "p=1|2"),
            (r#"{"style":"spaceDelimited","explode":false}"#, "[1,2]", "p=1 2"),
            ("{}", r#"{"a":1,"b":null}"#, "a=1&b="),
            (r#"{"explode":false}"#, r#"{"a":1,"b":2}"#, "p=a,1,b,2"),
            (r#"{"style":"deepObject"}"#, r#"{"a":1}"#, "p[a]=1"),
            ("{}", r#""x""#, "p=x"),
        ] {
            assert_eq!(fields(parameter, value).as_deref(), Ok(expected), "{parameter} {value}");
        }
        for (parameter, value) in [
            ("{}", "[[1]]"),
            (r#"{"style":"deepObject"}"#, r#"{"a":{"b":1}}"#),
            (r#"{"style":"deepObject"}"#, "[1]"),
            (r#"{"style":"pipeDelimited","explode":true}"#, "[1,2]"),
        ] {
            assert!(fields(parameter, value).is_err(), "{parameter} {value}");
        }
    }

    #[test]
    fn an_array_of_a_form_is_a_repeated_field() {
        let form = |json| form_fields(serde_json::from_str(json).unwrap());
        let expected = vec![("a".into(), Value::Integer(1)), ("a".into(), Value::Integer(2))];
        assert_eq!(form(r#"{"a":[1,2]}"#), Ok(expected));
        assert!(form(r#"{"a":{"b":1}}"#).is_err());
        assert!(form("[1]").is_err());
    }
}
