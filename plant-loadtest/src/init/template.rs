//! Placeholders in the texts of a profile: `{name}` is replaced by the value of a variable,
//! `{{name}}` is the literal text `{name}`, and anything else in braces is literal.

use std::ops::Range;

/// Placeholders that need no variable.
pub const BUILT_IN: [&str; 5] = ["uuid", "now", "unix", "user", "random"];

/// Returns `text` as a template that yields exactly `text`.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut copied = 0;
    for name in braced_names(text) {
        escaped.push_str(&text[copied..name.start]);
        escaped.push('{');
        escaped.push_str(&text[name.clone()]);
        escaped.push('}');
        copied = name.end;
    }
    escaped.push_str(&text[copied..]);
    escaped
}

/// Returns the names of the placeholders in `template`, in order.
#[must_use]
pub fn names(template: &str) -> Vec<&str> {
    braced_names(template)
        .filter(|name| !is_escaped(template, name))
        .map(|name| &template[name.start + 1..name.end - 1])
        .collect()
}

/// Ranges of all `{name}` in `text`, braces included.
fn braced_names(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices('{').filter_map(move |(start, _)| {
        let rest = &text[start + 1..];
        let is_name = |next: char| next.is_ascii_alphanumeric() || next == '_';
        let length = rest.find(|next| !is_name(next))?;
        let valid = rest[length..].starts_with('}')
            && rest.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        valid.then_some(start..start + length + 2)
    })
}

fn is_escaped(text: &str, name: &Range<usize>) -> bool {
    text[..name.start].ends_with('{') && text[name.end..].starts_with('}')
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
    fn escaped_names_are_no_placeholders() {
        assert_eq!(names("/items/{item}?x={{y}}&z={z_1}"), ["item", "z_1"]);
        assert!(names(&escape("{a}{b}")).is_empty());
    }
}
