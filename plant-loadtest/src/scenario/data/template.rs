//! Texts with placeholders, compiled once.

use std::{borrow::Cow, ops::Range, time::SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{
    names::{Names, Scope},
    values::{Slot, Values},
};
use crate::placeholder::{Piece, pieces};

/// Upper bound of `{random}`.
const RANDOM_BELOW: u32 = 1 << 31;

/// Characters that are percent-encoded in paths and queries: all but the unreserved ones (RFC 3986).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A variable without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Missing(pub(super) Slot);

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placeholder {
    /// A variable.
    Variable(Slot),
    /// A random UUID (version 4).
    Uuid,
    /// The time, in UTC (RFC 3339).
    Now,
    /// Seconds since 1970.
    Unix,
    /// Number of the virtual user.
    User,
    /// A random integer below 2^31.
    Random,
}

/// A text with placeholders.
#[derive(Clone, Debug, Default)]
pub(super) struct Template(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Text(Box<str>),
    Placeholder(Placeholder),
}

impl Placeholder {
    /// Returns what the placeholder `name` stands for, and notes its use.
    pub(super) fn compile(name: &str, names: &mut Names, scope: Scope, at: Range<usize>) -> Self {
        match name {
            "uuid" => Self::Uuid,
            "now" => Self::Now,
            "unix" => Self::Unix,
            "user" => Self::User,
            "random" => Self::Random,
            _ => Self::Variable(names.note_use(name, scope, at)),
        }
    }

    /// Returns the variable that this placeholder needs.
    pub(super) fn slot(self) -> Option<Slot> {
        match self {
            Self::Variable(slot) => Some(slot),
            _ => None,
        }
    }

    /// Returns the value with its type.
    pub(super) fn value(self, values: &Values) -> Result<Cow<'_, Value>, Missing> {
        Ok(match self {
            Self::Variable(slot) => Cow::Borrowed(values.get(slot).ok_or(Missing(slot))?),
            Self::Unix => Cow::Owned(now().timestamp().into()),
            Self::User => Cow::Owned(values.user.into()),
            Self::Random => Cow::Owned(fastrand::u32(..RANDOM_BELOW).into()),
            Self::Uuid | Self::Now => Cow::Owned(Value::String(self.text(values)?.into_owned())),
        })
    }

    /// Returns the value as text: strings without quotes, everything else as in JSON.
    pub(super) fn text(self, values: &Values) -> Result<Cow<'_, str>, Missing> {
        Ok(match self {
            Self::Variable(slot) => match values.get(slot).ok_or(Missing(slot))? {
                Value::String(text) => Cow::Borrowed(text),
                other => Cow::Owned(other.to_string()),
            },
            Self::Uuid => {
                let bytes = fastrand::u128(..).to_ne_bytes();
                Cow::Owned(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
            }
            Self::Now => Cow::Owned(now().to_rfc3339_opts(SecondsFormat::Millis, true)),
            Self::Unix => Cow::Owned(now().timestamp().to_string()),
            Self::User => Cow::Owned(values.user.to_string()),
            Self::Random => Cow::Owned(fastrand::u32(..RANDOM_BELOW).to_string()),
        })
    }
}

fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

impl Template {
    /// Compiles `text`, which is at `at` in the file.
    pub(super) fn compile(text: &str, names: &mut Names, scope: Scope, at: &Range<usize>) -> Self {
        let mut template = Self::default();
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => template.push_text(&text),
                Piece::Placeholder(name) => {
                    let placeholder = Placeholder::compile(name, names, scope, at.clone());
                    template.0.push(Part::Placeholder(placeholder));
                }
            }
        }
        template
    }

    /// Appends literal text.
    pub(super) fn push_text(&mut self, text: &str) {
        self.0.push(Part::Text(text.into()));
    }

    /// Appends another template, whose literal text is percent-encoded.
    pub(super) fn push_encoded(&mut self, other: Self) {
        self.0.extend(other.0.into_iter().map(|part| match part {
            Part::Text(text) => Part::Text(encode(&text).to_string().into()),
            placeholder @ Part::Placeholder(_) => placeholder,
        }));
    }

    /// Returns whether the literal text contains `character`.
    pub(super) fn has_text(&self, character: char) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Text(text) if text.contains(character)))
    }

    /// Returns the text if it has no placeholder.
    pub(super) fn constant(&self) -> Option<String> {
        let texts = self.0.iter().map(|part| match part {
            Part::Text(text) => Some(&**text),
            Part::Placeholder(_) => None,
        });
        texts.collect()
    }

    /// Returns the placeholder if the text is exactly one.
    pub(super) fn whole_placeholder(&self) -> Option<Placeholder> {
        match self.0[..] {
            [Part::Placeholder(placeholder)] => Some(placeholder),
            _ => None,
        }
    }

    /// Returns the variables that the text needs.
    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> {
        self.0.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Placeholder(placeholder) => placeholder.slot(),
        })
    }

    /// Returns the text.
    pub(super) fn render(&self, values: &Values) -> Result<String, Missing> {
        self.render_with(values, String::push_str)
    }

    /// Returns the text with percent-encoded values.
    pub(super) fn render_encoded(&self, values: &Values) -> Result<String, Missing> {
        self.render_with(values, |out, text| out.extend(encode(text)))
    }

    fn render_with(
        &self,
        values: &Values,
        push: impl Fn(&mut String, &str),
    ) -> Result<String, Missing> {
        let mut out = String::with_capacity(96);
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Placeholder(placeholder) => push(&mut out, &placeholder.text(values)?),
            }
        }
        Ok(out)
    }
}

/// Percent-encodes `text` for a path or a query.
pub(super) fn encode(text: &str) -> percent_encoding::PercentEncode<'_> {
    utf8_percent_encode(text, ENCODED)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(
        text: &str,
        value: Value,
        render: fn(&Template, &Values) -> Result<String, Missing>,
    ) -> String {
        let mut names = Names::default();
        let template = Template::compile(text, &mut names, Scope::default(), &(0..0));
        let mut values = Values::new(3, names.count());
        values.set(Slot(0), Some(value));
        render(&template, &values).unwrap()
    }

    #[test]
    fn only_names_in_braces_are_placeholders() {
        for (text, expected) in [
            ("a {x} b", "a v b"),
            ("{x}{x}", "vv"),
            ("{{x}}", "{x}"),
            ("{ x } {} {1} {a-b} {", "{ x } {} {1} {a-b} {"),
            ("{\"a\":{\"b\":\"{x}\"}}", "{\"a\":{\"b\":\"v\"}}"),
            ("user {user}", "user 3"),
        ] {
            assert_eq!(render(text, json!("v"), Template::render), expected, "{text}");
        }
    }

    #[test]
    fn values_are_percent_encoded_in_paths_and_queries() {
        let text = render("/a b/{x}?q={x}", json!("ä /?&=+%~"), Template::render_encoded);
        assert_eq!(text, "/a b/%C3%A4%20%2F%3F%26%3D%2B%25~?q=%C3%A4%20%2F%3F%26%3D%2B%25~");
    }

    #[test]
    fn values_of_every_type_have_a_text() {
        for (value, expected) in
            [(json!(1.5), "1.5"), (json!(true), "true"), (json!([1, "a"]), "[1,\"a\"]")]
        {
            assert_eq!(render("{x}", value, Template::render), expected);
        }
    }

    #[test]
    fn built_in_values_have_the_documented_forms() {
        let values = Values::new(7, 0);
        let text = |placeholder: Placeholder| placeholder.text(&values).unwrap().into_owned();
        let id = uuid::Uuid::parse_str(&text(Placeholder::Uuid)).unwrap();
        assert_eq!(id.get_version_num(), 4);
        assert_ne!(text(Placeholder::Uuid), text(Placeholder::Uuid));
        assert!(DateTime::parse_from_rfc3339(&text(Placeholder::Now)).is_ok());
        assert!(text(Placeholder::Now).ends_with('Z'));
        assert!(text(Placeholder::Unix).parse::<u64>().unwrap() > 1_600_000_000);
        assert!(text(Placeholder::Random).parse::<u32>().unwrap() < RANDOM_BELOW);
        assert_eq!(*Placeholder::User.value(&values).unwrap(), json!(7));
        assert!(Placeholder::Unix.value(&values).unwrap().is_i64());
    }
}
