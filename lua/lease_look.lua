-- What operators see of an episode's lock; changes nothing. Keys of another type, or with more in them than fenceline
-- writes, are somebody else's: they are told of as far as that goes, and never cost the answer.
-- KEYS: 1 lease, 2 token counter, 3 waiters (all with the episode's hash tag)
-- ARGV: 1 how many waiters at most, 2 how many bytes of a value at most
-- Reply: value of the lease or '' (of another type: '?'), ms left (-1 for ever, -2 none), counter or '', how many
--        wait, then each "channel job"
local function text(key)
  local value = redis.pcall('GETRANGE', key, 0, ARGV[2] - 1)
  return type(value) == 'table' and '?' or value
end
local reply = {text(KEYS[1]), redis.call('PTTL', KEYS[1]), text(KEYS[2])}
local now = redis.call('TIME')
local count = redis.pcall('ZCOUNT', KEYS[3], now[1] * 1000, '+inf')
reply[4] = type(count) == 'number' and count or 0
local waiters = reply[4] > 0 and redis.call('ZRANGEBYSCORE', KEYS[3], now[1] * 1000, '+inf', 'LIMIT', 0, ARGV[1]) or {}
for _, waiter in ipairs(waiters) do
  reply[#reply + 1] = waiter
end
return reply
