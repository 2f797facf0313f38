//! Pagination: lists are newest first and of limited length. Most are JSON arrays with a `Link`
//! header to the next page; that of generations is an object with `items` and `next`.

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::cache::CachedResponse;
use crate::check::Checks;
use crate::error::{Error, Result};
use crate::etag;
use crate::extract::read_query;

pub const DEFAULT_LIMIT: i64 = 100;
pub const MAX_LIMIT: i64 = 500;
/// Maximum offset. A larger one is too expensive, since PostgreSQL reads all skipped rows; `after`
/// has no such limit.
const MAX_OFFSET: i64 = 1_000_000;

/// Extractor of the pagination parameters.
#[derive(Debug, Clone)]
pub struct Page {
    /// Maximum number of items.
    pub limit: i64,
    /// Number of items to skip.
    pub offset: i64,
    /// Id of the last item of the previous page; the page starts after it.
    pub after: Option<Uuid>,
    uri: Uri,
}

/// The query parameters of [`Page`].
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageParams {
    /// Maximum number of items to return, 1 to 500; default 100.
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
        let limit = params.limit.unwrap_or(DEFAULT_LIMIT);
        let offset = params.offset.unwrap_or(0);
        let mut checks = Checks::default();
        checks.require((1..=MAX_LIMIT).contains(&limit), "limit", "range", "must be 1 to 500");
        checks.require(
            (0..=MAX_OFFSET).contains(&offset),
            "offset",
            "range",
            "must be 0 to 1000000; use `after` to go further",
        );
        checks.into_result()?;
        Ok(Self { limit, offset, after: params.after, uri: parts.uri.clone() })
    }
}

#[derive(Serialize)]
struct Envelope<T> {
    items: Vec<T>,
    next: Option<Uuid>,
}

impl Page {
    /// Returns the number of rows to query: one more than `limit`, to detect whether there is a
    /// next page.
    pub fn fetch_limit(&self) -> i64 {
        self.limit + 1
    }

    /// Like [`Page::to_cached_response`], but the body is an object with the `items` and with
    /// `next`, the value of `after` for the next page.
    ///
    /// # Errors
    /// As [`Page::to_cached_response`].
    pub fn to_cached_envelope<T: Serialize>(
        &self,
        mut rows: Vec<T>,
        id: impl Fn(&T) -> Uuid,
    ) -> Result<CachedResponse> {
        let next = self.truncate(&mut rows, id);
        let link = next.map(|last| self.next_link(last));
        let body = serde_json::to_vec(&Envelope { items: rows, next })
            .map_err(|e| Error::Internal(Box::new(e)))?;
        Ok(CachedResponse { etag: content_etag(&body), link, body: body.into() })
    }

    /// Truncates [`Page::fetch_limit`] rows to `limit`. Returns the id of the last one if more
    /// follow.
    fn truncate<T>(&self, rows: &mut Vec<T>, id: impl Fn(&T) -> Uuid) -> Option<Uuid> {
        let limit = usize::try_from(self.limit).unwrap_or_default();
        let has_next = rows.len() > limit;
        rows.truncate(limit);
        rows.last().filter(|_| has_next).map(id)
    }

    /// Serializes at most [`Page::fetch_limit`] rows as a response for the cache. `id` returns the
    /// id of a row, for the link to the next page.
    ///
    /// # Errors
    /// When a row cannot be serialized to JSON.
    pub fn to_cached_response<T: Serialize>(
        &self,
        mut rows: Vec<T>,
        id: impl Fn(&T) -> Uuid,
    ) -> Result<CachedResponse> {
        let link = self.truncate(&mut rows, id).map(|last| self.next_link(last));
        let body = serde_json::to_vec(&rows).map_err(|e| Error::Internal(Box::new(e)))?;
        Ok(CachedResponse { etag: content_etag(&body), link, body: body.into() })
    }

    /// Like [`Page::to_cached_response`], but returns a response, for lists that are not cached.
    ///
    /// # Errors
    /// As [`Page::to_cached_response`].
    pub fn to_response<T: Serialize>(
        &self,
        rows: Vec<T>,
        id: impl Fn(&T) -> Uuid,
    ) -> Result<Response> {
        self.to_cached_response(rows, id).map(|cached| etag::cached_into_response(&cached))
    }

    /// Returns the path and query of the request, which is the key in the cache.
    pub fn path_and_query(&self) -> &str {
        self.uri.path_and_query().map_or("", |path_and_query| path_and_query.as_str())
    }

    /// Returns the `Link` header to the next page: the same query with `after`, without `offset`.
    fn next_link(&self, after: Uuid) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(self.uri.query().unwrap_or_default().as_bytes())
        {
            if name != "after" && name != "offset" {
                query.append_pair(&name, &value);
            }
        }
        query.append_pair("after", &after.to_string());
        format!("<{}?{}>; rel=\"next\"", self.uri.path(), query.finish())
    }
}

/// Returns the ETag of a body: the first 16 bytes of its SHA-256, in hex.
fn content_etag(body: &[u8]) -> String {
    hex::encode(&Sha256::digest(body)[..16])
}
