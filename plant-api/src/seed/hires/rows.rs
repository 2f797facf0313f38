//! What customers have: each row a function of its index.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::plant::agents::HireDuration;
use crate::plant::deliverables::{ExecutionStatus, ReviewStatus};
use crate::plant::goals::{Goal, GoalId};
use crate::plant::hires::{HireId, Theme};
use crate::seed::catalogue::Catalogue;
use crate::seed::draw::Series;
use crate::seed::names::{self, Names};

/// Agents that each customer has hired.
const HIRES: usize = 3;
/// Most goals of an industry in `seeds/`, and most deliverables of a goal: they number the rows.
pub const GOALS_MAX: usize = 4;
pub const DELIVERABLES_MAX: usize = 4;

/// 2099-12-31T00:00:00Z, in Unix seconds: no planted trial ends during a test.
const TRIAL_END: i64 = 4_102_358_400;

pub struct Customer {
    pub id: String,
    pub name: String,
    pub email: String,
    pub created_at: DateTime<Utc>,
}

impl Customer {
    /// `test-customer-001` is the first. When the names are used up they come again, numbered.
    pub fn new(names: &Names, index: usize) -> Self {
        let id = customer_id(index);
        let all = &names.people.customers;
        let name = match (&all[index % all.len()], index / all.len()) {
            (name, 0) => name.clone(),
            (name, round) => format!("{name} {}", round + 1),
        };
        let email = format!("hello@{id}.example");
        Self { id, name, email, created_at: Series::Customer.time(index) }
    }
}

/// The id of the customer at `index`.
pub fn customer_id(index: usize) -> String {
    format!("test-customer-{:03}", index + 1)
}

pub struct Hire {
    pub id: Uuid,
    pub customer_id: String,
    pub agent_id: Uuid,
    pub duration: HireDuration,
    pub nickname: Option<String>,
    pub theme: Theme,
    pub settings: Value,
    pub trial_end_at: DateTime<Utc>,
    pub hired_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub version: i64,
}

pub struct Deliverable {
    pub id: Uuid,
    pub hired_agent_id: Uuid,
    pub goal_id: Uuid,
    pub title: String,
    pub payload: Value,
    pub execution_status: ExecutionStatus,
    pub created_at: DateTime<Utc>,
}

pub struct Review {
    pub deliverable_id: Uuid,
    pub decision: ReviewStatus,
    pub notes: String,
    pub decided_by: String,
    pub decided_at: DateTime<Utc>,
}

/// What hired agents do, of some customers.
#[derive(Default)]
pub struct Work {
    pub hires: Vec<Hire>,
    pub goals: Vec<Goal>,
    pub deliverables: Vec<Deliverable>,
    pub reviews: Vec<Review>,
}

impl Work {
    /// Everything of the customer at `index`, who hires the next agents of the catalogue.
    pub fn add_customer(&mut self, catalogue: &Catalogue<'_>, index: usize) {
        for nth in 0..HIRES {
            let hire = index * HIRES + nth;
            let agent = hire % catalogue.plan.agents as usize;
            self.hires.push(new_hire(catalogue, index, nth, agent));
            let goals = &catalogue.industry_of(agent).goals;
            for (nth, named) in goals.iter().enumerate().take(GOALS_MAX) {
                self.add_goal(catalogue, index, hire, hire * GOALS_MAX + nth, named);
            }
        }
    }

    fn add_goal(
        &mut self,
        catalogue: &Catalogue<'_>,
        customer: usize,
        hire: usize,
        index: usize,
        named: &names::Goal,
    ) {
        let hired_agent_id = catalogue.id(Series::Hire, hire);
        let id = catalogue.id(Series::Goal, index);
        let created_at = Series::Goal.time(index);
        self.goals.push(Goal {
            id: GoalId(id),
            hired_agent_id: HireId(hired_agent_id),
            goal_template_id: Some(named.template.clone()),
            title: named.title.clone(),
            description: named.description.clone(),
            schedule: named.schedule,
            // One in four rests.
            enabled: catalogue.draw(Series::Goal, index).pick(0, 4) > 0,
            settings: Value::Object(named.settings.clone()),
            created_at,
            updated_at: created_at,
            version: 1,
        });
        for (nth, named) in named.deliverables.iter().enumerate().take(DELIVERABLES_MAX) {
            let index = index * DELIVERABLES_MAX + nth;
            self.add_deliverable(catalogue, customer, (hired_agent_id, id), index, named);
        }
    }

    /// A deliverable: half of them wait for review, most others are approved and put into effect.
    fn add_deliverable(
        &mut self,
        catalogue: &Catalogue<'_>,
        customer: usize,
        (hired_agent_id, goal_id): (Uuid, Uuid),
        index: usize,
        named: &names::Deliverable,
    ) {
        let draw = catalogue.draw(Series::Deliverable, index);
        let reviews = &catalogue.names.people.reviews;
        let created_at = Series::Deliverable.time(index);
        let (decision, execution_status) = match draw.pick(0, 8) {
            0..4 => (None, ExecutionStatus::NotExecuted),
            4 => (Some(ReviewStatus::Rejected), ExecutionStatus::NotExecuted),
            5 => (Some(ReviewStatus::Approved), ExecutionStatus::NotExecuted),
            _ => (Some(ReviewStatus::Approved), ExecutionStatus::Executed),
        };
        let id = catalogue.id(Series::Deliverable, index);
        self.deliverables.push(Deliverable {
            id,
            hired_agent_id,
            goal_id,
            title: named.title.clone(),
            payload: json!({ "format": "text", "body": named.text }),
            execution_status,
            created_at,
        });
        if let Some(decision) = decision {
            let approved = decision == ReviewStatus::Approved;
            let notes = if approved { &reviews.approved } else { &reviews.rejected };
            self.reviews.push(Review {
                deliverable_id: id,
                decision,
                notes: notes[draw.pick(1, notes.len())].clone(),
                decided_by: customer_id(customer),
                decided_at: created_at + TimeDelta::days(1),
            });
        }
    }
}

/// The first hire of each customer is set up, the last is not, those between may be.
fn new_hire(catalogue: &Catalogue<'_>, customer: usize, nth: usize, agent: usize) -> Hire {
    let index = customer * HIRES + nth;
    let people = &catalogue.names.people;
    let draw = catalogue.draw(Series::Hire, index);
    let hired_at = Series::Hire.time(index);
    let mut hire = Hire {
        id: draw.id(hired_at),
        customer_id: customer_id(customer),
        agent_id: catalogue.id(Series::Agent, agent),
        duration: if draw.pick(0, 3) > 0 { HireDuration::Monthly } else { HireDuration::Quarterly },
        nickname: None,
        theme: Theme::Default,
        settings: json!({}),
        trial_end_at: DateTime::UNIX_EPOCH + TimeDelta::seconds(TRIAL_END),
        hired_at,
        updated_at: hired_at,
        version: 1,
    };
    if nth == 0 || (nth + 1 < HIRES && draw.pick(1, 2) == 0) {
        let chosen = &people.configurations[draw.pick(2, people.configurations.len())];
        hire.nickname = Some(people.nicknames[draw.pick(3, people.nicknames.len())].clone());
        hire.theme = chosen.theme;
        hire.settings = Value::Object(chosen.settings.clone());
        hire.updated_at = hired_at + TimeDelta::hours(1);
        hire.version = 2;
    }
    hire
}
