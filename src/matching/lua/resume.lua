-- Takes a session over to a node, whatever node held it. Its ticket leaves the pool but keeps its place.
--
-- KEYS[1], ARGV[1..3]  as in pool.lua
-- ARGV[4..5]  session, node
--
-- Returns false when there is no such session, else: epoch device previousNode, and one of
--   idle
--   waiting  since mode interests languages strict
--   paired   pair mode role partner node shared language

local session, node = ARGV[4], ARGV[5]
local key = base .. 's:' .. session
local record = read(session)
if not record[NODE] then return false end

local previous = record[NODE]
hold(session, record, node, tonumber(record[EPOCH]) + 1)
if record[FILED] then
  unfile(session, record)
  call('HDEL', key, 'filed')
end

if record[STATE] == 'waiting' then
  return { record[EPOCH], record[DEVICE], previous, 'waiting', record[SINCE], record[MODE], record[INTERESTS],
    record[LANGUAGES], record[STRICT] }
end
local partner = partnerOf(record)
if partner then return { record[EPOCH], record[DEVICE], previous, 'paired', matchOf(record, partner) } end
if record[STATE] == 'paired' then becomeIdle(session, record) end
return { record[EPOCH], record[DEVICE], previous, 'idle' }
