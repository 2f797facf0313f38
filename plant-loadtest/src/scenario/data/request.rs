//! Requests of a step, compiled once.

use reqwest::{
    Method,
    header::{HeaderName, HeaderValue},
};

use super::{
    body::Body,
    template::{Missing, Template},
    values::{Slot, Values},
};
use crate::client::{Endpoint, Request};

/// A request of a step.
#[derive(Clone, Debug)]
pub(super) struct RequestTemplate {
    /// Method.
    pub(super) method: Method,
    /// Path and query.
    pub(super) target: Target,
    /// Headers without `Content-Type`, unless it replaces that of the body.
    pub(super) headers: Vec<Header>,
    /// Body.
    pub(super) body: Option<Body>,
}

/// Path and query of a request.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// Without placeholders.
    Fixed(String),
    /// With placeholders.
    Template(Template),
}

/// A header of a request.
#[derive(Clone, Debug)]
pub(super) struct Header {
    /// Name.
    pub(super) name: HeaderName,
    /// Value.
    pub(super) value: HeaderText,
    /// Whether it is left out while its variables have no values.
    pub(super) optional: bool,
}

/// Value of a header.
#[derive(Clone, Debug)]
pub(super) enum HeaderText {
    /// Without placeholders.
    Fixed(HeaderValue),
    /// With placeholders.
    Template(Template),
}

/// Why a request cannot be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BuildError {
    /// A variable has no value.
    Missing(Slot),
    /// The value of this header has characters that a header cannot have.
    Header(HeaderName),
}

impl From<Missing> for BuildError {
    fn from(Missing(slot): Missing) -> Self {
        Self::Missing(slot)
    }
}

impl RequestTemplate {
    /// Returns the request with the current values.
    pub(super) fn build(
        &self,
        endpoint: &'static Endpoint,
        values: &Values,
    ) -> Result<Request, BuildError> {
        let target = match &self.target {
            Target::Fixed(target) => target.clone(),
            Target::Template(template) => template.render_encoded(values)?,
        };
        let mut request = Request::new(endpoint, self.method.clone(), target);
        if let Some(body) = &self.body {
            request = request.body(body.content_type.clone(), body.render(values)?);
        }
        for header in &self.headers {
            let value = match &header.value {
                HeaderText::Fixed(value) => value.clone(),
                HeaderText::Template(template) => match template.render(values) {
                    Err(_) if header.optional => continue,
                    text => HeaderValue::try_from(text?)
                        .map_err(|_| BuildError::Header(header.name.clone()))?,
                },
            };
            request = request.header(header.name.clone(), value);
        }
        Ok(request)
    }

    /// Returns the variables without which the request cannot be sent.
    pub(super) fn slots(&self) -> Vec<Slot> {
        let mut slots = Vec::new();
        if let Target::Template(template) = &self.target {
            slots.extend(template.slots());
        }
        for header in self.headers.iter().filter(|header| !header.optional) {
            if let HeaderText::Template(template) = &header.value {
                slots.extend(template.slots());
            }
        }
        slots.extend(self.body.iter().flat_map(Body::slots));
        slots
    }
}
