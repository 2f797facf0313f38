//! The routes of all slices in one router, their OpenAPI description and the middleware.

mod compression;
mod cors;
mod description;
mod files;
mod middleware;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::Redirect;
use axum::routing::get;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

use self::cors::RouteMethods;
use crate::cache::CachedResponse;
use crate::error::Error;
use crate::etag::Preconditions;
use crate::metrics::Metrics;
use crate::page::content_etag;
use crate::performance_agent::{self, Agent};
use crate::state::AppState;
use crate::{auth, customers, enhancement, generation, payments, plant};

/// Returns whether a path is one of the API, whose requests are rate-limited and have the common errors:
/// neither an operational endpoint nor a page for browsers.
fn is_api(path: &str) -> bool {
    ["/api/", "/webhooks/", "/enhancements/", "/admin/"]
        .iter()
        .any(|prefix| path.starts_with(prefix))
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Plant",
        description = "A service with known behaviour as a target for load tests.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    components(schemas(crate::error::Problem))
)]
struct ApiDoc;

/// Returns the routes of all slices with their OpenAPI description, without middleware.
pub fn api_routes(agent: Agent) -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(ApiDoc::openapi())
        .merge(auth::routes::router())
        .merge(customers::routes::router())
        .merge(plant::router())
        .merge(generation::routes::router())
        .merge(payments::routes::router())
        .merge(enhancement::router())
        .merge(performance_agent::router(agent))
}

/// Completes the OpenAPI description of `router` with what all operations share, and serves it
/// at `/openapi.json` and as Swagger UI at `/docs`, which loads no external resources; `/` leads there.
/// The request counters of 5xx responses start at zero, so that a query of the error rate returns a
/// value before the first error.
///
/// # Errors
/// When the description cannot be serialized to JSON, which is a bug.
pub fn with_openapi(
    router: OpenApiRouter<AppState>,
    metrics: &Metrics,
) -> serde_json::Result<(Router<AppState>, OpenApi)> {
    let (routes, mut api) = router.split_for_parts();
    description::complete(&mut api);
    for (path, item) in &api.paths.paths {
        for (method, operation) in description::operations(item) {
            let statuses = operation.responses.responses.keys();
            let statuses = statuses.filter_map(|status| status.parse::<StatusCode>().ok());
            for status in statuses.filter(StatusCode::is_server_error) {
                metrics.requests.start_at_zero(method, path, status);
            }
        }
    }
    let json = serde_json::to_vec(&description::to_json(&api)?)?;
    let json = CachedResponse::new(content_etag(&json), None, json).keep_compressed();
    let swagger_ui = SwaggerUi::new("/docs").config(
        Config::new(["/openapi.json"])
            .use_base_layout()
            .try_it_out_enabled(true)
            .display_request_duration(true)
            .validator_url("none"),
    );
    let files = Router::from(swagger_ui)
        .layer(from_fn_with_state(files::Files::default(), files::keep_compressed));
    let routes = routes
        .merge(files)
        .route(
            "/openapi.json",
            get(async move |conditions: Preconditions| conditions.respond_cached(&json)),
        )
        .route("/", get(async || Redirect::temporary("/docs/")));
    Ok((routes, api))
}

/// Adds the middleware and the fallbacks: every error response is `application/problem+json`. `api`
/// describes the routes.
pub fn with_middleware(router: Router<AppState>, api: &OpenApi, state: AppState) -> Router {
    let methods = Arc::new(RouteMethods::new(api));
    router
        .fallback(async || Error::no_such("route"))
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(from_fn_with_state((state.clone(), methods), middleware::handle_request))
        .with_state(state)
}
