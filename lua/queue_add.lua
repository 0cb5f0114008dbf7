-- PROTOCOL, Jobs: a dispatcher adds jobs to the streams, each once, and wakes as many idle workers.
-- KEYS: 1 to 3 streams (high, normal, low), 4 entries (job -> entry id), 5 idle workers
-- ARGV: per job: stream (1 to 3), job
-- Reply: {added, length 1, 2, 3}
local added = 0
for i = 1, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[4], ARGV[i + 1]) == 0 then
    local entry = redis.call('XADD', KEYS[tonumber(ARGV[i])], '*', 'job', ARGV[i + 1])
    redis.call('HSET', KEYS[4], ARGV[i + 1], entry)
    added = added + 1
  end
end
local waking = added
while waking > 0 do
  local idle = redis.call('ZPOPMIN', KEYS[5])[1]
  if not idle then
    break
  end
  -- One whose process is gone has no subscriber: the next one is woken instead.
  waking = waking - redis.call('PUBLISH', idle, 'work')
end
return {added, redis.call('XLEN', KEYS[1]), redis.call('XLEN', KEYS[2]), redis.call('XLEN', KEYS[3])}
