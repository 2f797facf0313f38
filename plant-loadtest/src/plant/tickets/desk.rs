//! What users that post tickets do: the endpoints and the tasks of their classes.

use std::{collections::VecDeque, sync::Arc};

use goose::{
    GooseError,
    goose::{GooseUser, Scenario, Transaction, TransactionError, TransactionResult},
    transaction,
};
use serde::Deserialize;

use super::{options::TicketOptions, signature, tenant, ticket};
use crate::{
    access::Account,
    client::{Client, Endpoint, Request, Response, Shape},
    plant::HEALTH,
    scenario::{Check, Session, UserClass},
    work::{AcceptedWork, Pages, WorkKind, WorkList},
};

/// Number of tickets that a user remembers, to look one up.
const REMEMBERED_TICKETS: usize = 50;

static POST_TICKET: Endpoint = Endpoint {
    name: "POST /webhooks/servicedesk/{tenant_id}",
    expected_statuses: &[202],
    shape: Shape::Object(&["status", "job_id", "message"]),
    tags: &["write"],
};

static HISTORY: Endpoint = Endpoint {
    name: "GET /enhancements/history",
    expected_statuses: &[200],
    shape: Shape::Array(&["ticket_id", "status", "accepted_at", "completed_at"]),
    tags: &["read"],
};

static FIND_TICKET: Endpoint = Endpoint {
    name: "GET /enhancements/{ticket_id}",
    expected_statuses: &[200],
    shape: Shape::Object(&["ticket_id", "status"]),
    tags: &["read"],
};

static METRICS: Endpoint = Endpoint {
    name: "GET /metrics",
    expected_statuses: &[200],
    shape: Shape::Contains("queue_depth"),
    tags: &["monitoring"],
};

static ENHANCEMENT: WorkKind = WorkKind {
    name: "enhancement",
    pages: Pages::Offset,
    id_field: "ticket_id",
    accepted_field: "accepted_at",
    ended_field: "completed_at",
};

static WORK_KINDS: [&WorkKind; 1] = [&ENHANCEMENT];

static CHECKS: [&Check; 1] = [&tenant::READY];

/// A task of a user that posts tickets.
#[derive(Clone, Copy)]
pub(super) enum Task {
    PostTicket,
    ReadHistory,
    FindTicket,
    ReadMetrics,
    CheckHealth,
}

/// What a virtual user knows of its service desk.
#[derive(Clone, Debug)]
struct Desk {
    secret: Arc<str>,
    tenant: Arc<str>,
    webhook_path: String,
    /// Path of the history without paging parameters.
    history_path: String,
    /// Parameter with the tenant.
    tenant_parameter: String,
    /// The list in which posted tickets are found.
    work_list: WorkList,
    /// Ids of tickets that the service has accepted, the newest last.
    accepted: VecDeque<String>,
}

#[derive(Deserialize)]
struct Accepted {
    status: String,
    job_id: String,
}

/// Returns a user class with these `tasks` and their weights, of which the scenario is built by
/// [`scenario`].
pub(super) const fn class(
    name: &'static str,
    scenario: &'static (dyn Fn() -> Result<Scenario, GooseError> + Sync),
) -> UserClass {
    UserClass {
        checks: &CHECKS,
        start_user: Some(start),
        work_kinds: &WORK_KINDS,
        ..UserClass::new(name, &[], scenario)
    }
}

/// Builds the scenario of `class` with these tasks and their weights.
pub(super) fn scenario(class: &UserClass, tasks: &[(Task, usize)]) -> Result<Scenario, GooseError> {
    let scenario = Scenario::new(class.name).set_wait_time(class.wait.0, class.wait.1)?;
    tasks.iter().try_fold(scenario, |scenario, (task, weight)| {
        let transaction = task.transaction().set_name(task.endpoint().name);
        Ok(scenario.register_transaction(transaction.set_weight(*weight)?))
    })
}

impl Task {
    /// Returns the endpoint that the task requests.
    pub(super) const fn endpoint(self) -> &'static Endpoint {
        match self {
            Self::PostTicket => &POST_TICKET,
            Self::ReadHistory => &HISTORY,
            Self::FindTicket => &FIND_TICKET,
            Self::ReadMetrics => &METRICS,
            Self::CheckHealth => &HEALTH,
        }
    }

    fn transaction(self) -> Transaction {
        match self {
            Self::PostTicket => transaction!(post_ticket),
            Self::ReadHistory => transaction!(read_history),
            Self::FindTicket => transaction!(find_ticket),
            Self::ReadMetrics => transaction!(read_metrics),
            Self::CheckHealth => transaction!(check_health),
        }
    }
}

fn start(session: &mut Session, _: &[Arc<Account>]) {
    let TicketOptions { secret, tenant, admin_key } = TicketOptions::new(&session.options);
    let history_path = tenant::history_path(tenant);
    let work_list = WorkList {
        path: format!("{history_path}&limit=500").into(),
        token: admin_key.map(Into::into),
        login: None,
    };
    let desk = Desk {
        secret: secret.into(),
        tenant: tenant.into(),
        webhook_path: tenant::webhook_path(tenant),
        history_path,
        tenant_parameter: format!("tenant_id={}", tenant::encode(tenant)),
        work_list,
        accepted: VecDeque::new(),
    };
    session.extensions.insert(desk);
}

/// Returns the client and the service desk of `user`.
fn desk(user: &mut GooseUser) -> Result<(Client, &mut Desk), Box<TransactionError>> {
    let session = Session::get(user)?;
    let client = session.client.clone();
    match session.extensions.get_mut() {
        Some(desk) => Ok((client, desk)),
        None => Err("the user class has set no service desk".into()),
    }
}

impl Desk {
    async fn post_ticket(&mut self, client: &Client) {
        let ticket = ticket::random(&self.tenant);
        let request = Request::post_text(&POST_TICKET, &*self.webhook_path, ticket.body.clone());
        let request = match signature::sign(&self.secret, ticket.body.as_bytes()) {
            Some(signature) => request.header(signature::SIGNATURE, signature),
            None => request,
        };
        let read = |response: &Response| Ok((job_id(response)?, response.times));
        let Ok((job_id, times)) = client.send_and_read(request, read).await else { return };
        let list = self.work_list.clone();
        let work = AcceptedWork::new(&ENHANCEMENT, ticket.id.clone(), list, times);
        client.record_accepted(work.with_job_id(job_id));
        if self.accepted.len() >= REMEMBERED_TICKETS {
            self.accepted.pop_front();
        }
        self.accepted.push_back(ticket.id);
    }

    /// Returns `request` with the admin key, if there is one.
    fn authorize(&self, request: Request) -> Request {
        match &self.work_list.token {
            Some(token) => request.bearer(token),
            None => request,
        }
    }
}

/// Returns the id of the job of an accepted ticket.
fn job_id(response: &Response) -> Result<String, String> {
    let accepted: Accepted = serde_json::from_slice(&response.body)
        .map_err(|_| "`status` and `job_id` are not both texts".to_owned())?;
    match accepted {
        Accepted { status, .. } if status != "accepted" => Err("`status` is not accepted".into()),
        Accepted { job_id, .. } if job_id.is_empty() => Err("`job_id` is empty".into()),
        Accepted { job_id, .. } => Ok(job_id),
    }
}

async fn post_ticket(user: &mut GooseUser) -> TransactionResult {
    let (client, desk) = desk(user)?;
    desk.post_ticket(&client).await;
    Ok(())
}

async fn read_history(user: &mut GooseUser) -> TransactionResult {
    let (client, desk) = desk(user)?;
    let request = Request::get(&HISTORY, format!("{}&limit=20", desk.history_path));
    client.send(desk.authorize(request)).await;
    Ok(())
}

/// Looks up a ticket that the user has posted, or posts one if there is none.
async fn find_ticket(user: &mut GooseUser) -> TransactionResult {
    let (client, desk) = desk(user)?;
    if desk.accepted.is_empty() {
        desk.post_ticket(&client).await;
        return Ok(());
    }
    let id = &desk.accepted[fastrand::usize(..desk.accepted.len())];
    let path = format!("/enhancements/{id}?{}", desk.tenant_parameter);
    client.send(desk.authorize(Request::get(&FIND_TICKET, path))).await;
    Ok(())
}

async fn read_metrics(user: &mut GooseUser) -> TransactionResult {
    let (client, _) = desk(user)?;
    client.send(Request::get(&METRICS, "/metrics")).await;
    Ok(())
}

async fn check_health(user: &mut GooseUser) -> TransactionResult {
    let (client, _) = desk(user)?;
    client.send(Request::get(&HEALTH, "/health")).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_202_without_the_accepted_job_is_a_failure() {
        let check = |body: &'static str| job_id(&Response::of_body(body));
        let accepted = r#"{"status":"accepted","job_id":"j1","message":"m"}"#;
        assert_eq!(check(accepted), Ok("j1".to_owned()));
        for body in [
            r#"{"status":"queued","job_id":"j1","message":"m"}"#,
            r#"{"status":"accepted","job_id":"","message":"m"}"#,
            r#"{"status":"accepted","job_id":7,"message":"m"}"#,
        ] {
            assert!(check(body).is_err(), "{body}");
        }
    }
}
