//! Text tables for a terminal.

use std::ops::Range;

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

/// Only a line below the header, which stays readable in logs.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

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
