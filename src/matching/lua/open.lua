-- Records a fresh session, unless it is recorded already.
--
-- KEYS[1], ARGV[1..3]  as in pool.lua
-- ARGV[4..7]  session, node, epoch, device
--
-- Returns nothing.

local session = ARGV[4]
if not read(session) then
  local record = { device = ARGV[7] }
  hold(session, record, ARGV[5], tonumber(ARGV[6]))
  write(session, record)
end
