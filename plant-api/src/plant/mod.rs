//! The marketplace: a catalogue of AI agents, and the customers who hire them.
//!
//! Skills are created and certified, job roles require skills, and agents combine a skill, a job
//! role and an industry, optionally in a team. Customers hire agents; a hired agent has a
//! configuration, goals and deliverables. Each catalogue entity carries a tamper-evident hash
//! chain ([`chain`]). Genesis certifies entities; the audit detects tampering.
//!
//! The modules are in layers: a module imports only from lower ones. `docs/architecture.md` lists
//! them.

pub mod chain;
pub mod id;
pub mod json_text;

pub mod entity;

pub mod industries;
pub mod skills;

pub mod job_roles;

pub mod teams;

pub mod agents;

pub mod hires;

pub mod goals;

pub mod deliverables;

pub mod genesis;

pub mod audit;

#[cfg(test)]
mod tests;

use utoipa_axum::router::OpenApiRouter;

use crate::state::AppState;

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .merge(industries::routes::router())
        .merge(skills::routes::router())
        .merge(job_roles::routes::router())
        .merge(teams::routes::router())
        .merge(agents::routes::router())
        .merge(hires::routes::router())
        .merge(goals::routes::router())
        .merge(deliverables::routes::router())
        .merge(genesis::router())
        .merge(audit::routes::router())
}
