-- What wrk sends: the targets of a file in turn, each with a time that no
-- other request of its vehicle has, so that every one is a new reading. A
-- vehicle's readings are a second apart, and its uploads come from one thread,
-- so that they are in order, as a phone's are.
--   arguments: file of queries, first time (ms), number of vehicles, number of threads

local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  local head_end = string.format(
    " HTTP/1.1\r\nHost: %s:%s\r\nUser-Agent: Dalvik/2.1.0 (Linux; U; Android 14)\r\n\r\n", wrk.host, wrk.port)
  heads, tails = {}, {}
  local first_time, vehicles, threads, line = tonumber(args[2]), tonumber(args[3]), tonumber(args[4]), 0
  for query in io.lines(args[1]) do
    if line % vehicles % threads == number then
      local before, after = query:match("^(.-&time=)%d+(.*)$")
      heads[#heads + 1] = "GET /torque/upload?" .. before
      tails[#tails + 1] = after .. head_end
    end
    line = line + 1
  end
  -- Vehicles take turns, so a turn of all of them is a second.
  own, sent, time, at = math.floor((vehicles - number - 1) / threads) + 1, 0, first_time, 0
end

function request()
  at = at % #heads + 1
  if sent == own then
    sent, time = 0, time + 1000
  end
  sent = sent + 1
  return heads[at] .. string.format("%.0f", time) .. tails[at]
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
