-- Records again what a node holds, after the store may have lost it or given it up: idle, or in a pair.
--
-- KEYS[1], ARGV[1..3]  as in pool.lua
-- ARGV[4..7]    session, node, epoch, device
-- ARGV[8..13]   the pair or '', its mode, role, partner, shared interests (one a line), language or ''
--
-- Returns { held, the node of the pair's other side and its epoch there, or '' and 0 }, or one of
--   { over (the other side is in this pair no more; without one: there is a ticket or a pair all the same)
--   | alone (the other side is not known) | superseded }

local session, pair = ARGV[4], ARGV[8]
local record, superseded = held(session, ARGV[5], tonumber(ARGV[6]))
if superseded then return { 'superseded' } end
-- What the store knows goes first: a pair that it does not know of this session is over.
if record then
  if pair == '' then return { record.since and 'over' or 'held', '', 0 } end
  if record.pair ~= pair then return { 'over' } end
  local partner = partnerOf(record)
  return partner and { 'held', partner.node, partner.epoch } or { 'alone' }
end

record = { device = ARGV[7] }
hold(session, record, ARGV[5], tonumber(ARGV[6]))
local answer = { 'held', '', 0 }
if pair ~= '' then
  local partner = read(ARGV[11])
  if partner and partner.pair ~= pair then
    answer = { 'over' }
  else
    local shared = {}
    for interest in string.gmatch(ARGV[12], '[^\n]+') do shared[#shared + 1] = interest end
    pairUp(record, pair, ARGV[11], ARGV[10], shared, ARGV[13] ~= '' and ARGV[13] or nil)
    answer = partner and { 'held', partner.node, partner.epoch } or { 'alone' }
    record.mode, record.interests, record.languages, record.strict = ARGV[9], {}, {}, false
    place(session, record, now)
  end
end
write(session, record)
return answer
