//! Requests from web pages of other origins (the CORS protocol of the Fetch standard), and the
//! responses to `OPTIONS`.
//!
//! Pages may send any request, but no cookies: callers are identified by the headers that their page
//! sets.

use std::collections::HashMap;

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa::openapi::OpenApi;

use super::description;
use crate::config::CorsOrigins;

/// Request headers that pages may set.
static REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "accept, accept-language, authorization, content-language, content-type, idempotency-key, \
     if-match, if-none-match, traceparent, tracestate, x-admin-key, x-correlation-id, x-customer-id, \
     x-request-id",
);

/// Response headers that pages may read, besides those that they always may.
static RESPONSE_HEADERS: HeaderValue = HeaderValue::from_static(
    "accept-encoding, allow, date, etag, link, location, retry-after, traceresponse, vary, \
     www-authenticate, x-correlation-id, x-request-id",
);

static ALL_METHODS: HeaderValue =
    HeaderValue::from_static("GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS");

/// Time in seconds for which browsers may keep the response to a preflight; two hours, the maximum
/// in Chromium.
static MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// What of a request decides the headers of its response.
#[derive(Debug)]
pub struct Cors<'a> {
    origins: &'a CorsOrigins,
    /// The origin of the page; `None`: not sent, or not allowed.
    origin: Option<HeaderValue>,
    is_preflight: bool,
}

impl<'a> Cors<'a> {
    pub fn new(origins: &'a CorsOrigins, method: &Method, headers: &HeaderMap) -> Self {
        let origin = headers.get(header::ORIGIN).filter(|origin| origins.allow(origin.as_bytes()));
        let is_preflight = origin.is_some()
            && *method == Method::OPTIONS
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        Self { origins, origin: origin.cloned(), is_preflight }
    }

    /// Returns whether a browser asks if a page may send a request.
    pub fn is_preflight(&self) -> bool {
        self.is_preflight
    }

    /// Adds the headers with which a browser lets the page read the response, or after a preflight
    /// send the request.
    pub fn add_headers(self, response: &mut Response) {
        let headers = response.headers_mut();
        match self.origins {
            CorsOrigins::None => return,
            CorsOrigins::All => {}
            CorsOrigins::Loopback | CorsOrigins::List(_) => {
                let is_compressible = headers.contains_key(header::VARY);
                let vary = if is_compressible { "accept-encoding, origin" } else { "origin" };
                headers.insert(header::VARY, HeaderValue::from_static(vary));
            }
        }
        let Some(origin) = self.origin else { return };
        let origin = match self.origins {
            CorsOrigins::All => HeaderValue::from_static("*"),
            _ => origin,
        };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if !self.is_preflight {
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS.clone());
            return;
        }
        if let Some(methods) = headers.get(header::ALLOW).cloned() {
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS.clone());
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE.clone());
        }
    }
}

/// The methods of each route, as in `Allow`.
pub struct RouteMethods(HashMap<String, HeaderValue>);

impl RouteMethods {
    pub fn new(api: &OpenApi) -> Self {
        let methods = |item| {
            let mut methods = String::new();
            for (method, _) in description::operations(item) {
                methods += method;
                methods += if method == "GET" { ",HEAD," } else { "," };
            }
            HeaderValue::try_from(methods + "OPTIONS").ok()
        };
        let routes = api.paths.paths.iter();
        Self(routes.filter_map(|(path, item)| Some((path.clone(), methods(item)?))).collect())
    }

    /// Makes the 405 of axum for `OPTIONS`, which no handler has, a success, and adds the methods of
    /// the route. axum itself would add them without `OPTIONS`, and only after the middleware.
    ///
    /// `needs_no_route` is whether the request succeeds without a route, too: `OPTIONS *`, and a preflight,
    /// because otherwise the page could not read the 404 of its request.
    pub fn respond(
        &self,
        is_options: bool,
        needs_no_route: bool,
        route: Option<&str>,
        response: Response,
    ) -> Response {
        let methods = match (response.status(), route) {
            (StatusCode::METHOD_NOT_ALLOWED, Some(route)) => {
                // Routes that are not described are pages.
                self.0.get(route).cloned().unwrap_or(HeaderValue::from_static("GET,HEAD,OPTIONS"))
            }
            (StatusCode::NOT_FOUND, None) if needs_no_route => ALL_METHODS.clone(),
            _ => return response,
        };
        let mut response =
            if is_options { StatusCode::NO_CONTENT.into_response() } else { response };
        response.headers_mut().insert(header::ALLOW, methods);
        response
    }
}
