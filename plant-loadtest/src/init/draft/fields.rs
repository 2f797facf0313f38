//! Fields of queries and forms. A TOML table cannot have a key twice; a path and a text can.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Body, Step};
use crate::{
    init::value::Value,
    placeholder::{self, Piece, pieces},
};

/// Characters that stay as they are in a query or a form.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Step {
    /// Sets the query: as a table, or as part of the path if a name occurs twice.
    pub fn set_query(&mut self, fields: Vec<(String, Value)>) {
        if is_table(&fields) {
            self.query = fields;
            return;
        }
        if self.name.is_none() {
            self.name = Some(self.endpoint());
        }
        let mark = if self.path.contains('?') { '&' } else { '?' };
        self.path.push(mark);
        self.path.push_str(&encoded(&fields));
    }
}

impl Body {
    /// Returns a form: as a table, or as text if a name occurs twice.
    ///
    /// # Errors
    /// Returns the reason if a name occurs twice and a field has a variable, whose value would not be
    /// percent-encoded in a text.
    pub fn form(fields: Vec<(String, Value)>) -> Result<Self, String> {
        if is_table(&fields) {
            return Ok(Self::Form(fields));
        }
        let text = encoded(&fields);
        if !placeholder::names(&text).is_empty() {
            return Err("its form has a field twice and a variable".into());
        }
        Ok(Self::Text { text, content_type: "application/x-www-form-urlencoded".into() })
    }
}

fn is_table(fields: &[(String, Value)]) -> bool {
    let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.windows(2).all(|pair| pair[0] != pair[1])
}

/// Fields as they are in a URL; placeholders stay.
fn encoded(fields: &[(String, Value)]) -> String {
    let encode = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
    let fields = fields.iter().map(|(name, value)| {
        let text = value.plain();
        let text = pieces(&text).into_iter().map(|piece| match piece {
            Piece::Text(text) => encode(&text),
            Piece::Placeholder(name) => format!("{{{name}}}"),
        });
        format!("{}={}", encode(name), text.collect::<String>())
    });
    fields.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(fields: &[(&str, &str)]) -> Vec<(String, Value)> {
        fields.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect()
    }

    #[test]
    fn a_name_that_occurs_twice_is_part_of_the_path_or_text() {
        let mut step = Step { method: "GET".into(), path: "/a".into(), ..Step::default() };
        step.set_query(fields(&[("b", "1"), ("c", "2")]));
        assert_eq!((&*step.path, step.query.len()), ("/a", 2));
        step.set_query(fields(&[("b c", "1 &"), ("b c", "{x} {{y}}")]));
        assert_eq!(step.path, "/a?b%20c=1%20%26&b%20c={x}%20%7By%7D");
        assert_eq!(step.name.as_deref(), Some("GET /a"));

        let twice = Body::form(fields(&[("a", "1"), ("a", "x y")]));
        let content_type = "application/x-www-form-urlencoded".to_owned();
        assert_eq!(twice, Ok(Body::Text { text: "a=1&a=x%20y".into(), content_type }));
        assert!(Body::form(fields(&[("a", "1"), ("a", "{x}")])).is_err());
        assert!(matches!(Body::form(fields(&[("a", "{x}")])), Ok(Body::Form(_))));
    }
}
