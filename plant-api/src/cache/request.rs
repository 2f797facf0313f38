//! The cache as one request uses it.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;

use super::{Cache, CachedResponse, Scope};
use crate::error::Result;
use crate::tunables::RequestTunables;

/// Extractor of the cache with the tunables of the request.
#[derive(Clone)]
pub struct RequestCache {
    cache: Cache,
    tunables: RequestTunables,
}

impl<S> FromRequestParts<S> for RequestCache
where
    S: Send + Sync,
    Cache: FromRef<S>,
{
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let tunables = RequestTunables::from_extensions(&parts.extensions);
        Ok(Self { cache: Cache::from_ref(state), tunables })
    }
}

impl RequestCache {
    /// Returns the response of `scope` cached under `key`, or else runs `fill` and caches its response. If the
    /// topic is not cached for this request, it only runs `fill`.
    ///
    /// # Errors
    /// Errors of `fill`, which are not cached.
    pub async fn get_with<F: Future<Output = Result<CachedResponse>> + Send>(
        &self,
        scope: impl Into<Scope>,
        key: &str,
        fill: impl FnOnce() -> F + Send,
    ) -> Result<Arc<CachedResponse>> {
        let scope = scope.into();
        if !self.tunables.is_cached(scope.topic as usize) {
            return self.cache.bypass(scope.topic, fill).await;
        }
        self.cache.get_with(scope, key, self.tunables.cache_ttl, fill).await
    }
}
