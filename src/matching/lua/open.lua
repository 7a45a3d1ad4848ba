-- Records a fresh session, unless it is recorded already.
--
-- KEYS[1], ARGV[1..3]  as in pool.lua
-- ARGV[4..7]  session, node, epoch, device
--
-- Returns nothing.

local session = ARGV[4]
local record = read(session)
if not record[NODE] then
  hold(session, record, ARGV[5], ARGV[6])
  call('HSET', base .. 's:' .. session, 'device', ARGV[7], 'state', 'idle')
end
