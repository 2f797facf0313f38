//! Texts of statements without what they contain of data.

/// Maximum length of a text in characters.
const MAX_CHARS: usize = 500;

/// Returns the text of a statement on one line, with `?` in place of literals and without comments.
/// The text may end anywhere.
pub fn without_literals(statement: &str) -> String {
    let mut text = String::new();
    let mut rest = statement;
    while let Some(c) = rest.chars().next() {
        let previous = text.chars().next_back();
        let after_word = previous.is_some_and(|p| p.is_alphanumeric() || p == '_' || p == '$');
        let length = if c == '\'' {
            // `E'…'` has escapes with a backslash.
            let escapes = after_word && matches!(previous, Some('e' | 'E'));
            text.push('?');
            quoted_length(rest, '\'', escapes)
        } else if c == '"' {
            let length = quoted_length(rest, '"', false);
            text.push_str(&rest[..length]);
            length
        } else if let Some(length) = comment_length(rest) {
            push_blank(&mut text);
            length
        } else if c == '$'
            && !after_word
            && let Some(length) = dollar_quoted_length(rest)
        {
            text.push('?');
            length
        } else if c.is_ascii_digit() && !after_word {
            text.push('?');
            let is_number = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
            rest.find(|c: char| !is_number(c)).unwrap_or(rest.len())
        } else if c.is_whitespace() {
            push_blank(&mut text);
            c.len_utf8()
        } else {
            text.push(c);
            c.len_utf8()
        };
        rest = &rest[length..];
    }
    text.trim().chars().take(MAX_CHARS).collect()
}

fn push_blank(text: &mut String) {
    if !text.is_empty() && !text.ends_with(' ') {
        text.push(' ');
    }
}

/// Returns the length of a quoted text with its quotes; a doubled quote is part of it.
fn quoted_length(text: &str, quote: char, escapes: bool) -> usize {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\\' && escapes {
            chars.next();
        } else if c == quote {
            if chars.peek().is_none_or(|(_, next)| *next != quote) {
                return at + 1;
            }
            chars.next();
        }
    }
    text.len()
}

/// Returns the length of a comment at the start of `text`; `None` without one.
fn comment_length(text: &str) -> Option<usize> {
    if text.starts_with("--") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if !text.starts_with("/*") {
        return None;
    }
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += 1;
        }
    }
    Some(text.len())
}

/// Returns the length of `$tag$…$tag$` at the start of `text`; `None` if it does not start so, as a
/// parameter such as `$1`.
fn dollar_quoted_length(text: &str) -> Option<usize> {
    let end_of_tag = text[1..].find('$')? + 2;
    let tag = &text[..end_of_tag];
    let name = &tag[1..tag.len() - 1];
    let is_tag = name.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if !is_tag {
        return None;
    }
    let end = text[end_of_tag..].find(tag);
    Some(end.map_or(text.len(), |end| end_of_tag + end + tag.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::without_literals;

    #[test]
    fn literals_are_replaced_and_names_are_kept() {
        for (statement, expected) in [
            ("select  a1,\n\tb from t2 where x = $1", "select a1, b from t2 where x = $1"),
            ("select 1, -2.5e3, 0xff", "select ?, -?, ?"),
            ("insert into t values ('it''s', E'a\\'b', '')", "insert into t values (?, E?, ?)"),
            ("alter role x password 'secret'", "alter role x password ?"),
            ("select 'unfinished sec", "select ?"),
            ("select \"a 'b' 1\" from t", "select \"a 'b' 1\" from t"),
            ("do $$ secret 'x' $$; do $a$ x $$ y $a$ + 1", "do ?; do ? + ?"),
            ("do $a$ unfinished secret", "do ?"),
            ("select 1 -- secret 'x\n + 2 /* a /* secret */ b */ + c", "select ? + ? + c"),
            ("select 1 /* unfinished secret", "select ?"),
            ("select b'101', x'ff', n'a', u&'d'", "select b?, x?, n?, u&?"),
            ("", ""),
        ] {
            assert_eq!(without_literals(statement), expected, "{statement}");
        }
        assert_eq!(without_literals(&"ä".repeat(600)).chars().count(), 500);
    }

    proptest! {
        #[test]
        fn no_quoted_text_is_left(secret in "[a-z0-9 ;\"$-]{0,30}", before in "[a-z ]{0,10}") {
            let text = without_literals(&format!("select {before} '{secret}ZZ'"));
            prop_assert!(!text.contains("ZZ"), "{}", text);
        }

        #[test]
        fn any_text_is_handled(text in ".{0,100}") {
            without_literals(&text);
        }
    }
}
