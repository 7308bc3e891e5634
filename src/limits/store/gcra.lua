-- The generic cell rate algorithm over one key. The server runs it as a whole, by its own clock: guards whose clocks
-- differ agree, and no two of them can take the same unit.
--   KEYS[1]  the bucket
--   ARGV     microseconds a unit takes to come back, units a full bucket holds, units to take,
--            and 1 to take what is there where that is less
-- Answers whether they were taken, microseconds until they could be, units left, and the server's time in microseconds.
-- All numbers stay below 2^53, up to which a double holds every integer.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local interval = tonumber(ARGV[1])
local full = interval * tonumber(ARGV[2])
local weight = interval * tonumber(ARGV[3])

-- What is no time, or of another type, is nothing that a guard has kept, and is written over. An error would close the
-- connection for all buckets.
local kept = redis.pcall('GET', KEYS[1])
if type(kept) == 'table' and not string.find(kept.err, 'WRONGTYPE', 1, true) then
  return kept
end

-- What is kept is the time at which the bucket is full again. One further away than an empty bucket needs comes from a
-- server whose clock was ahead: it would close the limit for as long.
local owed = (tonumber(kept) or now) - now
owed = math.min(math.max(owed, 0), full)

local wait = owed + weight - full
if wait > 0 and ARGV[4] == '1' then
  weight = full - owed
  weight = weight - weight % interval
  wait = 0
end
if wait > 0 then
  return {0, wait, math.floor((full - owed) / interval), now}
end
owed = owed + weight
if weight > 0 then
  redis.call('SET', KEYS[1], string.format('%.0f', now + owed), 'PX', math.ceil(owed / 1000))
end
return {1, 0, math.floor((full - owed) / interval), now}
