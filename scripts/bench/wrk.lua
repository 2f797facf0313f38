-- Usage: wrk … -s wrk.lua URL -- [METHOD BODY-FILE]. Ends with one line that bench_http.sh reads.

function init(args)
  if args[1] then
    local file = assert(io.open(args[2]))
    wrk.method = args[1]
    wrk.body = file:read("*a")
    wrk.headers["Content-Type"] = "application/json"
    file:close()
  end
end

-- requests per second, P50 and P99 in milliseconds, requests, requests that failed
function done(summary, latency, requests)
  local errors = summary.errors
  print(string.format(
    "FIGURES %.0f %.3f %.3f %d %d",
    summary.requests / (summary.duration / 1e6),
    latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3,
    summary.requests,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout
  ))
end
