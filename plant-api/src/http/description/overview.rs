//! The description of the API as a whole: text, limits, server, tags.

use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{OpenApi, Server};

use crate::check::field_limits::{
    MAX_FREE_FORM_JSON_BYTES, MAX_JSON_DEPTH, MAX_JSON_FIELDS, MAX_JSON_VALUES,
    MAX_PATH_SEGMENT_BYTES,
};
use crate::error::MAX_VIOLATIONS;
use crate::limit::{
    MAX_HEADER_BYTES, MAX_HEADERS, MAX_RESERVED_BYTES, MAX_UNRESERVED_BODY_BYTES, MAX_URI_BYTES,
};
use crate::page::MAX_BYTES as MAX_PAGE_BYTES;

const TAGS: [(&str, &str); 13] = [
    ("catalogue", "Agents that can be hired, what describes them, and customers"),
    ("hire side", "Hired agents with their configuration, goals and deliverables"),
    ("genesis", "Certification of skills, job roles, teams, agents and industries"),
    ("audit", "Hash chains of the catalogue, and their verification"),
    ("auth", "Accounts, logins and sessions"),
    ("generation", "Text generation in the background"),
    ("payments", "Payments for plans, and the events of the payment provider"),
    ("enhancement", "Tickets of service desks, and what became of them"),
    ("tenants", "Service desks that may send tickets, for administrators"),
    ("queue", "The queue of tickets, for administrators"),
    ("performance agent", "Metrics, their analysis, and changes in stages, for administrators"),
    ("tunables", "What can be changed while the service runs, for administrators"),
    ("operations", "Health, readiness and metrics, for operators"),
];

const TRY_IT: &str = "## Try it\n\n\
    Every operation is filled in with an example that succeeds on the rows of `seed_test_data` with \
    default arguments: open one and choose **Execute**. Where no example can be valid, such as the id of \
    a payment not yet made, the operation says which other one returns the value. Writes change the \
    database of this service.\n\n\
    ## Authorize\n\n\
    With `PLANT_ACCESS=open` only the operations of one account (auth, generation, payments) need a \
    token; with `PLANT_ACCESS=required` all with a lock do.\n\n\
    1. Open `POST /api/v1/auth/login` and choose **Execute**. The example is the account \
    `loadtest_1@test.local` of the test data, with the password `load-test-password`.\n\
    2. Copy the `access_token` of the response, without the quotation marks.\n\
    3. Choose **Authorize** on this page, paste it under `bearer` and confirm. It is valid for 15 minutes.\n\n\
    Clients send it as `Authorization: Bearer <token>`. Administrators paste the value of \
    `PLANT_ADMIN_KEY` under `admin_key`, which is sent as `X-Admin-Key`.";

/// Adds the text, the server and the tags.
pub fn add(api: &mut OpenApi) {
    let description = api.info.description.take().unwrap_or_default();
    api.info.description = Some(format!("{description}\n\n{TRY_IT}\n\n{}", limits()));
    api.servers = Some(vec![Server::new("/")]);
    let tag =
        |(name, text): (&str, &str)| TagBuilder::new().name(name).description(Some(text)).build();
    api.tags = Some(TAGS.map(tag).to_vec());
}

/// Returns the limits that apply to every request, with their statuses.
fn limits() -> String {
    let (free_kib, page_mib) = (MAX_FREE_FORM_JSON_BYTES >> 10, MAX_PAGE_BYTES >> 20);
    format!(
        "## Limits\n\n\
         A request: URI {MAX_URI_BYTES} bytes (414), request line and headers {MAX_HEADER_BYTES} \
         bytes (431), {MAX_HEADERS} headers (431), body 1 MiB unless configured otherwise (413). All \
         bodies larger than {MAX_UNRESERVED_BODY_BYTES} bytes may use {MAX_RESERVED_BYTES} bytes \
         together (503). The number of connections is limited in all (503) and from each address \
         (429). Clients that send or read nothing for 10 s are disconnected.\n\n\
         A JSON body (422): {MAX_JSON_DEPTH} levels of arrays and objects, {MAX_JSON_VALUES} values, \
         {MAX_JSON_FIELDS} fields of objects, {free_kib} KiB for a free-form field such as \
         `settings`; no integers beyond ±2^53, which RFC 8785 cannot represent (send them as \
         strings), no NUL characters, no duplicate keys. This also applies to fields that are not \
         described, which most operations ignore. A part of a path has at most \
         {MAX_PATH_SEGMENT_BYTES} bytes. A 422 lists at most {MAX_VIOLATIONS} violations.\n\n\
         A page of a list has at most {page_mib} MiB, but at least one item; the `Link` header points \
         to the next page."
    )
}
