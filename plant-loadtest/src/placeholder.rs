//! Placeholders in the texts of a profile: `{name}` is replaced by the value of a variable,
//! `{{name}}` is the literal text `{name}`, and anything else in braces is literal.

use std::borrow::Cow;

/// What `init` writes where a value is missing.
pub const FILL_IN: &str = "FILL IN";

/// Placeholders that need no variable.
pub const BUILT_IN: [&str; 5] = ["uuid", "now", "unix", "user", "random"];

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'t> {
    /// Literal text.
    Text(Cow<'t, str>),
    /// `{name}`.
    Placeholder(&'t str),
}

/// Splits `text` at its placeholders. `{{name}}` is the text `{name}`; all other braces are text.
#[must_use]
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        literal += &rest[..at];
        rest = &rest[at..];
        if let Some((name, after)) = enclosed(rest, "{{", "}}") {
            literal += &format!("{{{name}}}");
            rest = after;
        } else if let Some((name, after)) = enclosed(rest, "{", "}") {
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal).into()));
            }
            pieces.push(Piece::Placeholder(name));
            rest = after;
        } else {
            literal.push('{');
            rest = &rest[1..];
        }
    }
    literal += rest;
    if !literal.is_empty() {
        pieces.push(Piece::Text(literal.into()));
    }
    pieces
}

/// Returns the name between `open` and `close` at the start of `text`, and what follows.
fn enclosed<'t>(text: &'t str, open: &str, close: &str) -> Option<(&'t str, &'t str)> {
    let (name, after) = text.strip_prefix(open)?.split_once(close)?;
    is_name(name).then_some((name, after))
}

/// Returns whether `name` can be the name of a variable.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(is_start) && name.chars().all(|c| is_start(c) || c.is_ascii_digit())
}

/// Returns the names of the placeholders in `text`, in order.
#[must_use]
pub fn names(text: &str) -> Vec<&str> {
    let names = pieces(text).into_iter().filter_map(|piece| match piece {
        Piece::Text(_) => None,
        Piece::Placeholder(name) => Some(name),
    });
    names.collect()
}

/// Returns the text of a template in which no placeholder can be replaced.
///
/// # Errors
/// Returns the name of the first placeholder.
pub fn literal(text: &str) -> Result<String, &str> {
    let pieces = pieces(text).into_iter().map(|piece| match piece {
        Piece::Text(text) => Ok(text),
        Piece::Placeholder(name) => Err(name),
    });
    pieces.collect()
}

/// Returns the first text in braces that looks like a placeholder and is none, such as `{item-id}`.
#[must_use]
pub fn misspelt(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        rest = &rest[at..];
        let valid = enclosed(rest, "{{", "}}").or_else(|| enclosed(rest, "{", "}"));
        if let Some((_, after)) = valid {
            rest = after;
            continue;
        }
        let looks_like_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let (inside, _) = rest[1..].split_once('}').unwrap_or_default();
        if !inside.is_empty() && inside.chars().all(looks_like_name) {
            return Some(inside);
        }
        rest = &rest[1..];
    }
    None
}

/// Returns `text` as a template that yields exactly `text`.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        escaped += &rest[..at];
        rest = &rest[at..];
        if let Some((name, after)) = enclosed(rest, "{", "}") {
            escaped += &format!("{{{{{name}}}}}");
            rest = after;
        } else {
            escaped.push('{');
            rest = &rest[1..];
        }
    }
    escaped + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_braced_names_are_escaped() {
        assert_eq!(escape("{a} {} { b } {1} {a:b} {{c}}"), "{{a}} {} { b } {1} {a:b} {{{c}}}");
        assert_eq!(escape("no braces"), "no braces");
        assert_eq!(escape("{ü} {a"), "{ü} {a");
    }

    #[test]
    fn what_is_escaped_is_read_as_the_same_text() {
        for text in ["{a} {} { b } {{c}} {", "{{{d}}}", "{\"a\":{\"b\":\"{x}\"}}", ""] {
            let read: String = pieces(&escape(text))
                .into_iter()
                .map(|piece| match piece {
                    Piece::Text(text) => text,
                    Piece::Placeholder(name) => panic!("{name} in {text}"),
                })
                .collect();
            assert_eq!(read, text);
        }
    }

    #[test]
    fn a_literal_text_has_no_placeholder() {
        assert_eq!(literal("a {{b}} { c }"), Ok("a {b} { c }".to_owned()));
        assert_eq!(literal("a {{b}} {c} {d}"), Err("c"));
    }

    #[test]
    fn a_misspelt_placeholder_is_found() {
        for (text, expected) in [
            ("/items/{item-id}", Some("item-id")),
            ("/{a}/{b.c}", Some("b.c")),
            ("/{{a}}/{\u{e4}}", Some("\u{e4}")),
            ("/{1}", Some("1")),
            ("/{a}/{{b-c}}/{}", Some("b-c")),
            ("/{item_id}/{{a}}/{} {", None),
            ("?filter={\"a\":{b}}", None),
        ] {
            assert_eq!(misspelt(text), expected, "{text}");
        }
    }

    #[test]
    fn escaped_names_are_no_placeholders() {
        assert_eq!(names("/items/{item}?x={{y}}&z={z_1}"), ["item", "z_1"]);
        assert!(names(&escape("{a}{b}")).is_empty());
    }
}
