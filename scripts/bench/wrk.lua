-- Usage: wrk … -s wrk.lua URL -- [METHOD BODY-FILE]. Prints a RESULT line, which bench_http.sh parses.

function init(args)
  if args[1] then
    local file = assert(io.open(args[2]))
    wrk.method = args[1]
    wrk.body = file:read("*a")
    wrk.headers["Content-Type"] = "application/json"
    file:close()
  end
end

-- RESULT <requests/s> <P50 ms> <P99 ms> <requests> <failed requests>
function done(summary, latency, requests)
  local errors = summary.errors
  print(string.format(
    "RESULT %.0f %.3f %.3f %d %d",
    summary.requests / (summary.duration / 1e6),
    latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3,
    summary.requests,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout
  ))
end
