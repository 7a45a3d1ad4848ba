-- The connection of a session is lost: its ticket leaves the pool but keeps its place.
--
-- KEYS[1], ARGV[1..3]  as in pool.lua
-- ARGV[4..6]  session, node, epoch
--
-- Returns nothing.

local session = ARGV[4]
local record = held(session, ARGV[5], tonumber(ARGV[6]))
if record and record.filed then
  unfile(session, record)
  write(session, record)
end
