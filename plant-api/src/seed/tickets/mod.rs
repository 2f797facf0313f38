//! The tenant of the ticket load tests, with resolved tickets, articles and systems.
//!
//! The tenant's row is that of the documented `insert`, with its public secrets as literals: they are
//! accepted with open access only, and sealed when they are first used.

mod sql;

use std::net::{IpAddr, Ipv4Addr};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::catalogue::Catalogue;
use super::files::{Article, Tickets};
use super::random::RowKind;
use super::summary::Seeded;

/// Number of resolved tickets.
pub const RESOLVED_TICKETS: usize = 200;

/// A `resolved_ticket` row to insert.
struct ResolvedTicket {
    ticket_id: String,
    description: String,
    resolution: String,
    resolved_at: DateTime<Utc>,
}

/// An `inventory_system` row to insert.
struct System {
    address: IpAddr,
    hostname: String,
    role: String,
}

/// Inserts the tenant and what is known about its tickets.
pub async fn seed_tickets(
    db: &mut PgConnection,
    catalogue: &Catalogue<'_>,
    seeded: &mut Seeded,
) -> sqlx::Result<()> {
    let tickets = &catalogue.files.tickets;
    let tenant = &tickets.tenant;
    let systems = systems(tickets);
    let articles: Vec<&Article> = tickets.problems.iter().flat_map(|p| &p.articles).collect();
    let resolved: Vec<_> =
        (0..RESOLVED_TICKETS).map(|index| resolved_ticket(catalogue, &systems, index)).collect();
    let created_at = RowKind::Tenant.created_at(0);
    seeded.tenants += sql::insert_tenant(&mut *db, tenant, created_at).await?;
    seeded.resolved_tickets +=
        sql::insert_resolved_tickets(&mut *db, &tenant.tenant_id, &resolved).await?;
    seeded.articles += sql::insert_articles(&mut *db, &tenant.tenant_id, &articles).await?;
    seeded.systems += sql::insert_systems(&mut *db, &tenant.tenant_id, &systems).await?;
    Ok(())
}

/// Returns one system of each role for each site.
fn systems(tickets: &Tickets) -> Vec<System> {
    let of_site = |site: &super::files::Site| {
        let (name, network) = (site.name.clone(), site.network);
        tickets.roles.iter().zip(10..).map(move |(role, host)| System {
            address: Ipv4Addr::new(10, 0, network, host).into(),
            hostname: format!("{}-{name}", role.prefix),
            role: format!("{} in {name}", role.name),
        })
    };
    tickets.sites.iter().flat_map(of_site).collect()
}

fn resolved_ticket(catalogue: &Catalogue<'_>, systems: &[System], index: usize) -> ResolvedTicket {
    let problems = &catalogue.files.tickets.problems;
    let problem = &problems[index % problems.len()];
    let random = catalogue.random(RowKind::ResolvedTicket, index);
    let system = &systems[random.pick(0, systems.len())];
    ResolvedTicket {
        ticket_id: format!("RESOLVED-{:04}", index + 1),
        description: problem
            .description
            .replace("{hostname}", &system.hostname)
            .replace("{address}", &system.address.to_string()),
        resolution: problem.resolution.clone(),
        resolved_at: RowKind::ResolvedTicket.created_at(index),
    }
}

/// Returns the part of an article's URL that names it.
fn slug(title: &str) -> String {
    let words = title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}
