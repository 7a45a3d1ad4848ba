-- Keeps two devices apart, and ends their pair if it is the current one.
--
-- KEYS[1], ARGV[1..3]  as in pool.lua
-- ARGV[4..6]  session, node, epoch
-- ARGV[7]     the pair: the current one, or the last one
-- ARGV[8..10] blockFor in ms, how many blocks a device has at most (its newest), for how many ms the last pair counts
--
-- Returns false when the pair is neither, else: partnerDevice left leftPartner leftNode, with '' when no pair ended.

local session, pair = ARGV[4], ARGV[7]
local record = read(session)
if not holds(session, record, ARGV[5], ARGV[6]) then return false end

local device, left, leftPartner, leftNode = nil, '', '', ''
if record[STATE] == 'paired' and record[PAIR] == pair then
  left, leftPartner, leftNode = part(session, record)
end
local last = call('HMGET', base .. 's:' .. session, 'last', 'lastDevice', 'lastEnd')
if last[1] ~= pair or now - last[3] > tonumber(ARGV[10]) then return false end

local key = base .. 'b:' .. record[DEVICE]
call('ZREMRANGEBYSCORE', key, '-inf', now)
call('ZADD', key, now + ARGV[8], last[2])
call('ZREMRANGEBYRANK', key, 0, -1 - tonumber(ARGV[9]))
if not simulated then call('PEXPIRE', key, ARGV[8]) end
return { last[2], left, leftPartner, leftNode }
