-- PROTOCOL, Jobs: a worker takes entries for its free slots, from the priorities by their shares.
-- KEYS: 1 to 3 streams (high, normal, low), 4 idle workers, 5 dispatcher
-- ARGV: 1 worker, 2 its channel, 3 to 5 how many from each stream first; what one lacks the others fill;
--       6 = '0': instead, what was handed to this worker before (a reply may have been lost); else '>'
-- Reply: {made, length 1, 2, 3, then per entry: stream, entry id, job}; made = 1 if a group had to be made
local reply = {0, 0, 0, 0}
local function read(stream, count)
  if count <= 0 then
    return 0
  end
  local command = {'XREADGROUP', 'GROUP', 'workers', ARGV[1], 'COUNT', count, 'STREAMS', KEYS[stream], ARGV[6]}
  local got = redis.pcall(unpack(command))
  if got and got.err then
    if string.find(got.err, 'NOGROUP', 1, true) then
      redis.call('XGROUP', 'CREATE', KEYS[stream], 'workers', '0', 'MKSTREAM')
      reply[1] = 1
    end
    got = redis.call(unpack(command)) -- any other error is told now
  end
  local entries = got and got[1] and got[1][2] or {}
  for _, entry in ipairs(entries) do
    reply[#reply + 1] = stream
    reply[#reply + 1] = entry[1]
    reply[#reply + 1] = entry[2] and entry[2][2] or ''
  end
  return #entries
end
local missing = 0
for stream = 1, 3 do
  local share = tonumber(ARGV[2 + stream])
  missing = missing + share - read(stream, share)
end
for stream = 1, 3 do
  missing = missing - (ARGV[6] == '0' and 0 or read(stream, missing))
  reply[1 + stream] = redis.call('XLEN', KEYS[stream])
end
if ARGV[6] == '0' then
  return reply
end
if missing > 0 then
  redis.call('ZADD', KEYS[4], redis.call('TIME')[1], ARGV[2])
  local dispatcher = string.match(redis.call('GET', KEYS[5]) or '', ' (%S+)$')
  if dispatcher then
    redis.call('PUBLISH', dispatcher, 'dry')
  end
else
  redis.call('ZREM', KEYS[4], ARGV[2])
end
return reply
