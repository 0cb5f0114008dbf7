-- What operators see of an episode's lock; changes nothing.
-- KEYS: 1 lease, 2 token counter, 3 waiters (all with the episode's hash tag)
-- ARGV: 1 how many waiters at most
-- Reply: value of the lease or '', ms left (-1 for ever, -2 none), counter or '', how many wait, then each "channel job"
local reply = {redis.call('GET', KEYS[1]) or '', redis.call('PTTL', KEYS[1]), redis.call('GET', KEYS[2]) or ''}
local now = redis.call('TIME')
reply[4] = redis.call('ZCOUNT', KEYS[3], now[1] * 1000, '+inf')
local waiters = reply[4] > 0 and redis.call('ZRANGEBYSCORE', KEYS[3], now[1] * 1000, '+inf', 'LIMIT', 0, ARGV[1]) or {}
for _, waiter in ipairs(waiters) do
  reply[#reply + 1] = waiter
end
return reply
