//! Position in a list that is read page by page while it changes.

use std::collections::HashSet;

use serde_json::Value;

use crate::work::Pages;

/// How often a list is read again from its start because items before the position were deleted.
const MAX_RESTARTS: u32 = 5;

/// The list cannot be read: its pages have another form, repeat, or change faster than they are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// Position in a list.
///
/// By offset, each page begins with the last item of the page before. If new items have shifted it, the
/// page contains that item further down and nothing is missed; what is read twice does no harm. If it is
/// not in the page, items before it were deleted and others may have been skipped, so the list is read
/// again from its start.
#[derive(Debug)]
pub(super) enum Position {
    After { after: Option<String>, seen: HashSet<String> },
    Offset { offset: usize, last: Option<String>, restarts: u32 },
}

impl Position {
    /// Returns the position of the first page.
    pub(super) fn start(pages: Pages) -> Self {
        match pages {
            Pages::After => Self::After { after: None, seen: HashSet::new() },
            Pages::Offset => Self::Offset { offset: 0, last: None, restarts: 0 },
        }
    }

    /// Returns the parameter of the page at this position, to append to a query.
    pub(super) fn parameter(&self) -> String {
        match self {
            Self::After { after: None, .. } | Self::Offset { offset: 0, .. } => String::new(),
            Self::After { after: Some(after), .. } => format!("&after={after}"),
            Self::Offset { offset, .. } => format!("&offset={offset}"),
        }
    }

    /// Returns the items of the `page` at this position.
    pub(super) fn items<'p>(&self, page: &'p Value) -> Result<&'p [Value], Unreadable> {
        let items = match self {
            Self::After { .. } => &page["items"],
            Self::Offset { .. } => page,
        };
        items.as_array().map(Vec::as_slice).ok_or(Unreadable)
    }

    /// Moves to the page that follows `page`; `id_field` is the field of an item with its id. Returns
    /// false if there is none.
    pub(super) fn advance(&mut self, page: &Value, id_field: &str) -> Result<bool, Unreadable> {
        match self {
            Self::After { after, seen } => {
                let Some(next) = page["next"].as_str() else { return Ok(false) };
                if !seen.insert(next.to_owned()) {
                    return Err(Unreadable);
                }
                *after = Some(next.to_owned());
                Ok(true)
            }
            Self::Offset { offset, last, restarts } => {
                let items = page.as_array().ok_or(Unreadable)?;
                let ids: Vec<Option<&str>> =
                    items.iter().map(|item| item[id_field].as_str()).collect();
                if last.as_ref().is_some_and(|last| !ids.contains(&Some(last))) {
                    *restarts += 1;
                    (*offset, *last) = (0, None);
                    return if *restarts > MAX_RESTARTS { Err(Unreadable) } else { Ok(true) };
                }
                let Some(last_id) = ids.last() else { return Ok(false) };
                let last_id = last_id.ok_or(Unreadable)?;
                // A page of one item leaves no room for an overlap, and may be the end.
                let overlap = usize::from(ids.len() > 1);
                *offset += ids.len() - overlap;
                *last = (overlap > 0).then(|| last_id.to_owned());
                Ok(true)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Reads a list by offset in pages of three. `change` changes it before each page.
    fn read(list: Vec<String>, change: impl FnMut(usize, &mut Vec<String>)) -> Vec<String> {
        read_pages(3, list, change)
    }

    fn read_pages(
        length: usize,
        mut list: Vec<String>,
        mut change: impl FnMut(usize, &mut Vec<String>),
    ) -> Vec<String> {
        let mut position = Position::start(Pages::Offset);
        let mut found = Vec::new();
        for number in 0.. {
            change(number, &mut list);
            let offset: usize = match position.parameter().strip_prefix("&offset=") {
                Some(offset) => offset.parse().unwrap(),
                None => 0,
            };
            let items: Vec<Value> =
                list.iter().skip(offset).take(length).map(|id| json!({ "id": id })).collect();
            let page = Value::Array(items);
            for item in position.items(&page).unwrap() {
                found.push(item["id"].as_str().unwrap().to_owned());
            }
            if !position.advance(&page, "id").unwrap() {
                break;
            }
            assert!(number < 50, "never ends: {found:?}");
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    fn list(length: u32) -> Vec<String> {
        (0..length).map(|number| format!("{number:03}")).collect()
    }

    #[test]
    fn a_list_of_any_length_is_read_to_its_end_in_pages_of_any_length() {
        for length in 0..12 {
            for of_page in 1..5 {
                let found = read_pages(of_page, list(length), |_, _| ());
                assert_eq!(found, list(length), "{length} in pages of {of_page}");
            }
        }
    }

    #[test]
    fn items_that_are_added_while_a_list_is_read_hide_no_others() {
        // One at a time, and more than a page at once.
        for count in [1, 2, 5] {
            let found = read(list(10), |number, list| {
                if number < 3 {
                    for new in 0..count {
                        list.insert(0, format!("new-{number}-{new}"));
                    }
                }
            });
            assert!(list(10).iter().all(|id| found.contains(id)), "{found:?}");
        }
    }

    #[test]
    fn items_that_are_deleted_while_a_list_is_read_hide_no_others() {
        for page in 1..4 {
            let found = read(list(10), |number, list| {
                if number == page {
                    list.drain(..2);
                }
            });
            let left = &list(10)[2..];
            assert!(left.iter().all(|id| found.contains(id)), "{page}: {found:?}");
        }
    }

    #[test]
    fn a_list_that_never_stands_still_is_unreadable() {
        let mut position = Position::start(Pages::Offset);
        let results: Vec<_> = (0..20)
            .map(|number| {
                let page = json!([{ "id": format!("a{number}") }, { "id": format!("b{number}") }]);
                position.advance(&page, "id")
            })
            .collect();
        // Every other page is a restart, and the sixth one too many.
        let end = results.iter().position(|result| *result == Err(Unreadable));
        assert_eq!(end, Some(11), "{results:?}");
        let mut position = Position::start(Pages::Offset);
        assert_eq!(position.advance(&json!([{}, {}]), "id"), Err(Unreadable), "no ids");
        assert_eq!(position.items(&json!({ "items": [] })), Err(Unreadable));
    }
}
