//! Output to the terminal. Write errors are ignored, so that neither a closed pipe nor a full disk ends
//! a run or changes its exit code.

use std::io::{self, Write as _};

/// Prints `text` to standard output, with one line break at its end.
pub fn print(text: &str) {
    let _ = io::stdout().write_all(format!("{}\n", text.trim_end()).as_bytes());
}

/// Prints a line to standard error.
pub fn print_error(line: &str) {
    write_error(&format!("{line}\n"));
}

/// Writes a part of a line to standard error.
pub fn write_error(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
