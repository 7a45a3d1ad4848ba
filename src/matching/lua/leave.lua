-- Stops waiting, or ends the pair, whichever it is now; with `end` the session itself is over as well.
--
-- KEYS[1], ARGV[1..3]  as in pool.lua
-- ARGV[4..6]  session, node, epoch
-- ARGV[7]     'end' or ''
--
-- Returns left leftPartner leftNode, each '' when no pair ended.

local session = ARGV[4]
local key = base .. 's:' .. session
local record = read(session)
if not holds(session, record, ARGV[5], ARGV[6]) then return { '', '', '' } end

local left, partner, node = '', '', ''
if record[STATE] == 'paired' then
  left, partner, node = part(session, record)
elseif record[STATE] == 'waiting' then
  unfile(session, record)
  call('HDEL', key, 'filed', 'since')
  call('HSET', key, 'state', 'idle')
end
if ARGV[7] == 'end' then forget(session, record) end
return { left, partner, node }
