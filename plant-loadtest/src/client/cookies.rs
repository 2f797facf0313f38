//! The cookies of one user of a class.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use reqwest::{
    Url,
    cookie::{CookieStore as _, Jar},
    header::{HeaderMap, HeaderValue, SET_COOKIE},
};

/// The cookies that a user received. They are not those of the HTTP client, because in the open model
/// one client sends the requests of users of several classes.
#[derive(Clone, Debug, Default)]
pub(super) struct Cookies(Arc<Store>);

#[derive(Debug, Default)]
struct Store {
    jar: Jar,
    /// Whether a cookie was received. Most services set none.
    is_used: AtomicBool,
}

impl Cookies {
    /// Returns the header `Cookie` of a request for `url`; `None` without cookies for it.
    pub(super) fn header(&self, url: &Url) -> Option<HeaderValue> {
        self.0.is_used.load(Relaxed).then(|| self.0.jar.cookies(url)).flatten()
    }

    /// Keeps the cookies that the response from `url` with these `headers` sets.
    pub(super) fn keep(&self, headers: &HeaderMap, url: &Url) {
        if headers.contains_key(SET_COOKIE) {
            self.0.jar.set_cookies(&mut headers.get_all(SET_COOKIE).iter(), url);
            self.0.is_used.store(true, Relaxed);
        }
    }
}
