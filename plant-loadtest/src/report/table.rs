//! Text tables for a terminal.

use std::ops::Range;

use comfy_table::{
    CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle,
};

use crate::console;

/// Only a line below the header, which stays readable in logs.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Longest result in the last column, such as a grade.
const MAX_RESULT: usize = 14;

/// Returns a table that has no rows yet, with a line below `header`.
#[must_use]
pub fn plain<const N: usize>(header: [&str; N]) -> Table {
    with_header(&header)
}

/// Returns a table like [`plain`], for a number of columns that varies.
#[must_use]
pub fn with_header(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_header(header);
    table
}

/// Aligns `columns` to the right, for numbers.
pub fn align_right(table: &mut Table, columns: Range<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// Renders `table` with at most `width` columns of text: what does not fit is continued in the next
/// line of its cell. Lines have no spaces at their ends.
#[must_use]
pub fn fit(mut table: Table, width: usize) -> String {
    let widths = table.column_max_content_widths();
    for column in table.column_iter_mut() {
        // With the separator of two columns, two spaces.
        column.set_padding((0, 1));
    }
    // Names and results stay in one line; the others are sentences or numbers.
    for (index, longest) in [(0, width / 2), (widths.len().saturating_sub(1), MAX_RESULT)] {
        let is_kept = widths.get(index).is_some_and(|content| usize::from(*content) <= longest);
        if let Some(column) = table.column_mut(index).filter(|_| is_kept) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    // The padding after the last column is cut off.
    let padded = u16::try_from(width + 1).unwrap_or(u16::MAX);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(padded);
    let lines = table.lines().map(|line| cut(&line, width));
    lines.collect::<Vec<String>>().join("\n")
}

/// Renders rows without a header, like [`fit`].
#[must_use]
pub fn columns<const N: usize>(rows: Vec<[String; N]>, width: usize) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).add_rows(rows);
    fit(table, width)
}

/// Renders `table` for standard output, like [`fit`].
#[must_use]
pub fn for_stdout(table: Table) -> String {
    fit(table, console::stdout_width())
}

/// Returns `line` without spaces at its end, and its rule below the header without the last padding.
fn cut(line: &str, width: usize) -> String {
    let line = line.trim_end();
    match line.starts_with('─') {
        true => line.chars().take(width).collect(),
        false => line.to_owned(),
    }
}

/// Inserts line breaks into the name of an endpoint, after at most `width` characters and before a `/`
/// or one of `?&` if there is any: a name in a table is cut where it is read.
#[must_use]
pub fn break_name(name: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    let mut part = String::new();
    for c in name.chars().map(Some).chain([None]) {
        if c.is_none_or(|c| "/?&".contains(c)) {
            let line = lines.last_mut().map(|line| line.chars().count()).unwrap_or_default();
            let is_new = line > 0 && line + part.chars().count() > width;
            match lines.last_mut() {
                Some(line) if !is_new => line.push_str(&part),
                _ => lines.push(format!("  {part}")),
            }
            part.clear();
        }
        part.extend(c);
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_not_wider_than_it_may_be() {
        let mut table = plain(["name", "number"]);
        align_right(&mut table, 1..2);
        table.add_row(["one two three four five six", "1234567"]);
        for width in [20, 30, 80] {
            let text = fit(table.clone(), width);
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
            assert!(text.contains("1234567"), "{text}");
            assert!(text.lines().all(|line| !line.ends_with(' ')), "{text}");
        }
    }

    #[test]
    fn columns_are_two_spaces_apart() {
        let row = |name: &str| [name.to_owned(), "text".to_owned()];
        assert_eq!(columns(vec![row("a"), row("long")], 80), "a     text\nlong  text");
    }

    #[test]
    fn a_name_is_broken_before_a_slash() {
        let name = "GET /api/v1/customers/{id}/agents?industry={industry}";
        assert_eq!(break_name(name, 60), name);
        assert_eq!(
            break_name(name, 30),
            "GET /api/v1/customers/{id}\n  /agents?industry={industry}"
        );
        assert_eq!(break_name("a-long-name-without-slash", 10), "a-long-name-without-slash");
    }
}
