-- SPDX-License-Identifier: Apache-2.0
-- wrk: POST the body that the file BENCH_BODY holds, with the headers of BENCH_HEADERS ("name: value" lines).
local file = assert(io.open(os.getenv("BENCH_BODY"), "rb"))
wrk.method = "POST"
wrk.body = file:read("*a")
for name, value in os.getenv("BENCH_HEADERS"):gmatch("([^:\n]+): ([^\n]*)") do
    wrk.headers[name] = value
end
file:close()
done = function(summary, latency)
    io.write(string.format("RESULT %d %d %d %d %d %d\n", summary.requests, summary.duration,
        latency:percentile(50), latency:percentile(99),
        summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
        summary.errors.status))
end
