-- Prints a RESULT line, which wrk.sh reads. For wrk's scripts, which run in the root of the checkout.

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
