//! The secrets of a tenant: their rules, and how they are stored.

use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::check::Checks;
use crate::config::{AccessMode, Secret};
use crate::crypto::{self, Place, Sealer};
use crate::db::TenantId;
use crate::error::Result;

/// Columns of secrets, which are part of what seals them.
pub const API_KEY_COLUMN: &str = "servicedesk_api_key_encrypted";
pub const SIGNING_SECRET_COLUMN: &str = "webhook_signing_secret_encrypted";
pub const PREVIOUS_SECRET_COLUMN: &str = "previous_signing_secret_encrypted";

const MAX_URL_CHARS: usize = 2000;
const MAX_SECRET_BYTES: usize = 500;
/// Of a signing secret, decoded if it is base64.
const MIN_SIGNING_SECRET_BYTES: usize = 16;

/// Seals a secret for a column of a tenant.
pub fn seal(
    sealer: &Sealer,
    secret: &Secret<String>,
    tenant: &TenantId,
    column: &str,
) -> Result<String> {
    sealer.seal(secret, Place { row: tenant, column })
}

/// Returns a stored secret of a tenant: opened, or with access mode `open` the literal that it is;
/// `None` if literals are not accepted.
///
/// # Errors
/// [`Error::Internal`](crate::error::Error::Internal) when it cannot be opened.
pub fn open(
    stored: &str,
    sealer: &Sealer,
    access_mode: AccessMode,
    tenant: &TenantId,
    column: &str,
) -> Result<Option<Secret<String>>> {
    match access_mode {
        _ if crypto::is_sealed(stored) => {
            sealer.open(stored, Place { row: tenant, column }).map(Some)
        }
        AccessMode::Open => Ok(Some(Secret(stored.to_owned()))),
        AccessMode::Required => Ok(None),
    }
}

pub fn check_api_key(checks: &mut Checks, key: &Secret<String>) {
    check_characters(checks, "servicedesk_api_key", key, 1);
}

pub fn check_signing_secret(checks: &mut Checks, secret: &Secret<String>) {
    let field = "webhook_signing_secret";
    check_characters(checks, field, secret, MIN_SIGNING_SECRET_BYTES);
    if let Some(encoded) = secret.0.strip_prefix("whsec_") {
        let decoded = BASE64.decode(encoded).unwrap_or_default();
        let message = "must be base64 of at least 16 bytes after whsec_, which are not all zero";
        let is_secret =
            decoded.len() >= MIN_SIGNING_SECRET_BYTES && decoded.iter().any(|byte| *byte != 0);
        checks.require(is_secret, field, "base64", message);
    }
}

fn check_characters(checks: &mut Checks, field: &str, secret: &Secret<String>, min: usize) {
    let text = &secret.0;
    let message = format!("must be {min} to {MAX_SECRET_BYTES} visible ASCII characters");
    let is_visible = text.bytes().all(|b| b.is_ascii_graphic());
    let fits = (min..=MAX_SECRET_BYTES).contains(&text.len());
    checks.require(is_visible && fits, field, "pattern", &message);
    // Such a text would be stored as it is.
    let message = "must not look like a sealed secret";
    checks.require(!crypto::is_sealed(text), field, "sealed", message);
}

/// Checks the form of the URL. Whether its host may be contacted is checked when a note is posted.
pub fn check_url(checks: &mut Checks, url: &str) {
    let field = "servicedesk_url";
    checks.max_chars(field, url, MAX_URL_CHARS);
    let is_valid = url.parse::<Uri>().is_ok_and(|uri| {
        let has_host = uri.host().is_some_and(|host| !host.is_empty());
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        let no_credentials = uri.authority().is_some_and(|a| !a.as_str().contains('@'));
        let has_valid_port = uri.authority().is_some_and(|authority| {
            authority.as_str() == authority.host() || authority.port_u16().is_some_and(|p| p > 0)
        });
        is_http
            && has_host
            && has_valid_port
            && no_credentials
            && uri.path() == "/"
            && uri.query().is_none()
    });
    let message = "must be an http or https URL with a host, perhaps a port, and without credentials, path and query";
    checks.require(is_valid && !url.contains('#'), field, "url", message);
}
