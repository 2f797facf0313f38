//! The performance agent: finds what limits the performance of the service, and changes it.

mod tunables;

use utoipa_axum::router::OpenApiRouter;

use crate::state::AppState;

/// Returns the routes of the performance agent.
pub fn router() -> OpenApiRouter<AppState> {
    tunables::routes::router()
}
