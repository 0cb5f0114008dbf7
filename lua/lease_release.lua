-- PROTOCOL 8: give a lease back, if it is still this nonce's, and wake at most one waiter.
-- KEYS: 1 lease, 2 waiters
-- ARGV: 1 nonce (32 hex digits, compared whole)
-- Reply: 1 released, 0 it had gone or was somebody else's (normal: it expired)
local held = redis.call('GET', KEYS[1])
if not (held and #ARGV[1] == 32 and string.sub(held, 1, 33) == ARGV[1] .. ' ') then
  return 0
end
redis.call('DEL', KEYS[1])
if redis.call('EXISTS', KEYS[2]) == 0 then
  return 1
end
local now = redis.call('TIME')
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now[1] * 1000)
for _ = 1, 16 do
  -- A waiter whose process is gone has no subscriber: the next one is woken instead.
  local waiter = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
  if not waiter then
    return 1
  end
  redis.call('ZREM', KEYS[2], waiter)
  local channel, job = string.match(waiter, '^(%S+) (%S+)$')
  if channel and redis.call('PUBLISH', channel, job) > 0 then
    return 1
  end
end
return 1
