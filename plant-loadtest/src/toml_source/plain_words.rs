//! The messages of the TOML parser in words that need no knowledge of its grammar.

/// What the parser says, and what that means. The first that the message begins with applies.
const MEANINGS: [(&str, &str); 18] = [
    ("duplicate key", "this key is set twice; remove one of them"),
    ("string values must be quoted", "a text must be in double quotes"),
    ("unclosed table", "this table has no closing `]`"),
    ("unclosed array table", "this table has no closing `]]`"),
    ("unclosed array", "this list has no closing `]`"),
    ("unclosed inline table", "this table has no closing `}`"),
    ("extra `=`", "there is one `=` too many"),
    ("missing value", "this key has no value after `=`"),
    ("key with no value", "this key has no `=` and no value"),
    (
        "missing assignment between key-value pairs",
        "there is no `=` between this key and its value",
    ),
    ("missing comma between", "there is no `,` between these"),
    ("extra comma", "there is one `,` too many"),
    ("unexpected leading zero", "a number must not begin with 0"),
    ("`_` may only go between digits", "`_` may stand only between two digits of a number"),
    ("unexpected key or value", "expected the end of the line here"),
    ("unexpected content", "expected the end of the line here"),
    ("invalid unquoted key", "a key has letters, digits, `-` and `_`, or is in double quotes"),
    ("missing escaped value", "`\\` begins an escape; write `\\\\` for a backslash"),
];

/// Returns what a `message` of the parser means; `at` is the text that it is about.
pub(super) fn explain(message: &str, at: Option<&str>) -> String {
    if let Some((_, meaning)) = MEANINGS.iter().find(|(start, _)| message.starts_with(start)) {
        return match at.map(str::trim) {
            Some("") if *meaning == MEANINGS[1].1 => "this key has no value after `=`".to_owned(),
            Some(text) if *meaning == MEANINGS[1].1 => {
                format!("{meaning}: \"{text}\"")
            }
            _ => (*meaning).to_owned(),
        };
    }
    if message.contains("string, expected `\"") || message.contains("string, expected `'") {
        return "this text has no closing quote".to_owned();
    }
    let shown = message.strip_suffix(", expected nothing").unwrap_or(message);
    format!("this is no valid TOML: {shown}")
}
