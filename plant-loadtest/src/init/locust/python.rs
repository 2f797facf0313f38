//! Python source: parsing within limits, and where things are in it.

use ruff_python_ast::{Expr, ModModule, token::TokenKind};
use ruff_python_parser::{Mode, lexer, parse_module};
use ruff_text_size::{Ranged, TextRange, TextSize};

use crate::init::ConvertError;

/// Longest file, in bytes.
const LONGEST_FILE: usize = 4 << 20;

/// Most tokens that can belong to one expression. The tree of a longer one could be too deep for
/// the stack.
const LONGEST_EXPRESSION: usize = 1000;

/// Longest snippet of the text in a remark, in characters.
const LONGEST_SNIPPET: usize = 60;

/// Deepest indentation; that of Python itself.
const DEEPEST_INDENTATION: usize = 100;

/// The text of a Python file.
#[derive(Clone, Copy, Debug)]
pub struct Source<'t> {
    /// Name of the file.
    pub file: &'t str,
    /// Its text.
    pub text: &'t str,
    /// Where its lines start.
    lines: &'t [usize],
}

/// Positions at which the lines of a text start.
pub fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

impl<'t> Source<'t> {
    /// Creates a source; `lines` are its [`line_starts`].
    pub fn new(file: &'t str, text: &'t str, lines: &'t [usize]) -> Self {
        Self { file, text, lines }
    }

    /// Parses the file.
    ///
    /// # Errors
    /// Returns the first syntax error with its line, or the limit that the file exceeds.
    pub fn parse(self) -> Result<ModModule, ConvertError> {
        if self.text.len() > LONGEST_FILE {
            return Err(ConvertError::new(self.file, "longer than 4 MiB"));
        }
        self.check_depth()?;
        let parsed = parse_module(self.text)
            .map_err(|error| self.error(error.location, &error.error.to_string()))?;
        Ok(parsed.into_syntax())
    }

    /// Line number of a position, counted from 1.
    pub fn line(self, at: TextSize) -> usize {
        self.lines.partition_point(|start| *start <= at.to_usize())
    }

    /// File and line of a node.
    pub fn place(self, node: &impl Ranged) -> String {
        format!("{}:{}", self.file, self.line(node.start()))
    }

    /// The text of a node.
    pub fn of(self, node: &impl Ranged) -> &'t str {
        let range = node.range();
        let text = self.text.get(range.start().to_usize()..range.end().to_usize());
        text.unwrap_or_default()
    }

    /// The text of a node in one line, shortened.
    pub fn snippet(self, node: &impl Ranged) -> String {
        let text = self.of(node);
        let is_long = text.chars().nth(LONGEST_SNIPPET * 10).is_some();
        let start: String = text.chars().take(LONGEST_SNIPPET * 10).collect();
        let words = start.split_whitespace().collect::<Vec<_>>().join(" ");
        if !is_long && words.chars().count() <= LONGEST_SNIPPET {
            return words;
        }
        words.chars().take(LONGEST_SNIPPET - 3).chain("...".chars()).collect()
    }

    /// Bounds the depth of the syntax tree before it is built.
    ///
    /// The lexer has no positions, so the line is searched for: it is the last one of the shortest
    /// beginning of the text that is too deep.
    fn check_depth(self) -> Result<(), ConvertError> {
        if !is_too_deep(self.text) {
            return Ok(());
        }
        let ends = &self.lines[1..];
        let before = ends.partition_point(|end| !is_too_deep(&self.text[..*end]));
        let place = format!("{}:{}", self.file, before + 1);
        Err(ConvertError::new(place, "the expression or the indentation is too deep"))
    }

    fn error(self, range: TextRange, message: &str) -> ConvertError {
        ConvertError::new(format!("{}:{}", self.file, self.line(range.start())), message)
    }
}

/// Whether an expression has too many tokens that belong together, or the indentation is too deep.
fn is_too_deep(text: &str) -> bool {
    let mut lexer = lexer::lex(text, Mode::Module);
    // Tokens since the last comma or line, one number for each open bracket.
    let mut counts = vec![0_usize];
    let mut total = 0_usize;
    let mut indentation = 0_usize;
    loop {
        match lexer.next_token() {
            TokenKind::EndOfFile => return false,
            TokenKind::Newline => {
                counts = vec![0];
                total = 0;
            }
            TokenKind::Indent => indentation += 1,
            TokenKind::Dedent => indentation = indentation.saturating_sub(1),
            TokenKind::Comma => {
                if let Some(count) = counts.last_mut() {
                    total -= *count;
                    *count = 0;
                }
            }
            TokenKind::Lpar | TokenKind::Lsqb | TokenKind::Lbrace => {
                counts.push(1);
                total += 1;
            }
            TokenKind::Rpar | TokenKind::Rsqb | TokenKind::Rbrace if counts.len() > 1 => {
                // What is in the brackets counts as one, with what stands before them.
                total -= counts.pop().unwrap_or_default();
                *counts.last_mut().unwrap_or(&mut 0) += 1;
                total += 1;
            }
            TokenKind::String | TokenKind::Comment | TokenKind::NonLogicalNewline => {}
            _ => {
                *counts.last_mut().unwrap_or(&mut 0) += 1;
                total += 1;
            }
        }
        if total > LONGEST_EXPRESSION || indentation > DEEPEST_INDENTATION {
            return true;
        }
    }
}

/// The dotted name of an expression: `self.client.get`.
pub fn dotted(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Name(name) => Some(name.id.as_str().to_owned()),
        Expr::Attribute(attribute) => {
            Some(format!("{}.{}", dotted(&attribute.value)?, attribute.attr.as_str()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ModModule, ConvertError> {
        Source::new("f.py", text, &line_starts(text)).parse()
    }

    #[test]
    fn a_syntax_error_has_its_line() {
        let error = parse("x = 1\ny = = 2\n").unwrap_err();
        assert_eq!(error.place, "f.py:2");
    }

    #[test]
    fn deep_texts_are_errors() {
        for (text, line) in [
            (format!("x = 1\ny = {}1{}", "(".repeat(50_000), ")".repeat(50_000)), 2),
            (format!("x = {}1", "not ".repeat(50_000)), 1),
            (format!("x = 1{}", "+1".repeat(50_000)), 1),
            (format!("x = a{}", "[0]".repeat(50_000)), 1),
            (format!("x = a{}", "(0, 1)".repeat(50_000)), 1),
            (format!("x = a{}", ".b".repeat(50_000)), 1),
            ("[".repeat(50_000), 1),
            (format!("x = {}", "lambda: ".repeat(50_000)), 1),
            ((0..200).map(|depth| format!("{}if a:\n", " ".repeat(depth))).collect(), 102),
        ] {
            let error = parse(&text).unwrap_err();
            assert_eq!(error.place, format!("f.py:{line}"), "{:.30}", text);
        }
    }

    #[test]
    fn long_but_flat_texts_are_parsed() {
        let list = format!("x = [{}]\n", "'a', ".repeat(20_000));
        assert!(parse(&list).is_ok());
        assert!(parse(&"x = 1\n".repeat(20_000)).is_ok());
    }
}
