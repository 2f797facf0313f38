# shellcheck shell=bash
# Formats the measurements of bench_http.sh as a table. Sourced by bench_http.sh.

# Prints medians per route and system, ratios to the hyper and pgbench baselines, and thresholds.
table() {
  sort -k1,1 -k2,2 -s "$MEASUREMENTS" | awk '
    function median(list,    n, i, j, swap, parts) {
      n = split(list, parts, " ")
      for (i = 1; i <= n; i++) for (j = i + 1; j <= n; j++) if (parts[i] + 0 > parts[j] + 0) {
        swap = parts[i]; parts[i] = parts[j]; parts[j] = swap
      }
      return parts[int((n + 1) / 2)]
    }
    function row(route, system_name, label, min_rate,    of_hyper, of_pgbench, result, key) {
      key = route " " system_name
      if (!(key in rate)) return
      r = median(rate[key])
      of_hyper = of_pgbench = result = "–"
      if (system_name == "service") {
        if ((route " hyper") in rate) of_hyper = sprintf("%.2f", r / median(rate[route " hyper"]))
        if ((route " pgbench") in rate) of_pgbench = sprintf("%.2f", r / median(rate[route " pgbench"]))
        if (of_hyper != "–" || of_pgbench != "–")
          result = "P99 ≤ 20 ms: " (median(p99[key]) <= 20 ? "met" : "**violated**")
        if (min_rate) result = "≥ " min_rate "/s: " (r >= min_rate ? "met" : "**violated**") "; " result
        if (failed[key]) result = result "; **" failed[key] " failed**"
      }
      printf "| %s | %d | %.2f | %.2f | %s | %s | %s | %s |\n", label, r, median(p50[key]), median(p99[key]),
        (system_name == "service" ? sprintf("%.1f", median(cpu[key])) : "–"), of_hyper, of_pgbench, result
    }
    {
      key = $1 " " $2
      rate[key] = rate[key] " " $3; p50[key] = p50[key] " " $4; p99[key] = p99[key] " " $5
      cpu[key] = cpu[key] " " $6; failed[key] += $7
    }
    END {
      print "| route | requests/s | P50 ms | P99 ms | CPU µs per request | ratio to bare hyper | ratio to pgbench | threshold |"
      print "|---|---:|---:|---:|---:|---:|---:|---|"
      row("health", "service", "`GET /health`", 50000)
      row("health", "hyper", "bare hyper, same body")
      row("list", "service", "`GET /api/v1/agents?limit=100`, cached", 10000)
      row("list", "hyper", "bare hyper, same body")
      row("agent", "service", "`GET /api/v1/agents/{id}`, cached", 10000)
      row("agent", "hyper", "bare hyper, same body")
      row("agent", "redis", "redis-benchmark, same body")
      row("uncached", "service", "`GET /api/v1/agents/{id}` without Redis: each queries PostgreSQL", 10000)
      row("uncached", "pgbench", "pgbench, same statement")
      row("uncached", "pgbench-pipelined", "pgbench, ten of them in a pipeline")
      row("goal", "service", "`POST /api/v1/agents/{id}/goals`")
      row("goal", "hyper", "bare hyper, fixed body")
      row("goal", "pgbench", "pgbench, same statement")
      row("goals", "service", "`GET /api/v1/agents/{id}/goals`, a page of 100, cached")
      row("certify", "service", "`POST /api/v1/genesis/skills/{id}/certify`, certified before")
      row("login", "service", "`POST /api/v1/auth/login`, one password hash")
      row("generation", "service", "`POST /api/v1/generation/create`, with its job")
    }'
}

# Replaces the text between the markers in docs/performance.md.
write_into_docs() {
  local docs=docs/performance.md
  {
    printf '%s on %s, with `scripts/bench_http.sh --seconds %s` at %s.\n\n' "$(date -u '+%Y-%m-%d %H:%MZ')" \
      "$(machine)" "$SECONDS_EACH" "$(git rev-parse --short HEAD 2>/dev/null || printf 'no commit')"
    cat "$WORK/table"
    printf '\nResident memory of the service after %s requests: %s MB (threshold: 64 MB).\n' $(cat "$WORK/memory")
    printf '\nCPU use of other processes just before each round: %s %%; during the rounds it is not measured.\n' \
      "$(paste -sd, "$WORK/other_load" | sed 's/,/, /g')"
  } >"$WORK/section"
  awk -v section="$WORK/section" '
    /^<!-- bench_http -->$/ { print; while ((getline line < section) > 0) print line; skip = 1 }
    /^<!-- \/bench_http -->$/ { skip = 0 }
    !skip || /^<!-- \/bench_http -->$/ { if (!/^<!-- bench_http -->$/) print }' "$docs" >"$WORK/docs"
  cat "$WORK/docs" >"$docs"
  log "wrote $docs"
}

machine() {
  printf '%s cores of %s, %s GB, Linux %s' "$(nproc)" \
    "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" \
    "$(awk '/^MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo)" "$(uname -r | cut -d- -f1)"
}
