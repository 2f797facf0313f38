//! Output to the terminal. Write errors are ignored, so that neither a closed pipe nor a full disk ends
//! a run or changes its exit code.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, IsTerminal, Write as _},
};

use unicode_width::UnicodeWidthStr as _;

/// Width of tables that are not printed to a terminal.
pub const DEFAULT_WIDTH: usize = 80;

/// Narrowest and widest output: prose in longer lines is hard to read.
const WIDTHS: (usize, usize) = (40, 120);

/// Prints `text` to standard output, with one line break at its end, on a terminal wrapped at its width.
/// Control characters, which a service may have sent, are printed as their escapes.
pub fn print(text: &str) {
    let text = printable(text);
    match terminal_width(&io::stdout()) {
        Some(width) => print_styled(&wrap(&text, width, 2)),
        None => print_styled(&text),
    }
}

/// Prints `text`, which may have colors, like [`print()`]. Everything else in it must be
/// [`printable`].
pub fn print_styled(text: &str) {
    let _ = io::stdout().write_all(format!("{}\n", text.trim_end()).as_bytes());
}

/// Prints lines to standard error, like [`print()`]. Lines that are indented by four spaces, the excerpts
/// of files, are not wrapped.
pub fn print_error(lines: &str) {
    let text = printable(lines);
    let width = terminal_width(&io::stderr());
    let lines = text.lines().map(|line| match width {
        Some(width) if !line.starts_with("    ") => wrap(line, width, 2) + "\n",
        _ => format!("{line}\n"),
    });
    let lines: String = lines.collect();
    write_error(if lines.is_empty() { "\n" } else { &lines });
}

/// Writes a part of a line to standard error.
pub fn write_error(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Returns the columns of the terminal that `stream` is; `None` if it is none.
#[must_use]
pub fn terminal_width(stream: &impl IsTerminal) -> Option<usize> {
    if !stream.is_terminal() {
        return None;
    }
    let size = terminal_size::terminal_size();
    let width = size.map_or(DEFAULT_WIDTH, |(width, _)| usize::from(width.0));
    Some(width.clamp(WIDTHS.0, WIDTHS.1))
}

/// Returns the width of tables on standard output.
#[must_use]
pub fn stdout_width() -> usize {
    terminal_width(&io::stdout()).unwrap_or(DEFAULT_WIDTH)
}

/// Returns whether to print colors to `stream`: to a terminal that has them, unless they are disabled.
#[must_use]
pub fn has_colors(stream: &impl IsTerminal, no_color: bool) -> bool {
    !no_color && stream.is_terminal() && !is_dumb()
}

/// Returns whether the terminal cannot move its cursor and has no colors.
#[must_use]
pub fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb")
}

/// Returns `text` with its control characters as escapes, except line breaks and tabs: a terminal would
/// execute them. Also those that change the direction of writing.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    let is_unsafe = |c: char| match c {
        '\n' | '\t' => false,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        c => c.is_control(),
    };
    if !text.contains(is_unsafe) {
        return text.into();
    }
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        match is_unsafe(c) {
            true => printable.extend(c.escape_default()),
            false => printable.push(c),
        }
    }
    printable.into()
}

/// Breaks the lines of `text` that are longer than `width` at spaces; what follows is indented by
/// `indent` more than the line. A word that is longer than a line is not broken: names and paths can be
/// copied.
#[must_use]
pub fn wrap(text: &str, width: usize, indent: usize) -> String {
    let lines: Vec<String> = text.lines().map(|line| wrap_line(line, width, indent)).collect();
    lines.join("\n")
}

fn wrap_line(line: &str, width: usize, indent: usize) -> String {
    if line.width() <= width {
        return line.to_owned();
    }
    let own = line.len() - line.trim_start().len();
    let mut wrapped = " ".repeat(own);
    let (mut at, mut is_first) = (own, true);
    // Several spaces in a row, as between columns, stay.
    for word in line.trim_start().split(' ') {
        let length = word.width();
        if !is_first && at + 1 + length > width && !word.is_empty() {
            wrapped.truncate(wrapped.trim_end_matches(' ').len());
            let _ = write!(wrapped, "\n{}", " ".repeat(own + indent));
            at = own + indent;
        } else if !is_first {
            wrapped.push(' ');
            at += 1;
        }
        wrapped.push_str(word);
        at += length;
        is_first = false;
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_wrapped_at_spaces_and_what_follows_is_indented() {
        let text = "FAIL  one two three four\nshort\n";
        assert_eq!(wrap(text, 16, 6), "FAIL  one two\n      three four\nshort");
        assert_eq!(
            wrap("  see http://a.test/long/path now", 12, 2),
            "  see\n    http://a.test/long/path\n    now"
        );
        assert_eq!(wrap("", 10, 2), "");
        assert_eq!(wrap("日本 日本 日本", 9, 0), "日本 日本\n日本", "wide characters");
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(
            printable("a\u{1b}[2Jb\r\n\tc\u{7}\u{202e}"),
            "a\\u{1b}[2Jb\\r\n\tc\\u{7}\\u{202e}"
        );
        assert!(matches!(printable("GET /ä: 5 ms\n"), Cow::Borrowed(_)));
    }
}
