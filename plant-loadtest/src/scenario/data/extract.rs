//! Values taken from responses.

use reqwest::header::{HeaderName, SET_COOKIE};
use serde_json::Value;

use super::values::Slot;
use crate::{
    client::Response,
    json_pointer::{Found, Pointer},
};

/// A variable with where its value is in a response.
#[derive(Clone, Debug)]
pub(super) struct Extraction {
    /// The variable.
    pub(super) slot: Slot,
    /// Its name, for messages.
    pub(super) name: String,
    /// Where its value is.
    pub(super) place: Place,
}

/// Where a value is in a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In its JSON body.
    Body(Pointer),
    /// In a header.
    Header(HeaderName),
    /// In a cookie that it sets.
    Cookie(String),
}

impl Place {
    /// Parses `/json/pointer`, `header:NAME` or `cookie:NAME`.
    ///
    /// # Errors
    /// Returns a message for any other text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some(name) = text.strip_prefix("header:") {
            let header = HeaderName::from_bytes(name.trim().as_bytes());
            return header.map(Self::Header).map_err(|_| format!("`{name}` is not a header name"));
        }
        if let Some(name) = text.strip_prefix("cookie:") {
            return match name.trim() {
                "" => Err("`cookie:` needs the name of a cookie".into()),
                name => Ok(Self::Cookie(name.to_owned())),
            };
        }
        Pointer::parse(text).map(Self::Body).map_err(|message| {
            format!("{message}; expected a JSON pointer, `header:NAME` or `cookie:NAME`")
        })
    }
}

/// Takes all values from `response`. A variable for which `*` met an empty array, or whose value is
/// in the body of a response without one (304), is left out.
///
/// # Errors
/// Returns a message if another value is missing.
pub(super) fn extract(
    extractions: &[Extraction],
    response: &Response,
) -> Result<Vec<(Slot, Value)>, String> {
    let mut values = Vec::with_capacity(extractions.len());
    // One seed for all, so that values of one response come from the same element.
    let seed = if extractions.is_empty() { 0 } else { fastrand::u64(..) };
    for Extraction { slot, name, place } in extractions {
        let value = match place {
            Place::Body(_) if response.has_no_body() => continue,
            Place::Body(pointer) => match pointer.find(&response.body, seed) {
                Err(_) => return Err(format!("no value for `{name}`: the body is not JSON")),
                Ok(Found::EmptyArray) => continue,
                Ok(Found::Nothing | Found::Value(Value::Null)) => None,
                Ok(Found::Value(value)) => Some(value),
            },
            Place::Header(header) => {
                response.headers.get(header).map(|value| text(value.as_bytes()))
            }
            Place::Cookie(cookie) => {
                let set = response.headers.get_all(SET_COOKIE).iter();
                set.filter_map(|header| cookie_value(header.as_bytes(), cookie)).next_back()
            }
        };
        let missing = || format!("no value for `{name}` at `{}`", place.describe());
        values.push((*slot, value.ok_or_else(missing)?));
    }
    Ok(values)
}

impl Place {
    fn describe(&self) -> String {
        match self {
            Self::Body(pointer) => pointer.to_string(),
            Self::Header(header) => format!("header:{header}"),
            Self::Cookie(cookie) => format!("cookie:{cookie}"),
        }
    }
}

/// Returns the value of the cookie `name` if the header `Set-Cookie` sets it.
fn cookie_value(header: &[u8], name: &str) -> Option<Value> {
    let pair = header.split(|byte| *byte == b';').next()?;
    let at = pair.iter().position(|byte| *byte == b'=')?;
    (pair[..at].trim_ascii() == name.as_bytes()).then(|| text(pair[at + 1..].trim_ascii()))
}

fn text(bytes: &[u8]) -> Value {
    String::from_utf8_lossy(bytes).into_owned().into()
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderValue};
    use serde_json::json;

    use super::*;

    fn extract_from(place: &str, status: u16, body: &'static str) -> Result<Option<Value>, String> {
        let mut headers = HeaderMap::new();
        headers.insert("x-id", HeaderValue::from_static("h7"));
        headers.append(SET_COOKIE, HeaderValue::from_static("sid=old; Path=/"));
        headers.append(SET_COOKIE, HeaderValue::from_static("sid=abc==; Path=/; HttpOnly"));
        headers.append(SET_COOKIE, HeaderValue::from_static("other=1"));
        let response = Response { status, headers, ..Response::of_body(body) };
        let place = Place::parse(place).unwrap();
        let extraction = Extraction { slot: Slot(0), name: "v".into(), place };
        let values = extract(&[extraction], &response)?;
        Ok(values.into_iter().next().map(|(_, value)| value))
    }

    #[test]
    fn a_value_is_taken_from_body_header_or_cookie() {
        let body = r#"{"id":5,"none":[],"null":null}"#;
        assert_eq!(extract_from("/id", 200, body), Ok(Some(json!(5))));
        assert_eq!(extract_from("header:X-Id", 200, body), Ok(Some(json!("h7"))));
        assert_eq!(extract_from("cookie:sid", 200, body), Ok(Some(json!("abc=="))));
        assert_eq!(extract_from("/none/*/id", 200, body), Ok(None));
    }

    #[test]
    fn a_missing_value_is_an_error() {
        let body = r#"{"id":5,"null":null}"#;
        for place in ["/other", "/null", "/*/id", "header:x-other", "cookie:si"] {
            let error = extract_from(place, 200, body).unwrap_err();
            assert!(error.contains("no value for `v`"), "{error}");
        }
        assert!(extract_from("/id", 200, "<html>").is_err());
        // A 304 has no body, so the value is that of the response before.
        assert_eq!(extract_from("/id", 304, ""), Ok(None));
    }

    #[test]
    fn other_places_are_errors() {
        for text in ["id", "header:", "header:a b", "cookie:", "$.id"] {
            assert!(Place::parse(text).is_err(), "{text}");
        }
    }
}
