-- Stops waiting, or ends the pair, whichever it is now; with `end` the session itself is over as well.
--
-- KEYS[1], ARGV[1..3]  as in pool.lua
-- ARGV[4..6]  session, node, epoch
-- ARGV[7]     'end' or ''
--
-- Returns { pair, partner, node } of the pair that ended, or {}; superseded when another node holds the session.

local session = ARGV[4]
local record, superseded = held(session, ARGV[5], tonumber(ARGV[6]))
if superseded then return 'superseded' end
if not record then return {} end

local left = {}
unfile(session, record)
if record.pair then left = part(session, record) else becomeIdle(session, record) end
if ARGV[7] == 'end' then forget(session, record) else write(session, record) end
return left
