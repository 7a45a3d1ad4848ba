-- Takes a session over to a node, whatever node held it. Its ticket leaves the pool but keeps its place. The epoch
-- rises unless the node holds it already: so the same call may be made again when its answer was lost, and with
-- `here` it takes the session from no other node.
--
-- KEYS[1], ARGV[1..3]  as in pool.lua
-- ARGV[4..6]  session, node, `here` or ''
--
-- Returns false when there is no such session, or not here if that is asked, else: epoch device previousNode, and one of
--   idle
--   waiting  since mode interests languages strict(1 or 0)
--   paired   match

local session, node = ARGV[4], ARGV[5]
local record = read(session)
if not record or (ARGV[6] == 'here' and record.node ~= node) then return false end

local previous, partner = record.node, partnerOf(record)
hold(session, record, node, previous == node and record.epoch or record.epoch + 1)
unfile(session, record)
if record.pair and not partner then becomeIdle(session, record) end
write(session, record)

if partner then return { record.epoch, record.device, previous, 'paired', matchOf(record, partner) } end
if not record.since then return { record.epoch, record.device, previous, 'idle' } end
return { record.epoch, record.device, previous, 'waiting', record.since, record.mode, record.interests,
  record.languages, record.strict and 1 or 0 }
