//! Limits on the fields of requests and on JSON bodies. Those on connections, headers, URIs and the
//! memory for bodies are in `limit`, configurable ones in `config`.
//!
//! The OpenAPI description repeats them as literals; a test compares both.

/// Maximum length of a name, in characters.
pub const MAX_NAME_CHARS: usize = 200;
/// Maximum length of a description or note, in characters.
pub const MAX_TEXT_CHARS: usize = 10_000;
/// Maximum length of a search text, in characters.
pub const MAX_SEARCH_CHARS: usize = 200;
/// Maximum length of a path segment such as an id, in bytes.
pub const MAX_PATH_SEGMENT_BYTES: usize = 200;
/// Maximum size of a free-form JSON field such as `settings`, in bytes as JSON without white space.
pub const MAX_FREE_FORM_JSON_BYTES: usize = 64 * 1024;
/// Maximum number of levels of nested arrays and objects in a body.
pub const MAX_JSON_DEPTH: usize = 64;
/// Maximum number of JSON values in a body. An object with one field takes 8 bytes of a body and
/// 600 bytes of memory, so the size of the body alone does not limit the memory.
pub const MAX_JSON_VALUES: usize = 40_000;
/// Maximum number of members of all objects in a body. A member takes twenty times as long to parse
/// as a number. Free-form JSON of [`MAX_FREE_FORM_JSON_BYTES`] has at most 13,107 members, and no body
/// has more than one such value, so this limit refuses no valid body.
pub const MAX_JSON_FIELDS: usize = 14_000;
