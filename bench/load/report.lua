-- Run by wrk: sends a body when asked to (the first argument is its length in bytes), and reports what wrk knows
-- beyond its text output, p99.9 among it, as one line of JSON.

function init(args)
  local bytes = tonumber(args[1] or '0')
  if bytes > 0 then
    wrk.method = 'POST'
    wrk.body = string.rep('x', bytes)
    wrk.headers['Content-Type'] = 'application/octet-stream'
  end
  wrk.headers['User-Agent'] = 'wrk'
  wrk.headers['Accept'] = '*/*'
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'REPORT {"requests":%d,"micros":%d,"p50":%d,"p99":%d,"p999":%d,' ..
    '"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}\n',
    summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
    errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
