//! All slices' routes in one router, and the layers around them.

mod frame;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::middleware::from_fn_with_state;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::error::Error;
use crate::state::State;
use crate::{customers, plant};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Plant",
        description = "A reference backend with known behaviour, to load-test against.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    components(schemas(crate::error::Problem))
)]
struct Description;

/// The slices' routes with their description, still without layers.
pub fn slices() -> OpenApiRouter<State> {
    OpenApiRouter::with_openapi(Description::openapi())
        .merge(customers::routes::router())
        .merge(plant::router())
}

/// `router` as clients meet it: every answer framed, every error a problem+json.
pub fn framed(router: Router<State>, state: State) -> Router {
    router
        .fallback(async || Error::no_such("route"))
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(from_fn_with_state(state.clone(), frame::frame))
        .with_state(state)
}
