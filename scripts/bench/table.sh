# shellcheck shell=bash
# From the figures of bench_http.sh to its table. Sourced, never run.

# Medians per route and who answered; ratios to the floors; targets.
table() {
  sort -k1,1 -k2,2 -s "$FIGURES" | awk '
    function median(list,    n, i, j, swap, parts) {
      n = split(list, parts, " ")
      for (i = 1; i <= n; i++) for (j = i + 1; j <= n; j++) if (parts[i] + 0 > parts[j] + 0) {
        swap = parts[i]; parts[i] = parts[j]; parts[j] = swap
      }
      return parts[int((n + 1) / 2)]
    }
    function show(route, who, name, target,    of_hyper, of_pgbench, kept, key) {
      key = route " " who
      if (!(key in rate)) return
      r = median(rate[key])
      of_hyper = of_pgbench = kept = "–"
      if (who == "service") {
        if ((route " hyper") in rate) of_hyper = sprintf("%.2f", r / median(rate[route " hyper"]))
        if ((route " pgbench") in rate) of_pgbench = sprintf("%.2f", r / median(rate[route " pgbench"]))
        kept = "P99 ≤ 20 ms: " (median(p99[key]) <= 20 ? "kept" : "**missed**")
        if (target) kept = "≥ " target "/s: " (r >= target ? "kept" : "**missed**") "; " kept
        if (failed[key]) kept = kept "; **" failed[key] " failed**"
      }
      printf "| %s | %d | %.2f | %.2f | %s | %s | %s | %s |\n", name, r, median(p50[key]), median(p99[key]),
        (who == "service" ? sprintf("%.1f", median(cpu[key])) : "–"), of_hyper, of_pgbench, kept
    }
    {
      key = $1 " " $2
      rate[key] = rate[key] " " $3; p50[key] = p50[key] " " $4; p99[key] = p99[key] " " $5
      cpu[key] = cpu[key] " " $6; failed[key] += $7
    }
    END {
      print "| what | requests/s | P50 ms | P99 ms | CPU µs a request | of bare hyper | of pgbench | asked |"
      print "|---|---:|---:|---:|---:|---:|---:|---|"
      show("health", "service", "`GET /health`", 50000)
      show("health", "hyper", "bare hyper, the same bytes")
      show("list", "service", "`GET /api/v1/agents?limit=100`, cached", 10000)
      show("list", "hyper", "bare hyper, the same bytes")
      show("agent", "service", "`GET /api/v1/agents/{id}`, cached", 10000)
      show("agent", "hyper", "bare hyper, the same bytes")
      show("uncached", "service", "`GET /api/v1/agents/{id}` without Redis: each asks PostgreSQL", 10000)
      show("uncached", "pgbench", "pgbench, the same statement")
      show("goal", "service", "`POST /api/v1/agents/{id}/goals`")
      show("goal", "hyper", "bare hyper, as many bytes")
      show("goal", "pgbench", "pgbench, the same statement")
    }'
}

# Between the markers of docs/performance.md; what is around them is written by people.
write_into_docs() {
  local docs=docs/performance.md
  {
    printf '%s on %s, with `scripts/bench_http.sh --seconds %s` at %s.\n\n' "$(date -u '+%Y-%m-%d %H:%MZ')" \
      "$(machine)" "$SECONDS_EACH" "$(git rev-parse --short HEAD 2>/dev/null || printf 'no commit')"
    cat "$WORK/table"
    printf '\nJust before each round other processes used %s %% of the machine; what they used during it is not known.\n' \
      "$(paste -sd, "$WORK/disturbance" | sed 's/,/, /g')"
  } >"$WORK/section"
  awk -v section="$WORK/section" '
    /^<!-- bench_http -->$/ { print; while ((getline line < section) > 0) print line; skip = 1 }
    /^<!-- \/bench_http -->$/ { skip = 0 }
    !skip || /^<!-- \/bench_http -->$/ { if (!/^<!-- bench_http -->$/) print }' "$docs" >"$WORK/docs"
  cat "$WORK/docs" >"$docs"
  say "Written into $docs"
}

machine() {
  printf '%s cores of %s, %s GB, Linux %s' "$(nproc)" \
    "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" \
    "$(awk '/^MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo)" "$(uname -r | cut -d- -f1)"
}
