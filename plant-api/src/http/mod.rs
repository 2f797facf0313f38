//! All slices' routes in one router, and the layers around them.

mod description;
mod frame;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::middleware::from_fn_with_state;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::error::Error;
use crate::metrics::Metrics;
use crate::state::State;
use crate::{auth, customers, generation, plant};

#[derive(utoipa::OpenApi)]
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
        .merge(auth::routes::router())
        .merge(customers::routes::router())
        .merge(plant::router())
        .merge(generation::routes::router())
}

/// The routes of `all`, their completed description at `/openapi.json`, and a page to browse it
/// at `/docs`, which needs nothing from outside. Every described status starts counting at zero.
///
/// # Errors
/// When the description is not JSON, which is a bug.
pub fn described(
    all: OpenApiRouter<State>,
    metrics: &Metrics,
) -> serde_json::Result<(Router<State>, OpenApi)> {
    let (routes, mut api) = all.split_for_parts();
    description::complete(&mut api);
    for (path, item) in &api.paths.paths {
        for (method, operation) in description::operations(item) {
            for status in operation.responses.responses.keys() {
                metrics.requests.with_label_values(&[method, path, status]);
            }
        }
    }
    let page = SwaggerUi::new("/docs")
        .external_url_unchecked("/openapi.json", description::strict(&api)?)
        .config(Config::new(["/openapi.json"]).try_it_out_enabled(true).validator_url("none"));
    let routes = routes.merge(page);
    Ok((routes, api))
}

/// `router` as clients meet it: every answer framed, every error a problem+json.
pub fn framed(router: Router<State>, state: State) -> Router {
    router
        .fallback(async || Error::no_such("route"))
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(from_fn_with_state(state.clone(), frame::frame))
        .with_state(state)
}
