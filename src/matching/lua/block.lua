-- Keeps two devices apart, and ends their pair if it is the current one.
--
-- KEYS[1], ARGV[1..3]  as in pool.lua
-- ARGV[4..6]  session, node, epoch
-- ARGV[7]     the pair: the current one, or the last one
-- ARGV[8..10] blockFor in ms, how many blocks a device has at most (its newest), for how many ms the last pair counts
--
-- Returns false when the pair is neither, superseded when another node holds the session, else: partnerDevice, and
-- { pair, partner, node } of the pair that ended or {}.

local session, pair = ARGV[4], ARGV[7]
local record, superseded = held(session, ARGV[5], tonumber(ARGV[6]))
if superseded then return 'superseded' end
if not record then return false end

local left = {}
if record.pair == pair then
  left = part(session, record)
  write(session, record)
end
if record.last ~= pair or now - record.lastEnd > tonumber(ARGV[10]) then return false end

local key = base .. 'b:' .. record.device
call('ZREMRANGEBYSCORE', key, '-inf', now)
call('ZADD', key, now + ARGV[8], record.lastDevice)
call('ZREMRANGEBYRANK', key, 0, -1 - tonumber(ARGV[9]))
if not simulated then call('PEXPIRE', key, ARGV[8]) end
return { record.lastDevice, left }
