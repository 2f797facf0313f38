//! Keeps the files of the API page in compressed form.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::content_coding::Compressed;

/// The compressed forms of each file, by its path.
#[derive(Debug, Clone, Default)]
pub struct Files(Arc<Mutex<HashMap<String, Arc<Compressed>>>>);

/// Middleware around the files.
pub async fn keep_compressed(State(files): State<Files>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    // A file has many paths with percent-encoded characters.
    let is_kept = request.headers().contains_key(header::ACCEPT_ENCODING) && !path.contains('%');
    let path = is_kept.then(|| path.to_owned());
    let mut response = next.run(request).await;
    if let Some(path) = path.filter(|_| response.status() == StatusCode::OK) {
        let mut files = files.0.lock().unwrap_or_else(PoisonError::into_inner);
        let compressed = files.entry(path).or_default().clone();
        response.extensions_mut().insert(compressed);
    }
    response
}
