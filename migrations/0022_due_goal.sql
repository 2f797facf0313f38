-- When a goal is due next. A new goal is due at once, in the period in which it was made.
alter table goal add column due_at timestamptz not null default '-infinity';

create index goal_due_at_idx on goal (due_at) where enabled and schedule <> 'on_demand';

-- One deliverable for each goal and period, such as weekly:2026-W03; none for what nobody planned.
alter table deliverable add column period text;
alter table deliverable add constraint deliverable_goal_id_period_key unique (goal_id, period);

-- The constraint's index serves it.
drop index deliverable_goal_id_idx;
