-- PROTOCOL 2: take the lease of an episode, with a fencing token above everything claimed before.
-- KEYS: 1 lease, 2 token counter, 3 waiters (all with the episode's hash tag)
-- ARGV: 1 nonce (32 hex digits), 2 fence as read from Postgres, 3 ttl in ms, 4 who (text for operators),
--       5 counter ttl in ms, 6 waiter ("channel job"), 7 ms after which a waiter is forgotten
-- Reply: {1, token as text} granted; {0, ms left, value of the lease} busy, and the waiter is registered
local ttl = tonumber(ARGV[3])
if not ttl or ttl <= 0 then
  return redis.error_reply('ERR lease ttl must be above 0')
end
local held = redis.call('GET', KEYS[1])
if held then
  local now = redis.call('TIME')
  local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
  redis.call('ZADD', KEYS[3], string.format('%.0f', now_ms + tonumber(ARGV[7])), ARGV[6])
  redis.call('PEXPIRE', KEYS[3], ARGV[7])
  return {0, redis.call('PTTL', KEYS[1]), held}
end
local floor = tonumber(ARGV[2])
local counter = tonumber(redis.call('GET', KEYS[2]) or '0') or 0
if counter < floor then
  counter = floor
end
local token = string.format('%.0f', counter + 1)
redis.call('SET', KEYS[2], token, 'PX', ARGV[5])
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. token .. ' ' .. ARGV[4], 'NX', 'PX', ARGV[3])
redis.call('ZREM', KEYS[3], ARGV[6])
return {1, token}
