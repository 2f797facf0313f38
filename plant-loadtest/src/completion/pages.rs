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
/// page contains that item further down and nothing is missed; what is read twice counts once
/// ([`Position::repeated`]). If it is not in the page, items before it were deleted and others may have been
/// skipped, so the list is read again from its start.
#[derive(Debug)]
pub(super) enum Position {
    After { after: Option<String>, seen: HashSet<String>, last: Option<String> },
    Offset { offset: usize, last: Option<String>, overlaps: bool, restarts: u32 },
}

/// What follows a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The next page.
    Next,
    /// The first page again: items were deleted while the list was read.
    Restart,
    /// Nothing.
    End,
}

impl Position {
    /// Returns the position of the first page.
    pub(super) fn start(pages: Pages) -> Self {
        match pages {
            Pages::After => Self::After { after: None, seen: HashSet::new(), last: None },
            Pages::Offset => Self::Offset { offset: 0, last: None, overlaps: false, restarts: 0 },
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

    /// Returns how many items at the start of `page` were on the page before; `id_field` is the field of an
    /// item with its id. An item that is listed twice, once as the last one of a page without an overlap and
    /// once as the first one of the next, counts as one.
    pub(super) fn repeated(&self, page: &Value, id_field: &str) -> usize {
        let Ok(items) = self.items(page) else { return 0 };
        let mut ids = items.iter().map(|item| item[id_field].as_str());
        match self {
            Self::Offset { last: Some(last), overlaps: true, .. } => {
                ids.position(|id| id == Some(last)).map_or(0, |index| index + 1)
            }
            Self::After { last: Some(last), .. } | Self::Offset { last: Some(last), .. } => {
                usize::from(ids.next() == Some(Some(last)))
            }
            _ => 0,
        }
    }

    /// Moves to the page that follows `page`; `id_field` is the field of an item with its id.
    pub(super) fn advance(&mut self, page: &Value, id_field: &str) -> Result<Step, Unreadable> {
        let items = self.items(page)?;
        let ids: Vec<Option<&str>> = items.iter().map(|item| item[id_field].as_str()).collect();
        match self {
            Self::After { after, seen, last } => {
                let Some(next) = page["next"].as_str() else { return Ok(Step::End) };
                if !seen.insert(next.to_owned()) {
                    return Err(Unreadable);
                }
                *after = Some(next.to_owned());
                *last = ids.last().copied().flatten().map(str::to_owned);
            }
            Self::Offset { offset, last, overlaps, restarts } => {
                let is_deleted = |last: &String| !ids.contains(&Some(last));
                if *overlaps && last.as_ref().is_some_and(is_deleted) {
                    *restarts += 1;
                    (*offset, *last, *overlaps) = (0, None, false);
                    return if *restarts > MAX_RESTARTS {
                        Err(Unreadable)
                    } else {
                        Ok(Step::Restart)
                    };
                }
                let Some(last_id) = ids.last() else { return Ok(Step::End) };
                let last_id = last_id.ok_or(Unreadable)?;
                // A page of one item leaves no room for an overlap, and may be the end.
                *overlaps = ids.len() > 1;
                *offset += ids.len() - usize::from(*overlaps);
                *last = Some(last_id.to_owned());
            }
        }
        Ok(Step::Next)
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
        list: Vec<String>,
        change: impl FnMut(usize, &mut Vec<String>),
    ) -> Vec<String> {
        let mut found = read_entries(length, list, change);
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Returns the items of a pass, each as often as it counts.
    fn read_entries(
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
            let repeated = position.repeated(&page, "id");
            for item in position.items(&page).unwrap().iter().skip(repeated) {
                found.push(item["id"].as_str().unwrap().to_owned());
            }
            match position.advance(&page, "id").unwrap() {
                Step::Next => {}
                Step::Restart => found.clear(),
                Step::End => break,
            }
            assert!(number < 50, "never ends: {found:?}");
        }
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
    fn an_item_counts_once_although_pages_overlap_and_shift() {
        for length in 1..5 {
            for changes in [0, 1, 2, 5] {
                let mut found = read_entries(length, list(9), |number, list| {
                    if number < changes {
                        list.insert(0, format!("new-{number}"));
                    }
                });
                found.retain(|id| !id.starts_with("new"));
                found.sort_unstable();
                assert_eq!(found, list(9), "pages of {length}, {changes} changes");
            }
        }
    }

    #[test]
    fn an_item_that_is_listed_twice_counts_twice_wherever_pages_end() {
        for length in 2..6 {
            for (first, second) in [(0, 1), (1, 2), (2, 3), (0, 5), (3, 8)] {
                let mut doubled = list(8);
                doubled.insert(first, "twice".into());
                doubled.insert(second, "twice".into());
                let found = read_entries(length, doubled, |_, _| ());
                let count = found.iter().filter(|id| *id == "twice").count();
                assert_eq!((count, found.len()), (2, 10), "{length} {first} {second}");
            }
        }
    }

    #[test]
    fn a_cursor_that_repeats_the_last_item_of_a_page_counts_it_once() {
        let mut position = Position::start(Pages::After);
        let first = json!({ "items": [{ "id": "a" }, { "id": "b" }], "next": "b" });
        assert_eq!(position.repeated(&first, "id"), 0);
        assert_eq!(position.advance(&first, "id"), Ok(Step::Next));
        let second =
            json!({ "items": [{ "id": "b" }, { "id": "c" }, { "id": "b" }], "next": null });
        assert_eq!(position.repeated(&second, "id"), 1);
        let other = json!({ "items": [{ "id": "c" }, { "id": "b" }], "next": null });
        assert_eq!(position.repeated(&other, "id"), 0);
        assert_eq!(position.advance(&second, "id"), Ok(Step::End));
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
