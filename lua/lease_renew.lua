-- PROTOCOL 4: keep a lease, if it is still this nonce's.
-- KEYS: 1 lease
-- ARGV: 1 nonce (32 hex digits, compared whole), 2 ttl in ms (> 0)
-- Reply: 1 kept, 0 gone or somebody else's
local ttl = tonumber(ARGV[2])
if not ttl or ttl <= 0 then
  return redis.error_reply('ERR lease ttl must be above 0')
end
local held = redis.call('GET', KEYS[1])
if held and #ARGV[1] == 32 and string.sub(held, 1, 33) == ARGV[1] .. ' ' then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
