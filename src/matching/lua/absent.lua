-- The connection of a session is lost: its ticket leaves the pool but keeps its place.
--
-- KEYS[1], ARGV[1..3]  as in pool.lua
-- ARGV[4..6]  session, node, epoch
--
-- Returns nothing.

local session = ARGV[4]
local record = read(session)
if holds(session, record, ARGV[5], ARGV[6]) and record[FILED] then
  unfile(session, record)
  call('HDEL', base .. 's:' .. session, 'filed')
end
