-- PROTOCOL 8: entries whose jobs are decided, or wait in Postgres again, go; others are given back to any worker.
-- KEYS: 1 to 3 streams (high, normal, low), 4 entries (job -> entry id), 5 idle workers
-- ARGV: per entry: stream (1 to 3), entry id, job, 1 = give back
-- Reply: how many were given back
local back = 0
for i = 1, #ARGV, 4 do
  local stream, entry, job = KEYS[tonumber(ARGV[i])], ARGV[i + 1], ARGV[i + 2]
  local mine = redis.call('HGET', KEYS[4], job) == entry
  local found = not mine and redis.call('XRANGE', stream, entry, entry)[1]
  local other = found and found[2][2] or ''
  -- A Redis that went back to an earlier state may give an id again: then the entry is another job's by now.
  if mine or redis.call('HGET', KEYS[4], other) ~= entry then
    -- Without its group (a Redis that was emptied) there is nothing to acknowledge.
    redis.pcall('XACK', stream, 'workers', entry)
    redis.call('XDEL', stream, entry)
  end
  if mine and ARGV[i + 3] == '1' then
    redis.call('HSET', KEYS[4], job, redis.call('XADD', stream, '*', 'job', job))
    back = back + 1
  elseif mine then
    redis.call('HDEL', KEYS[4], job)
  end
end
for _ = 1, back do
  local idle = redis.call('ZPOPMIN', KEYS[5])[1]
  if not idle then
    break
  end
  redis.call('PUBLISH', idle, 'work')
end
return back
