-- A heartbeat of a worker or a long import: the registry, and who is the dispatcher.
-- KEYS: 1 workers (by last heartbeat in ms), 2 info (worker -> JSON), 3 dispatcher, 4 idle workers
-- ARGV: 1 worker, 2 its JSON ('' = it leaves), 3 its channel, 4 ms after which a worker is dead, 5 = 1: it would dispatch
-- Reply: 1 it is the dispatcher, 0 it is not
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local mine = ARGV[1] .. ' ' .. ARGV[3]
local dispatcher = redis.call('GET', KEYS[3])
if ARGV[2] == '' then
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
  redis.call('ZREM', KEYS[4], ARGV[3])
  if dispatcher == mine then
    redis.call('DEL', KEYS[3])
    for _, next in ipairs(redis.call('ZREVRANGE', KEYS[1], 0, 7)) do
      if redis.call('PUBLISH', 'fenceline:wake:' .. next, 'role') > 0 then
        break
      end
    end
  end
  return 0
end
redis.call('ZADD', KEYS[1], string.format('%.0f', now_ms), ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
-- Redis lives by its wall clock: where that was set back, the dead of before would seem to live until it has caught up.
for _, ahead in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', now_ms), '+inf', 'LIMIT', 0, 100)) do
  redis.call('ZADD', KEYS[1], string.format('%.0f', now_ms), ahead)
end
if dispatcher and redis.call('PTTL', KEYS[3]) > tonumber(ARGV[4]) then
  dispatcher = false
end
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_ms - 3600000, 'LIMIT', 0, 10)) do
  redis.call('ZREM', KEYS[1], gone)
  redis.call('HDEL', KEYS[2], gone)
end
if ARGV[5] == '1' and (not dispatcher or dispatcher == mine) then
  redis.call('SET', KEYS[3], mine, 'PX', ARGV[4])
  return 1
elseif dispatcher == mine then
  redis.call('DEL', KEYS[3])
end
return 0
