//! Genesis serves some routes of the catalogue under its own prefix, with the same handlers.

use utoipa::openapi::path::PathItem;
use utoipa_axum::router::UtoipaMethodRouter;

use crate::state::AppState;

/// Returns `routes` of `/api/v1/…` as routes of `/api/v1/genesis/…`.
pub(super) fn under_genesis(
    (schemas, mut paths, methods): UtoipaMethodRouter<AppState>,
) -> UtoipaMethodRouter<AppState> {
    let renamed = std::mem::take(&mut paths.paths).into_iter();
    paths.paths = renamed
        .map(|(path, item)| (path.replacen("/api/v1/", "/api/v1/genesis/", 1), retagged(item)))
        .collect();
    (schemas, paths, methods)
}

fn retagged(mut item: PathItem) -> PathItem {
    for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
        operation.tags = Some(vec!["genesis".to_owned()]);
    }
    item
}
