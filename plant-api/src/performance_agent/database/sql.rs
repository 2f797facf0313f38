//! Statements on the statistics of PostgreSQL.

use sqlx::PgExecutor;

use super::{
    ConnectionMetrics, IndexMetrics, JobMetrics, RunningStatement, StatementMetrics, TableMetrics,
    without_literals,
};

/// Returns the connections of clients, without `max`.
pub async fn find_connections(db: impl PgExecutor<'_>) -> sqlx::Result<ConnectionMetrics> {
    sqlx::query_as!(
        ConnectionMetrics,
        r#"select
            count(*) as "total!",
            count(*) filter (where state = 'active') as "active!",
            count(*) filter (where wait_event_type = 'Lock') as "waiting_for_locks!",
            0::bigint as "max!"
        from database_activity()"#,
    )
    .fetch_one(db)
    .await
}

/// Returns the 20 statements that have run for the longest time.
pub async fn list_running(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<RunningStatement>> {
    let mut running = sqlx::query_as!(
        RunningStatement,
        r#"select
            coalesce(statement, '') as "statement!", pid as "pid!", seconds as "seconds!",
            wait_event_type
        from database_activity()
        where state = 'active' and seconds is not null
        order by seconds desc, pid
        limit 20"#,
    )
    .fetch_all(db)
    .await?;
    for one in &mut running {
        one.statement = without_literals(&one.statement);
    }
    Ok(running)
}

/// Returns the kinds of jobs with jobs that are ready or run.
pub async fn list_jobs(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<JobMetrics>> {
    sqlx::query_as!(
        JobMetrics,
        r#"select
            job.kind as "kind!",
            count(*) filter (where state = 'ready') as "ready!",
            count(*) filter (where state = 'running') as "running!",
            count(distinct worker) filter (where state = 'running') as "workers!",
            extract(epoch from now() - min(run_at) filter (where state = 'ready'))::float8
                as oldest_ready_seconds,
            bool_or(paused_queue.kind is not null) as "paused!"
        from job
        left join paused_queue on paused_queue.kind = job.kind
        where state in ('ready', 'running')
        group by job.kind
        order by job.kind"#,
    )
    .fetch_all(db)
    .await
}

/// Returns the 100 largest tables.
pub async fn list_tables(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<TableMetrics>> {
    sqlx::query_as!(
        TableMetrics,
        r#"select
            stat.relname::text as "table!",
            coalesce(pg_total_relation_size(stat.relid), 0) as "bytes!",
            n_live_tup as "rows!",
            n_dead_tup as "dead_rows!",
            coalesce(
                option.threshold, current_setting('autovacuum_vacuum_threshold')::float8
            ) + coalesce(
                option.scale_factor, current_setting('autovacuum_vacuum_scale_factor')::float8
            ) * n_live_tup as "autovacuum_at!",
            coalesce(option.enabled, true) and current_setting('autovacuum')::boolean
                as "autovacuum!",
            greatest(last_vacuum, last_autovacuum) as last_vacuum,
            seq_scan as "sequential_scans!",
            seq_tup_read as "sequential_rows!",
            coalesce(idx_scan, 0) as "index_scans!",
            n_tup_ins + n_tup_upd + n_tup_del as "writes!"
        from pg_stat_user_tables stat
        join pg_class on pg_class.oid = stat.relid
        left join lateral (
            select
                max(option_value) filter (where option_name = 'autovacuum_vacuum_threshold')::float8
                    as threshold,
                max(option_value) filter (
                    where option_name = 'autovacuum_vacuum_scale_factor'
                )::float8 as scale_factor,
                max(option_value) filter (where option_name = 'autovacuum_enabled')::boolean
                    as enabled
            from pg_options_to_table(reloptions)
        ) option on true
        order by 2 desc, 1
        limit 100"#,
    )
    .fetch_all(db)
    .await
}

/// Returns the 20 largest indexes that were not used, except those that enforce a constraint.
pub async fn list_unused_indexes(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<IndexMetrics>> {
    sqlx::query_as!(
        IndexMetrics,
        r#"select
            stat.indexrelname::text as "index!",
            stat.relname::text as "table!",
            coalesce(pg_relation_size(stat.indexrelid), 0) as "bytes!",
            t.seq_scan + coalesce(t.idx_scan, 0) + t.n_tup_ins + t.n_tup_upd + t.n_tup_del
                as "uses_of_table!",
            coalesce(pg_get_indexdef(stat.indexrelid), '') as "definition!"
        from pg_stat_user_indexes stat
        join pg_index on pg_index.indexrelid = stat.indexrelid
        join pg_stat_user_tables t on t.relid = stat.relid
        where stat.idx_scan = 0
            and not indisunique
            and not exists (select from pg_constraint where conindid = stat.indexrelid)
        order by 3 desc, 1
        limit 20"#,
    )
    .fetch_all(db)
    .await
}

/// Returns whether the extension `pg_stat_statements` is installed.
pub async fn has_statement_statistics(db: impl PgExecutor<'_>) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (
            select from pg_extension where extname = 'pg_stat_statements'
        ) as "exists!""#
    )
    .fetch_one(db)
    .await
}

/// Returns the 20 statements of the service with the highest mean time of at least five calls. The
/// extension need not be installed where this is compiled.
pub async fn list_statements(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<StatementMetrics>> {
    type Row = (String, i64, f64, f64, f64, i64);
    let rows: Vec<Row> = sqlx::query_as(
        "select query, calls, mean_exec_time, max_exec_time, total_exec_time, rows
        from pg_stat_statements
        where calls >= 5
            and dbid = (select oid from pg_database where datname = current_database())
            and userid = (select oid from pg_roles where rolname = current_user)
        order by mean_exec_time desc
        limit 20",
    )
    .fetch_all(db)
    .await?;
    let statement = |(statement, calls, mean_ms, max_ms, total_ms, rows): Row| StatementMetrics {
        statement: without_literals(&statement),
        calls,
        mean_ms,
        max_ms,
        total_ms,
        rows,
    };
    Ok(rows.into_iter().map(statement).collect())
}
