-- PROTOCOL, Jobs: a dispatcher takes the entries of dead workers over; it gives them back once that is on record.
-- Not by XAUTOCLAIM: that goes by how long an entry has been out, and cannot tell a long import from a dead worker.
-- KEYS: 1 to 3 streams (high, normal, low), 4 workers (by last heartbeat in ms)
-- ARGV: 1 worker, 2 ms after which a worker is dead, 3 how many entries at most
-- Reply: per entry: stream, entry id, job, dead worker
local now = redis.call('TIME')
local dead_ms = now[1] * 1000 + math.floor(now[2] / 1000) - tonumber(ARGV[2])
local reply, left = {}, tonumber(ARGV[3])
local function take(stream, name, pending)
  local ids = {}
  for _, item in ipairs(redis.call('XPENDING', KEYS[stream], 'workers', '-', '+', math.min(left, pending), name)) do
    ids[#ids + 1] = item[1]
  end
  local claimed = #ids > 0 and redis.call('XCLAIM', KEYS[stream], 'workers', ARGV[1], 0, unpack(ids)) or {}
  for _, entry in ipairs(claimed) do
    if entry and entry[2] then
      for _, value in ipairs({stream, entry[1], entry[2][2] or '', name}) do
        reply[#reply + 1] = value
      end
      left = left - 1
    end
  end
end
for stream = 1, 3 do
  local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[stream], 'workers')
  for _, consumer in ipairs(consumers.err and {} or consumers) do
    local name, pending = consumer[2], consumer[4]
    local beat = redis.call('ZSCORE', KEYS[4], name)
    if name ~= ARGV[1] and (not beat or tonumber(beat) < dead_ms) and left > 0 then
      if pending > 0 then
        take(stream, name, pending)
      else
        redis.call('XGROUP', 'DELCONSUMER', KEYS[stream], 'workers', name)
      end
    end
  end
end
return reply
