-- Records again what a node holds, after the store may have lost it or given it up: idle, or in a pair.
--
-- KEYS[1], ARGV[1..3]  as in pool.lua
-- ARGV[4..7]    session, node, epoch, device
-- ARGV[8..13]   the pair or '', its mode, role, partner, shared interests (one a line), language or ''
--
-- Returns held | over (the other side is in this pair no more: the session is idle) | superseded

local session = ARGV[4]
local key = base .. 's:' .. session
local record = read(session)
local held = holds(session, record, ARGV[5], ARGV[6])
if held == false then return 'superseded' end
if held then
  -- The record knows better. A pair that it does not know is over.
  if ARGV[8] ~= '' and record[PAIR] ~= ARGV[8] then return 'over' end
  return 'held'
end

hold(session, record, ARGV[5], ARGV[6])
call('HSET', key, 'device', ARGV[7], 'state', 'idle')
if ARGV[8] == '' then return 'held' end
local partner = read(ARGV[11])
if partner[NODE] and partner[PAIR] ~= ARGV[8] then return 'over' end
call('HSET', key, 'state', 'paired', 'pair', ARGV[8], 'mode', ARGV[9], 'role', ARGV[10], 'partner', ARGV[11],
  'shared', ARGV[12], 'language', ARGV[13], 'interests', '', 'languages', '', 'strict', '', 'since', now)
return 'held'
