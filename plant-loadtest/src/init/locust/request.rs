//! Requests that functions send.

use super::{
    status::Statuses,
    symbol::{Piece, Symbol, Unknown},
};
use crate::init::draft::Shape;

/// A request that a function sends.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// File and line.
    pub place: String,
    /// Method in capital letters.
    pub method: String,
    /// Path and query.
    pub url: Vec<Piece>,
    /// Name for the statistics.
    pub name: Option<Symbol>,
    /// Query parameters.
    pub query: Vec<(String, Symbol)>,
    /// Headers without `Content-Type`.
    pub headers: Vec<(String, Symbol)>,
    /// Content type, if a header names it.
    pub content_type: Option<String>,
    /// The body.
    pub body: RequestBody,
    /// Statuses that count as a success, if the file decides on them.
    pub accepted: Option<Statuses>,
    /// Whether the file decides what counts as a success.
    pub is_judged: bool,
    /// Shape that is checked.
    pub shape: Option<Shape>,
    /// Values that are checked, by JSON pointer.
    pub json: Vec<(String, Symbol)>,
    /// Text that is checked.
    pub contains: Option<Symbol>,
    /// Shortest and longest pause after the request, in seconds.
    pub wait: Option<(f64, f64)>,
    /// Whether the pause of the class follows, although the task goes on.
    pub waits_like_the_class: bool,
    /// What of the request cannot be read.
    pub problems: Vec<Unknown>,
}

/// The body of a request.
#[derive(Clone, Debug, Default)]
pub enum RequestBody {
    /// No body.
    #[default]
    None,
    /// JSON.
    Json(Symbol),
    /// Fields of a form.
    Form(Vec<(String, Symbol)>),
    /// Text.
    Text(Symbol),
    /// Fields and files.
    Multipart {
        /// Text fields.
        fields: Vec<(String, Symbol)>,
        /// Field, path and content type of each file.
        files: Vec<(String, String, String)>,
    },
}

impl Request {
    /// Adds a pause after the request.
    pub fn add_wait(&mut self, from: f64, to: f64) {
        let (earlier_from, earlier_to) = self.wait.unwrap_or((0.0, 0.0));
        self.wait = Some((earlier_from + from.max(0.0), earlier_to + to.max(0.0)));
    }
}
