//! Pages of lists: bare arrays, newest first, always capped, with a `Link` to the next page.

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::cache::Stored;
use crate::check::Checks;
use crate::error::{Error, Result};
use crate::etag;
use crate::extract::read_query;

/// Items of a page when the client does not say.
pub const DEFAULT_LIMIT: i64 = 100;
/// Most items of a page.
pub const MAX_LIMIT: i64 = 500;
/// Beyond this an offset costs more than it is worth; `after` has no such bound.
const MAX_OFFSET: i64 = 1_000_000;

/// Which part of a list is wanted.
#[derive(Debug, Clone)]
pub struct Page {
    /// Most items wanted.
    pub limit: i64,
    /// Items to skip.
    pub offset: i64,
    /// Only items after this one, which was the last of the page before.
    pub after: Option<Uuid>,
    uri: Uri,
}

/// The query parameters behind [`Page`].
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageParams {
    /// Most items to answer, 1 to 500; 100 if absent.
    #[param(minimum = 1, maximum = 500, example = 20)]
    limit: Option<i64>,
    /// Items to skip; prefer `after`.
    #[param(minimum = 0, maximum = 1_000_000, example = 0)]
    offset: Option<i64>,
    /// Id of the last item of the page before.
    after: Option<Uuid>,
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let params: PageParams = read_query(parts.uri.query().unwrap_or_default())?;
        let limit = params.limit.unwrap_or(DEFAULT_LIMIT);
        let offset = params.offset.unwrap_or(0);
        let mut checks = Checks::default();
        checks.that((1..=MAX_LIMIT).contains(&limit), "limit", "range", "must be 1 to 500");
        checks.that(
            (0..=MAX_OFFSET).contains(&offset),
            "offset",
            "range",
            "must be 0 to 1000000; use `after` to go further",
        );
        checks.done()?;
        Ok(Self { limit, offset, after: params.after, uri: parts.uri.clone() })
    }
}

#[derive(Serialize)]
struct Envelope<T> {
    items: Vec<T>,
    next: Option<Uuid>,
}

impl Page {
    /// How many rows to ask the database for: one more than wanted tells whether there is more.
    pub fn fetch(&self) -> i64 {
        self.limit + 1
    }

    /// As [`Page::stored`], but an object of the `items` and of what to send as `after` for the
    /// `next` page.
    ///
    /// # Errors
    /// As [`Page::stored`].
    pub fn enveloped<T: Serialize>(
        &self,
        mut rows: Vec<T>,
        id: impl Fn(&T) -> Uuid,
    ) -> Result<Stored> {
        let next = self.cut(&mut rows, id);
        let link = next.map(|last| self.next_link(last));
        let body = serde_json::to_vec(&Envelope { items: rows, next })
            .map_err(|e| Error::Internal(Box::new(e)))?;
        Ok(Stored { etag: digest(&body), link, body: body.into() })
    }

    /// Leaves what was wanted of [`Page::fetch`] rows. Answers the last one's id, if more follow.
    fn cut<T>(&self, rows: &mut Vec<T>, id: impl Fn(&T) -> Uuid) -> Option<Uuid> {
        let wanted = usize::try_from(self.limit).unwrap_or_default();
        let more = rows.len() > wanted;
        rows.truncate(wanted);
        rows.last().filter(|_| more).map(id)
    }

    /// The answer from at most [`Page::fetch`] rows; `id` names a row for the next page's `after`.
    ///
    /// # Errors
    /// When a row is not JSON.
    pub fn stored<T: Serialize>(
        &self,
        mut rows: Vec<T>,
        id: impl Fn(&T) -> Uuid,
    ) -> Result<Stored> {
        let link = self.cut(&mut rows, id).map(|last| self.next_link(last));
        let body = serde_json::to_vec(&rows).map_err(|e| Error::Internal(Box::new(e)))?;
        Ok(Stored { etag: digest(&body), link, body: body.into() })
    }

    /// [`Page::stored`] as an answer, for lists that are not cached.
    ///
    /// # Errors
    /// As [`Page::stored`].
    pub fn answer<T: Serialize>(&self, rows: Vec<T>, id: impl Fn(&T) -> Uuid) -> Result<Response> {
        self.stored(rows, id).map(|stored| etag::of_stored(&stored))
    }

    /// The page's address, which is its key in the cache.
    pub fn address(&self) -> &str {
        self.uri.path_and_query().map_or("", |address| address.as_str())
    }

    /// This page's address with `after` in place of where it started.
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

/// A version of a body: its first 16 bytes of SHA-256, in hex.
fn digest(body: &[u8]) -> String {
    hex::encode(&Sha256::digest(body)[..16])
}
