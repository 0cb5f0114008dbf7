-- What operators see of an episode's lock; changes nothing. Keys of another type, or with more in them than fenceline
-- writes, are somebody else's: they are told of as far as that goes, and never cost the answer.
-- KEYS: 1 lease, 2 token counter, 3 waiters (all with the episode's hash tag)
-- ARGV: 1 how many waiters at most, 2 how many bytes of a value at most
-- Reply: value of the lease or '' (of another type: '?'), ms left (-1 for ever, -2 none), counter or '', how many
--        wait, then each "channel job"
local function ask(if_of_another_type, ...)
  local value = redis.pcall(...)
  if type(value) ~= 'table' or not value.err then
    return value
  elseif string.find(value.err, 'WRONGTYPE', 1, true) then
    return if_of_another_type
  end
  error(value.err)
end
local function text(key)
  return ask('?', 'GETRANGE', key, 0, ARGV[2] - 1)
end
local reply = {text(KEYS[1]), redis.call('PTTL', KEYS[1]), text(KEYS[2])}
local now = redis.call('TIME')
reply[4] = ask(0, 'ZCOUNT', KEYS[3], now[1] * 1000, '+inf')
local waiters = reply[4] > 0 and redis.call('ZRANGEBYSCORE', KEYS[3], now[1] * 1000, '+inf', 'LIMIT', 0, ARGV[1]) or {}
for _, waiter in ipairs(waiters) do
  reply[#reply + 1] = waiter
end
return reply
