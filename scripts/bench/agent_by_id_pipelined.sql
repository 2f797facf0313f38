-- Ten times the statement of agent_by_id.sql, sent before the first result is read.
\startpipeline
select
    a.id, a.name, a.skill_id, s.name as skill, a.job_role_id, j.name as job_role,
    a.team_id, t.name as team_name, a.industry_id, i.name as industry,
    e.status, e.created_at, e.version_hash
from agent a
join base_entity e on e.id = a.id
join skill s on s.id = a.skill_id
join job_role j on j.id = a.job_role_id
join industry i on i.id = a.industry_id
left join team t on t.id = a.team_id
where a.id = :agent;
select
    a.id, a.name, a.skill_id, s.name as skill, a.job_role_id, j.name as job_role,
    a.team_id, t.name as team_name, a.industry_id, i.name as industry,
    e.status, e.created_at, e.version_hash
from agent a
join base_entity e on e.id = a.id
join skill s on s.id = a.skill_id
join job_role j on j.id = a.job_role_id
join industry i on i.id = a.industry_id
left join team t on t.id = a.team_id
where a.id = :agent;
select
    a.id, a.name, a.skill_id, s.name as skill, a.job_role_id, j.name as job_role,
    a.team_id, t.name as team_name, a.industry_id, i.name as industry,
    e.status, e.created_at, e.version_hash
from agent a
join base_entity e on e.id = a.id
join skill s on s.id = a.skill_id
join job_role j on j.id = a.job_role_id
join industry i on i.id = a.industry_id
left join team t on t.id = a.team_id
where a.id = :agent;
select
    a.id, a.name, a.skill_id, s.name as skill, a.job_role_id, j.name as job_role,
    a.team_id, t.name as team_name, a.industry_id, i.name as industry,
    e.status, e.created_at, e.version_hash
from agent a
join base_entity e on e.id = a.id
join skill s on s.id = a.skill_id
join job_role j on j.id = a.job_role_id
join industry i on i.id = a.industry_id
left join team t on t.id = a.team_id
where a.id = :agent;
select
    a.id, a.name, a.skill_id, s.name as skill, a.job_role_id, j.name as job_role,
    a.team_id, t.name as team_name, a.industry_id, i.name as industry,
    e.status, e.created_at, e.version_hash
from agent a
join base_entity e on e.id = a.id
join skill s on s.id = a.skill_id
join job_role j on j.id = a.job_role_id
join industry i on i.id = a.industry_id
left join team t on t.id = a.team_id
where a.id = :agent;
select
    a.id, a.name, a.skill_id, s.name as skill, a.job_role_id, j.name as job_role,
    a.team_id, t.name as team_name, a.industry_id, i.name as industry,
    e.status, e.created_at, e.version_hash
from agent a
join base_entity e on e.id = a.id
join skill s on s.id = a.skill_id
join job_role j on j.id = a.job_role_id
join industry i on i.id = a.industry_id
left join team t on t.id = a.team_id
where a.id = :agent;
select
    a.id, a.name, a.skill_id, s.name as skill, a.job_role_id, j.name as job_role,
    a.team_id, t.name as team_name, a.industry_id, i.name as industry,
    e.status, e.created_at, e.version_hash
from agent a
join base_entity e on e.id = a.id
join skill s on s.id = a.skill_id
join job_role j on j.id = a.job_role_id
join industry i on i.id = a.industry_id
left join team t on t.id = a.team_id
where a.id = :agent;
select
    a.id, a.name, a.skill_id, s.name as skill, a.job_role_id, j.name as job_role,
    a.team_id, t.name as team_name, a.industry_id, i.name as industry,
    e.status, e.created_at, e.version_hash
from agent a
join base_entity e on e.id = a.id
join skill s on s.id = a.skill_id
join job_role j on j.id = a.job_role_id
join industry i on i.id = a.industry_id
left join team t on t.id = a.team_id
where a.id = :agent;
select
    a.id, a.name, a.skill_id, s.name as skill, a.job_role_id, j.name as job_role,
    a.team_id, t.name as team_name, a.industry_id, i.name as industry,
    e.status, e.created_at, e.version_hash
from agent a
join base_entity e on e.id = a.id
join skill s on s.id = a.skill_id
join job_role j on j.id = a.job_role_id
join industry i on i.id = a.industry_id
left join team t on t.id = a.team_id
where a.id = :agent;
select
    a.id, a.name, a.skill_id, s.name as skill, a.job_role_id, j.name as job_role,
    a.team_id, t.name as team_name, a.industry_id, i.name as industry,
    e.status, e.created_at, e.version_hash
from agent a
join base_entity e on e.id = a.id
join skill s on s.id = a.skill_id
join job_role j on j.id = a.job_role_id
join industry i on i.id = a.industry_id
left join team t on t.id = a.team_id
where a.id = :agent;
\endpipeline
