//! Pagination: lists have a limited length and are newest first, except lists of amendments, which are
//! oldest first. Most are JSON arrays with a `Link` header to the next page; that of generation tasks is
//! an object with `items` and `next`.

use std::pin::pin;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use futures::{Stream, StreamExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::cache::CachedResponse;
use crate::check::Checks;
use crate::error::{Error, Result};
use crate::extract::read_query;
use crate::tunables::RequestTunables;

const DEFAULT_LIMIT: i64 = 100;
pub const MAX_LIMIT: i64 = 500;
/// Maximum offset. A larger one is too expensive, since PostgreSQL reads all skipped rows; `after`
/// has no such limit.
const MAX_OFFSET: i64 = 1_000_000;

/// Maximum size of the body of a page, in bytes. A page ends before the row that would exceed it,
/// but has at least one row.
pub const MAX_BYTES: usize = 1 << 20;

/// Extractor of the pagination parameters.
#[derive(Debug, Clone)]
pub struct Page {
    /// Maximum number of items.
    pub limit: i64,
    /// Number of items to skip.
    pub offset: i64,
    /// Id of the last item of the previous page; the page starts after it.
    pub after: Option<Uuid>,
    path: String,
    /// The parameters of the filter, URL-encoded.
    filter: String,
}

/// Extractor of the filter and the pagination parameters of a list. Unknown parameters are ignored.
#[derive(Debug, Clone)]
pub struct Filtered<F> {
    pub filter: F,
    pub page: Page,
}

/// The query parameters of [`Page`].
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageParams {
    /// Maximum number of items to return, 1 to 500; default 100. A page is shorter if its body would
    /// exceed 1 MiB, or if an operator has limited the size of pages.
    #[param(minimum = 1, maximum = 500, example = 20)]
    limit: Option<i64>,
    /// Number of items to skip, at most 1,000,000; default 0. Prefer `after`.
    #[param(minimum = 0, maximum = 1_000_000, example = 0)]
    offset: Option<i64>,
    /// Id of the last item of the previous page; the page starts after it.
    after: Option<Uuid>,
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let params: PageParams = read_query(parts.uri.query().unwrap_or_default())?;
        let offset = params.offset.unwrap_or(0);
        let mut checks = Checks::default();
        let tunables = RequestTunables::from_extensions(&parts.extensions);
        let limit = check_limit(&mut checks, params.limit, &tunables);
        checks.require(
            (0..=MAX_OFFSET).contains(&offset),
            "offset",
            "range",
            "must be 0 to 1000000; use `after` to go further",
        );
        checks.into_result()?;
        let path = parts.uri.path().to_owned();
        Ok(Self { limit, offset, after: params.after, path, filter: String::new() })
    }
}

/// Checks the `limit` of a list and returns the maximum number of its items: `limit`, or by default
/// `DEFAULT_LIMIT`, but at most the page size of the request.
pub fn check_limit(checks: &mut Checks, limit: Option<i64>, tunables: &RequestTunables) -> i64 {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    checks.require((1..=MAX_LIMIT).contains(&limit), "limit", "range", "must be 1 to 500");
    limit.min(tunables.page_size)
}

impl<S: Send + Sync, F: DeserializeOwned + Serialize + Send> FromRequestParts<S> for Filtered<F> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let filter: F = read_query(parts.uri.query().unwrap_or_default())?;
        let page = Page::from_request_parts(parts, state).await?;
        let text =
            serde_urlencoded::to_string(&filter).map_err(|e| Error::Internal(Box::new(e)))?;
        Ok(Self { filter, page: Page { filter: text, ..page } })
    }
}

impl Page {
    /// Returns the number of rows to query: one more than `limit`, to detect whether there is a
    /// next page.
    pub fn fetch_limit(&self) -> i64 {
        self.limit + 1
    }

    /// Returns an id that all ids of the page are less than: `after`, or the largest of all. A condition on it
    /// is part of every list, so that the server needs only one plan for all pages.
    pub fn before(&self) -> Uuid {
        self.after.unwrap_or(Uuid::max())
    }

    /// Serializes rows as a response for the cache, a JSON array. Reads rows until the page is full;
    /// `id` returns the id of a row, for the link to the next page.
    ///
    /// # Errors
    /// Errors of `rows`; when a row cannot be serialized to JSON.
    pub async fn to_cached_response<T: Serialize>(
        &self,
        rows: impl Stream<Item = sqlx::Result<T>>,
        id: impl Fn(&T) -> Uuid,
    ) -> Result<CachedResponse> {
        let (body, next) = read_page(rows, self.limit, id).await?;
        Ok(self.response(body, next))
    }

    /// Like [`Page::to_cached_response`], but the body is an object with the `items` and with
    /// `next`, the value of `after` for the next page. The list of generation tasks has this form. The
    /// response is not stored in the cache.
    ///
    /// # Errors
    /// As [`Page::to_cached_response`].
    pub async fn to_items_response<T: Serialize>(
        &self,
        rows: impl Stream<Item = sqlx::Result<T>>,
        id: impl Fn(&T) -> Uuid,
    ) -> Result<CachedResponse> {
        let (items, next) = read_page(rows, self.limit, id).await?;
        let next_json = next.map_or("null".to_owned(), |id| format!("\"{id}\""));
        let end = format!(",\"next\":{next_json}}}");
        Ok(self.response([b"{\"items\":", &*items, end.as_bytes()].concat(), next))
    }

    fn response(&self, body: Vec<u8>, next: Option<Uuid>) -> CachedResponse {
        let link = next.map(|last| format!("<{}>; rel=\"next\"", self.uri(None, Some(last))));
        CachedResponse::new(content_etag(&body), link, body)
    }

    /// Returns the key of the page in the cache: its path and known parameters, in a fixed order.
    pub fn key(&self) -> String {
        self.uri(Some(self.offset), self.after)
    }

    fn uri(&self, offset: Option<i64>, after: Option<Uuid>) -> String {
        let mut uri = format!("{}?", self.path);
        if !self.filter.is_empty() {
            uri.push_str(&self.filter);
            uri.push('&');
        }
        uri.push_str(&format!("limit={}", self.limit));
        if let Some(offset) = offset.filter(|offset| *offset > 0) {
            uri.push_str(&format!("&offset={offset}"));
        }
        if let Some(after) = after {
            uri.push_str(&format!("&after={after}"));
        }
        uri
    }
}

/// Reads rows until a page is full: at most `limit` rows and [`MAX_BYTES`], but at least one row.
/// Returns them as a JSON array, and the key of the last one if more follow.
///
/// # Errors
/// Errors of `rows`; when a row cannot be serialized to JSON.
pub async fn read_page<T: Serialize, K, E: Into<Error>>(
    rows: impl Stream<Item = Result<T, E>>,
    limit: i64,
    key: impl Fn(&T) -> K,
) -> Result<(Vec<u8>, Option<K>)> {
    let limit = usize::try_from(limit).unwrap_or_default();
    let (mut body, mut last, mut length) = (vec![b'['], None, 0);
    let (mut rows, mut next) = (pin!(rows), None);
    while let Some(row) = rows.next().await {
        let (row, end) = (row.map_err(Into::into)?, body.len());
        if length == limit {
            // The end, after which the connection can be used again: no more rows were queried.
            rows.next().await;
            next = last;
            break;
        }
        if length > 0 {
            body.push(b',');
        }
        serde_json::to_writer(&mut body, &row).map_err(|e| Error::Internal(Box::new(e)))?;
        if length > 0 && body.len() > MAX_BYTES {
            body.truncate(end);
            next = last;
            break;
        }
        (last, length) = (Some(key(&row)), length + 1);
    }
    Ok((close(body), next))
}

/// Returns rows that are in memory already as a stream.
pub fn rows<T>(rows: Vec<T>) -> impl Stream<Item = sqlx::Result<T>> {
    futures::stream::iter(rows.into_iter().map(Ok))
}

fn close(mut array: Vec<u8>) -> Vec<u8> {
    array.push(b']');
    array.shrink_to_fit();
    array
}

/// Returns the ETag of a body: the first 16 bytes of its SHA-256, in hex.
pub fn content_etag(body: &[u8]) -> String {
    hex::encode(&Sha256::digest(body)[..16])
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use futures::stream;

    use super::*;

    async fn page(uri: &str) -> Page {
        let (mut parts, ()) = Request::get(uri).body(()).unwrap().into_parts();
        Page::from_request_parts(&mut parts, &()).await.unwrap()
    }

    /// Returns the body and the `Link` of a page of texts of these lengths.
    async fn list(page: &Page, lengths: &[usize]) -> (Vec<String>, Option<String>) {
        let rows = lengths.iter().map(|length| Ok("x".repeat(*length)));
        let id = |text: &String| Uuid::from_u128(text.len() as u128);
        let cached = page.to_cached_response(stream::iter(rows), id).await.unwrap();
        (serde_json::from_slice(&cached.body).unwrap(), cached.link)
    }

    #[tokio::test]
    async fn a_page_ends_before_the_row_that_exceeds_its_size() {
        let page = page("/things?limit=3").await;
        let quarter = MAX_BYTES / 4;
        let (rows, link) = list(&page, &[quarter, quarter, quarter]).await;
        assert_eq!((rows.len(), link), (3, None));
        let (rows, link) = list(&page, &[quarter, quarter + 1, 3 * quarter, 5]).await;
        assert_eq!(rows.len(), 2);
        let last = Uuid::from_u128(quarter as u128 + 1);
        assert_eq!(link.unwrap(), format!("</things?limit=3&after={last}>; rel=\"next\""));
    }

    #[tokio::test]
    async fn a_page_has_at_least_one_row_and_at_most_its_limit() {
        let page = page("/things?limit=2").await;
        let (rows, link) = list(&page, &[2 * MAX_BYTES, 1]).await;
        assert_eq!((rows.len(), link.is_some()), (1, true));
        let (rows, link) = list(&page, &[1, 2]).await;
        assert_eq!((rows.len(), link.is_some()), (2, false));
        let (rows, link) = list(&page, &[1, 2, 3]).await;
        assert_eq!((rows.len(), link.is_some()), (2, true));
        assert_eq!(list(&page, &[]).await, (Vec::new(), None));
    }

    #[tokio::test]
    async fn rows_beyond_the_page_are_not_read() {
        let page = page("/things?limit=500").await;
        let read = std::cell::Cell::new(0);
        let rows = stream::iter((0..500).map(|_| {
            read.set(read.get() + 1);
            Ok("x".repeat(MAX_BYTES / 2))
        }));
        page.to_cached_response(rows, |_| Uuid::nil()).await.unwrap();
        assert_eq!(read.get(), 2);
    }

    #[tokio::test]
    async fn the_key_contains_known_parameters_only() {
        let first = page("/things?x=1&limit=5&offset=2&y").await;
        let second = page("/things?offset=2&z=9&limit=5").await;
        assert_eq!(first.key(), second.key());
        assert_ne!(first.key(), page("/things?limit=5&offset=3").await.key());
        assert_ne!(first.key(), page("/things?limit=6&offset=2").await.key());
        assert_ne!(first.key(), page("/others?limit=5&offset=2").await.key());
        let after = format!("/things?limit=5&offset=2&after={}", Uuid::from_u128(1));
        assert_ne!(first.key(), page(&after).await.key());
    }

    #[tokio::test]
    async fn the_key_and_the_link_contain_the_filter() {
        #[derive(Deserialize, Serialize)]
        struct Filter {
            name: Option<String>,
            other: Option<String>,
        }
        let uri = "/things?limit=1&offset=7&name=a%26b&x=1";
        let (mut parts, ()) = Request::get(uri).body(()).unwrap().into_parts();
        let filtered = Filtered::<Filter>::from_request_parts(&mut parts, &()).await.unwrap();
        assert_eq!(filtered.filter.name.as_deref(), Some("a&b"));
        assert_eq!(filtered.page.key(), "/things?name=a%26b&limit=1&offset=7");
        let (_, link) = list(&filtered.page, &[1, 2]).await;
        let after = Uuid::from_u128(1);
        let expected = format!("</things?name=a%26b&limit=1&after={after}>; rel=\"next\"");
        assert_eq!(link, Some(expected));
    }
}
