//! The rows of the matrix: the access that each operation requires, and a request that succeeds.

use std::sync::atomic::{AtomicU32, Ordering};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::tokens;
use crate::signature::SIGNATURE_HEADER;
use crate::testing::{ADMIN_KEY, HireIds, TestApp};
use crate::token::{Claims, Role};

/// The credential that an operation requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Required {
    /// No credential.
    Nothing,
    /// Any valid credential; none with access mode `open`.
    Authentication,
    /// A token of any account.
    Account,
    /// A token of the account that owns the row; an administrator's is not enough.
    OwnerAccount,
    /// A token of the customer that owns the row, or an administrator's credential.
    OwnerCustomer,
    /// An administrator's credential.
    Admin,
}

/// A request that succeeds the first time.
pub struct Row {
    pub required: Required,
    pub success_status: u16,
    pub path: String,
    pub body: Option<Value>,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// Text in the response to a read of the owner's data that nobody else's response contains.
    pub owned: Option<String>,
}

/// The data that the requests refer to.
pub struct Fixture {
    /// Sends the admin key.
    app: TestApp,
    pub owner: Claims,
    pub other: Claims,
    pub hire: HireIds,
    /// Hired agent of the other customer.
    pub other_hire: String,
    next_name: AtomicU32,
}

const PASSWORD: &str = "eleven green apples";

fn prompt() -> Value {
    json!({"prompt": "Describe a fig tree", "model": "gpt-4", "temperature": 0.5, "max_tokens": 50})
}

fn payment() -> Value {
    json!({"plan_id": "pro", "currency": "EUR"})
}

const TENANT_SECRET: &str = "signing-secret-of-lotus";

fn tenant(id: &str) -> Value {
    json!({
        "tenant_id": id, "name": "Lotus", "servicedesk_url": "https://lotus.servicedesk.local",
        "servicedesk_api_key": "key", "webhook_signing_secret": TENANT_SECRET,
        "customer_id": "lotus",
    })
}

fn ticket(id: &str) -> Value {
    json!({
        "event": "ticket_created", "ticket_id": id, "description": "The mail server is slow",
        "priority": "low", "created_at": "2026-01-02T03:04:05Z",
    })
}

impl Fixture {
    /// Creates the customers `lotus` and `orchid`, each with a hired agent.
    pub async fn new(app: &TestApp) -> Self {
        let app = app.with_token(ADMIN_KEY);
        let hire = app.create_hire("lotus").await;
        let asha = json!({"email": "asha@lotus.example", "password": PASSWORD});
        app.post("/api/v1/auth/register", asha).await.expect(201);
        let owner = app.insert_account("lotus", Role::User).await;
        let other = app.insert_account("orchid", Role::User).await;
        app.post("/admin/tenants", tenant("desk-of-lotus")).await.expect(201);
        let body = json!({"agent_id": hire.catalogue.agent, "duration": "monthly"});
        let other_hire = app.create("/api/v1/customers/orchid/agents", body).await;
        Self { app, owner, other, hire, other_hire, next_name: AtomicU32::new(0) }
    }

    /// Returns an unused name.
    fn name(&self) -> String {
        format!("Name {}", self.next_name.fetch_add(1, Ordering::Relaxed))
    }

    async fn skill(&self) -> String {
        let skill = json!({"name": self.name(), "category": "technical"});
        self.app.create("/api/v1/skills", skill).await
    }

    async fn certified_skill(&self) -> String {
        let id = self.skill().await;
        let path = format!("/api/v1/genesis/skills/{id}/certify");
        self.app.post(&path, json!({})).await.expect(200);
        id
    }

    async fn job_role(&self) -> String {
        let required = [self.certified_skill().await];
        let role = json!({
            "name": self.name(), "required_skills": required, "seniority_level": "senior",
        });
        self.app.create("/api/v1/genesis/job-roles", role).await
    }

    async fn goal(&self) -> String {
        let path = format!("/api/v1/agents/{}/goals", self.hire.id);
        self.app.create(&path, json!({"title": "Write", "schedule": "weekly"})).await
    }

    async fn deliverable(&self) -> String {
        sqlx::query_scalar(
            "insert into deliverable (
                id, hired_agent_id, title, payload, execution_status, created_at
            )
            values (gen_random_uuid(), $1::uuid, 'Article', '{}', 'not_executed', now())
            returning id::text",
        )
        .bind(&self.hire.id)
        .fetch_one(&self.app.owner)
        .await
        .unwrap()
    }

    async fn refresh_token(&self) -> Value {
        let asha = json!({"email": "asha@lotus.example", "password": PASSWORD});
        self.app.post("/api/v1/auth/login", asha).await.expect(200)["refresh_token"].take()
    }

    async fn task(&self) -> String {
        let app = self.app.with_token(&tokens::valid(&self.app, &self.owner));
        let task = app.post("/api/v1/generation/create", prompt()).await.expect(202);
        task["id"].as_str().unwrap().to_owned()
    }

    async fn payment(&self) -> String {
        let app = self.app.with_token(&tokens::valid(&self.app, &self.owner));
        app.create("/api/v1/payments/create", payment()).await
    }

    /// Returns the id of a new tenant.
    async fn tenant(&self) -> String {
        let id = self.name().to_lowercase().replace(' ', "-");
        self.app.post("/admin/tenants", tenant(&id)).await.expect(201);
        id
    }

    /// Creates a workflow that awaits approval; returns its id.
    async fn waiting_workflow(&self) -> String {
        let id = self.app.create("/api/v1/workflows", json!({"target": "self"})).await;
        sqlx::query(
            "update performance_workflow set status = 'awaiting_approval' where id = $1::uuid",
        )
        .bind(&id)
        .execute(&self.app.owner)
        .await
        .unwrap();
        id
    }

    /// Inserts a ticket and its dead-lettered job; returns the id of the ticket and of the job.
    async fn dead_ticket(&self) -> (String, String) {
        let ticket = self.name().to_uppercase().replace(' ', "-");
        let job = sqlx::query_scalar(
            "with ticket as (
                insert into enhancement_history (
                    id, tenant_id, delivery_id, event, ticket_id, description, priority, status,
                    error, ticket_created_at, accepted_at, completed_at
                )
                values (
                    gen_random_uuid(), 'desk-of-lotus', $1, 'ticket_created', $1, 'Slow', 'low',
                    'failed', 'refused', now(), now(), now()
                )
                returning id
            )
            insert into job (
                id, kind, owner, payload, state, priority, turn, run_at, created_at, finished_at
            )
            select id, 'enhancement', 'desk-of-lotus', '{}', 'dead', 2, 0, now(), now(), now()
            from ticket
            returning id::text",
        )
        .bind(&ticket)
        .fetch_one(&self.app.owner)
        .await
        .unwrap();
        (ticket, job)
    }

    /// Returns the row of an operation, with new data to refer to; `None` for an unknown operation.
    pub async fn row(&self, operation: &str) -> Option<Row> {
        use Required::{Account, Admin, Authentication, Nothing, OwnerAccount, OwnerCustomer};
        let (hire, catalogue) = (&self.hire.id, &self.hire.catalogue);
        let agent = |agent: &str| {
            json!({
                "name": agent, "skill_id": catalogue.skill, "job_role_id": catalogue.job_role,
                "industry_id": catalogue.industry,
            })
        };
        let (_, path) = operation.split_once(' ')?;
        let fill = |name: &str, value: &str| path.replace(name, value);
        let plain = path.to_owned();
        let (mut owned, mut headers) = (None, Vec::new());
        let (required, success_status, path, body) = match operation {
            "GET /health" | "GET /livez" | "GET /readyz" | "GET /metrics"
            | "GET /api/v1/health" => (Nothing, 200, plain, None),
            "GET /api/v1/health/detailed"
            | "GET /api/v1/config"
            | "GET /api/v1/capabilities"
            | "GET /api/v1/metrics/history" => (Admin, 200, plain, None),
            "POST /api/v1/metrics/collect"
            | "POST /api/v1/analysis"
            | "POST /api/v1/optimization" => (Admin, 200, plain, Some(json!({"target": "self"}))),

            "GET /api/v1/agents"
            | "GET /api/v1/skills"
            | "GET /api/v1/industries"
            | "GET /api/v1/job-roles"
            | "GET /api/v1/teams"
            | "GET /api/v1/genesis/skills"
            | "GET /api/v1/genesis/job-roles" => (Nothing, 200, plain, None),
            "GET /api/v1/agents/{id}" => (Nothing, 200, fill("{id}", &catalogue.agent), None),
            "GET /api/v1/industries/{id}" => {
                (Nothing, 200, fill("{id}", &catalogue.industry), None)
            }
            "GET /api/v1/teams/{id}" => (Nothing, 200, fill("{id}", &catalogue.team), None),
            "GET /api/v1/skills/{id}" | "GET /api/v1/genesis/skills/{id}" => {
                (Nothing, 200, fill("{id}", &catalogue.skill), None)
            }
            "GET /api/v1/job-roles/{id}" | "GET /api/v1/genesis/job-roles/{id}" => {
                (Nothing, 200, fill("{id}", &catalogue.job_role), None)
            }

            "POST /api/v1/agents" => (Admin, 201, plain, Some(agent(&self.name()))),
            "PATCH /api/v1/agents/{id}" => {
                (Admin, 200, fill("{id}", &catalogue.agent), Some(json!({"name": self.name()})))
            }
            "POST /api/v1/skills" | "POST /api/v1/genesis/skills" => {
                let skill = json!({"name": self.name(), "category": "technical"});
                (Admin, 201, plain, Some(skill))
            }
            "POST /api/v1/industries" | "POST /api/v1/teams" | "POST /api/v1/job-roles" => {
                (Admin, 201, plain, Some(json!({"name": self.name()})))
            }
            "POST /api/v1/genesis/job-roles" => {
                let role = json!({
                    "name": self.name(), "required_skills": [self.certified_skill().await],
                    "seniority_level": "senior",
                });
                (Admin, 201, plain, Some(role))
            }
            "POST /api/v1/genesis/skills/{id}/certify" => {
                (Admin, 200, fill("{id}", &self.skill().await), None)
            }
            "POST /api/v1/genesis/job-roles/{id}/certify" => {
                (Admin, 200, fill("{id}", &self.job_role().await), None)
            }
            "POST /api/v1/genesis/certify" => {
                let body = json!({"entity_type": "skill", "entity_id": self.skill().await});
                (Admin, 200, plain, Some(body))
            }

            "GET /api/v1/entities/{id}" | "GET /api/v1/entities/{id}/amendments" => {
                (Authentication, 200, fill("{id}", &catalogue.agent), None)
            }
            "GET /api/v1/audit/tampering/{entity_id}" => {
                (Authentication, 200, fill("{entity_id}", &catalogue.agent), None)
            }
            "POST /api/v1/audit/run" | "GET /api/v1/audit/export" => {
                (Authentication, 200, plain, None)
            }

            "POST /api/v1/customers" => (Admin, 201, plain, Some(json!({"name": self.name()}))),
            "GET /api/v1/customers/{customer_id}" => {
                owned = Some("A customer".to_owned());
                (OwnerCustomer, 200, fill("{customer_id}", "lotus"), None)
            }
            "GET /api/v1/customers/{customer_id}/agents" => {
                owned = Some(hire.clone());
                (OwnerCustomer, 200, fill("{customer_id}", "lotus"), None)
            }
            "POST /api/v1/customers/{customer_id}/agents" => {
                let body = json!({"agent_id": catalogue.agent, "duration": "monthly"});
                (OwnerCustomer, 201, fill("{customer_id}", "lotus"), Some(body))
            }
            "GET /api/v1/agents/{id}/configuration" => {
                owned = Some(catalogue.agent.clone());
                (OwnerCustomer, 200, fill("{id}", hire), None)
            }
            "GET /api/v1/agents/{id}/goals" => {
                owned = Some(self.goal().await);
                (OwnerCustomer, 200, fill("{id}", hire), None)
            }
            "GET /api/v1/agents/{id}/deliverables" => {
                owned = Some(self.deliverable().await);
                (OwnerCustomer, 200, fill("{id}", hire), None)
            }
            "PUT /api/v1/agents/{id}/configuration" => {
                (OwnerCustomer, 200, fill("{id}", hire), Some(json!({"nickname": self.name()})))
            }
            "POST /api/v1/agents/{id}/goals" => {
                let goal = json!({"title": self.name(), "schedule": "daily"});
                (OwnerCustomer, 201, fill("{id}", hire), Some(goal))
            }
            "GET /api/v1/agents/{id}/goals/{goal_id}" => {
                owned = Some("Write".to_owned());
                let path = fill("{id}", hire).replace("{goal_id}", &self.goal().await);
                (OwnerCustomer, 200, path, None)
            }
            "PATCH /api/v1/agents/{id}/goals/{goal_id}" => {
                let path = fill("{id}", hire).replace("{goal_id}", &self.goal().await);
                (OwnerCustomer, 200, path, Some(json!({"enabled": false})))
            }
            "DELETE /api/v1/agents/{id}/goals/{goal_id}" => {
                let path = fill("{id}", hire).replace("{goal_id}", &self.goal().await);
                (OwnerCustomer, 204, path, None)
            }
            "POST /api/v1/agents/{id}/deliverables/{deliverable_id}/approve"
            | "POST /api/v1/agents/{id}/deliverables/{deliverable_id}/reject" => {
                let deliverable = self.deliverable().await;
                let path = fill("{id}", hire).replace("{deliverable_id}", &deliverable);
                (OwnerCustomer, 200, path, None)
            }

            "POST /api/v1/auth/register" => {
                let email = format!("{}@lotus.example", self.name().replace(' ', "-"));
                (Nothing, 201, plain, Some(json!({"email": email, "password": PASSWORD})))
            }
            "POST /api/v1/auth/login" => {
                let asha = json!({"email": "asha@lotus.example", "password": PASSWORD});
                (Nothing, 200, plain, Some(asha))
            }
            "POST /api/v1/auth/refresh" => {
                let body = json!({"refresh_token": self.refresh_token().await});
                (Nothing, 200, plain, Some(body))
            }
            "GET /api/v1/auth/me" => {
                owned = Some(self.owner.account.to_string());
                (Account, 200, plain, None)
            }
            "POST /api/v1/auth/logout" => (Account, 204, plain, None),

            "POST /api/v1/generation/create" => (Account, 202, plain, Some(prompt())),
            "GET /api/v1/generation/list" => {
                owned = Some(self.task().await);
                (Account, 200, plain, None)
            }
            "GET /api/v1/generation/{id}" => {
                owned = Some("queued".to_owned());
                (OwnerAccount, 200, fill("{id}", &self.task().await), None)
            }

            "POST /api/v1/payments/create" => (Account, 201, plain, Some(payment())),
            "GET /api/v1/payments" => {
                owned = Some(self.payment().await);
                (Account, 200, plain, None)
            }
            "GET /api/v1/payments/{id}" => {
                owned = Some("pending".to_owned());
                (OwnerAccount, 200, fill("{id}", &self.payment().await), None)
            }
            "POST /api/v1/webhooks/payments/{provider}" => {
                let event = json!({
                    "id": self.app.state.clock.new_id(), "type": "waiting_for_capture",
                    "payment_id": self.payment().await, "amount": 29.99, "currency": "EUR",
                    "created_at": self.app.state.clock.now(),
                });
                let key = &self.app.state.access_policy.webhook_key;
                let signature = key.sign(event.to_string().as_bytes(), self.app.state.clock.now());
                headers.push((SIGNATURE_HEADER, signature));
                (Nothing, 200, fill("{provider}", "simulated"), Some(event))
            }

            "POST /webhooks/servicedesk/{tenant_id}" => {
                let ticket = ticket(&self.name().to_uppercase().replace(' ', "-"));
                let mac = Hmac::<Sha256>::new_from_slice(TENANT_SECRET.as_bytes()).unwrap();
                let mac = mac.chain_update(ticket.to_string()).finalize().into_bytes();
                headers.push(("x-servicedesk-signature", hex::encode(mac)));
                (Nothing, 202, fill("{tenant_id}", "desk-of-lotus"), Some(ticket))
            }
            "GET /enhancements/history" => {
                owned = Some(self.dead_ticket().await.0);
                (OwnerCustomer, 200, format!("{path}?tenant_id=desk-of-lotus"), None)
            }
            "GET /enhancements/{ticket_id}" => {
                let ticket = self.dead_ticket().await.0;
                let path = format!("{}?tenant_id=desk-of-lotus", fill("{ticket_id}", &ticket));
                owned = Some("ticket_created".to_owned());
                (OwnerCustomer, 200, path, None)
            }
            "GET /admin/tenants" | "GET /admin/queue" | "GET /admin/queue/dead" => {
                (Admin, 200, plain, None)
            }
            "POST /admin/queue/pause" | "POST /admin/queue/resume" => (Admin, 200, plain, None),
            "POST /admin/tenants" => {
                let id = self.name().to_lowercase().replace(' ', "-");
                (Admin, 201, plain, Some(tenant(&id)))
            }
            "GET /admin/tenants/{id}" => (Admin, 200, fill("{id}", "desk-of-lotus"), None),
            "PATCH /admin/tenants/{id}" => {
                let changes = json!({"name": self.name()});
                (Admin, 200, fill("{id}", "desk-of-lotus"), Some(changes))
            }
            "DELETE /admin/tenants/{id}" => (Admin, 204, fill("{id}", &self.tenant().await), None),
            "POST /admin/tenants/{id}/reset" => {
                (Admin, 200, fill("{id}", &self.tenant().await), None)
            }
            "POST /admin/queue/dead/{id}/requeue" => {
                (Admin, 200, fill("{id}", &self.dead_ticket().await.1), None)
            }
            "GET /api/v1/workflows" => (Admin, 200, plain, None),
            "POST /api/v1/workflows" => (Admin, 201, plain, Some(json!({"target": "self"}))),
            "GET /api/v1/workflows/{id}" => {
                (Admin, 200, fill("{id}", &self.waiting_workflow().await), None)
            }
            "POST /api/v1/workflows/{id}/approve"
            | "POST /api/v1/workflows/{id}/reject"
            | "POST /api/v1/workflows/{id}/cancel" => {
                (Admin, 200, fill("{id}", &self.waiting_workflow().await), None)
            }
            "GET /api/v1/admin/tunables" => (Admin, 200, plain, None),
            "GET /api/v1/admin/tunables/{name}" => {
                (Admin, 200, fill("{name}", "cache_ttl_seconds"), None)
            }
            "PUT /api/v1/admin/tunables/{name}" => {
                let value = json!({"value": 30});
                (Admin, 200, fill("{name}", "cache_ttl_seconds"), Some(value))
            }
            _ => return None,
        };
        Some(Row { required, success_status, path, body, headers, owned })
    }
}
