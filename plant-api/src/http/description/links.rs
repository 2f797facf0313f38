//! Links from the responses that list, create or return a resource to the operations that take its id.

use utoipa::openapi::link::Link;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{OpenApi, RefOr, Response};

use super::{operation_id, operations_mut};

/// Operations with a resource in their responses; the operations that they are linked to; and the
/// parameters of those. A parameter is a field of the resource, or a runtime expression.
struct Links {
    from: &'static [&'static str],
    to: &'static [&'static str],
    parameters: &'static [(&'static str, &'static str)],
}

const fn links(
    from: &'static [&'static str],
    to: &'static [&'static str],
    parameters: &'static [(&'static str, &'static str)],
) -> Links {
    Links { from, to, parameters }
}

const ID: &[(&str, &str)] = &[("id", "id")];

const ENTITIES: &[&str] = &[
    "GET /api/v1/agents",
    "POST /api/v1/agents",
    "GET /api/v1/skills",
    "POST /api/v1/skills",
    "GET /api/v1/industries",
    "POST /api/v1/industries",
    "GET /api/v1/job-roles",
    "POST /api/v1/job-roles",
    "GET /api/v1/teams",
    "POST /api/v1/teams",
];

const SKILLS: &[&str] = &[
    "GET /api/v1/skills",
    "POST /api/v1/skills",
    "GET /api/v1/genesis/skills",
    "POST /api/v1/genesis/skills",
];

const JOB_ROLES: &[&str] = &[
    "GET /api/v1/job-roles",
    "POST /api/v1/job-roles",
    "GET /api/v1/genesis/job-roles",
    "POST /api/v1/genesis/job-roles",
];

const HIRES: &[&str] =
    &["GET /api/v1/customers/{customer_id}/agents", "POST /api/v1/customers/{customer_id}/agents"];

const LINKS: &[Links] = &[
    links(
        &["GET /api/v1/agents", "POST /api/v1/agents"],
        &["GET /api/v1/agents/{id}", "PATCH /api/v1/agents/{id}"],
        ID,
    ),
    links(
        SKILLS,
        &[
            "GET /api/v1/skills/{id}",
            "GET /api/v1/genesis/skills/{id}",
            "POST /api/v1/genesis/skills/{id}/certify",
        ],
        ID,
    ),
    links(
        JOB_ROLES,
        &[
            "GET /api/v1/job-roles/{id}",
            "GET /api/v1/genesis/job-roles/{id}",
            "POST /api/v1/genesis/job-roles/{id}/certify",
        ],
        ID,
    ),
    links(
        &["GET /api/v1/industries", "POST /api/v1/industries"],
        &["GET /api/v1/industries/{id}"],
        ID,
    ),
    links(&["GET /api/v1/teams", "POST /api/v1/teams"], &["GET /api/v1/teams/{id}"], ID),
    links(ENTITIES, &["GET /api/v1/entities/{id}", "GET /api/v1/entities/{id}/amendments"], ID),
    links(ENTITIES, &["GET /api/v1/audit/tampering/{entity_id}"], &[("entity_id", "id")]),
    links(
        &["POST /api/v1/customers"],
        &[
            "GET /api/v1/customers/{customer_id}",
            "GET /api/v1/customers/{customer_id}/agents",
            "POST /api/v1/customers/{customer_id}/agents",
        ],
        &[("customer_id", "id")],
    ),
    links(
        HIRES,
        &[
            "GET /api/v1/agents/{id}/configuration",
            "PUT /api/v1/agents/{id}/configuration",
            "GET /api/v1/agents/{id}/goals",
            "POST /api/v1/agents/{id}/goals",
            "GET /api/v1/agents/{id}/deliverables",
        ],
        ID,
    ),
    links(
        &["GET /api/v1/agents/{id}/goals", "POST /api/v1/agents/{id}/goals"],
        &[
            "GET /api/v1/agents/{id}/goals/{goal_id}",
            "PATCH /api/v1/agents/{id}/goals/{goal_id}",
            "DELETE /api/v1/agents/{id}/goals/{goal_id}",
        ],
        &[("id", "$request.path.id"), ("goal_id", "id")],
    ),
    links(
        &["GET /api/v1/agents/{id}/deliverables"],
        &[
            "POST /api/v1/agents/{id}/deliverables/{deliverable_id}/approve",
            "POST /api/v1/agents/{id}/deliverables/{deliverable_id}/reject",
        ],
        &[("id", "$request.path.id"), ("deliverable_id", "id")],
    ),
    links(
        &["POST /api/v1/generation/create", "GET /api/v1/generation/list"],
        &["GET /api/v1/generation/{id}"],
        ID,
    ),
    links(
        &["POST /api/v1/payments/create", "GET /api/v1/payments"],
        &["GET /api/v1/payments/{id}"],
        ID,
    ),
    links(
        &["POST /webhooks/servicedesk/{tenant_id}"],
        &["GET /enhancements/{ticket_id}"],
        &[("ticket_id", "$request.body#/ticket_id"), ("tenant_id", "$request.path.tenant_id")],
    ),
    links(
        &["GET /enhancements/history"],
        &["GET /enhancements/{ticket_id}"],
        &[("ticket_id", "ticket_id"), ("tenant_id", "tenant_id")],
    ),
    links(
        &["GET /admin/tenants", "POST /admin/tenants"],
        &["GET /admin/tenants/{id}", "PATCH /admin/tenants/{id}", "POST /admin/tenants/{id}/reset"],
        &[("id", "tenant_id")],
    ),
    // Not from the list, whose first tenant is that of the test data.
    links(&["POST /admin/tenants"], &["DELETE /admin/tenants/{id}"], &[("id", "tenant_id")]),
    links(
        &["POST /admin/tenants"],
        &["POST /webhooks/servicedesk/{tenant_id}"],
        &[("tenant_id", "tenant_id")],
    ),
    links(
        &["GET /admin/queue/dead"],
        &["POST /admin/queue/dead/{id}/requeue"],
        &[("id", "job_id")],
    ),
    links(
        &["GET /api/v1/workflows", "POST /api/v1/workflows"],
        &[
            "GET /api/v1/workflows/{id}",
            "POST /api/v1/workflows/{id}/approve",
            "POST /api/v1/workflows/{id}/reject",
            "POST /api/v1/workflows/{id}/cancel",
        ],
        ID,
    ),
    links(
        &["GET /api/v1/admin/tunables"],
        &["GET /api/v1/admin/tunables/{name}", "PUT /api/v1/admin/tunables/{name}"],
        &[("name", "name")],
    ),
];

/// Adds the links to the responses of success.
pub fn add(api: &mut OpenApi) {
    for (path, item) in &mut api.paths.paths {
        for (method, operation) in operations_mut(item) {
            let from = format!("{method} {path}");
            for links in LINKS.iter().filter(|links| links.from.contains(&from.as_str())) {
                for to in links.to {
                    let mut link = link_to(to);
                    let parameter = |(name, field): &(&str, &str)| {
                        ((*name).into(), expression(&from, field).into())
                    };
                    link.parameters = links.parameters.iter().map(parameter).collect();
                    add_to_successes(operation, &link);
                }
            }
        }
    }
}

/// Returns the runtime expression for a field of the resource, in a list that of the first one. What is an
/// expression already stays as it is.
fn expression(from: &str, field: &str) -> String {
    match from {
        _ if field.starts_with('$') => field.to_owned(),
        "GET /api/v1/generation/list" => format!("$response.body#/items/0/{field}"),
        list if list.starts_with("GET ") => format!("$response.body#/0/{field}"),
        _ => format!("$response.body#/{field}"),
    }
}

/// Returns a link to an operation that is given as method and path.
fn link_to(operation: &str) -> Link {
    let (method, path) = operation.split_once(' ').unwrap_or_default();
    let mut link = Link::default();
    link.operation_id = operation_id(method, path);
    link
}

fn add_to_successes(operation: &mut Operation, link: &Link) {
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(Response { links, .. }) = response
            && status.starts_with('2')
        {
            links.insert(link.operation_id.clone(), RefOr::T(link.clone()));
        }
    }
}
