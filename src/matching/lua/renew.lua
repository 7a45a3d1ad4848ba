-- Renews the lease of a node, says who lives, and forgets dead nodes that have no sessions left.
--
-- KEYS[1], ARGV[1..3]  as in pool.lua
-- ARGV[4..7]  node, lease in ms, its visitors online, its visitors waiting
--
-- Returns since when the node holds its lease, online, waiting, the nodes alive, the dead ones that still have sessions.

local node = ARGV[4]
local nodes, counts = base .. 'nodes', base .. 'counts'
local since = alive(node) and string.match(call('HGET', counts, node) or '', '%d+$') or string.format('%.0f', now)
call('ZADD', nodes, now + ARGV[5], node)
call('HSET', counts, node, ARGV[6] .. ' ' .. ARGV[7] .. ' ' .. since)

local online, waiting, living, dead = 0, 0, {}, {}
local all = call('ZRANGE', nodes, 0, -1, 'WITHSCORES')
for n = 1, #all, 2 do
  local other = all[n]
  if tonumber(all[n + 1]) > now then
    living[#living + 1] = other
    local o, w = string.match(call('HGET', counts, other) or '0 0', '(%d+) (%d+)')
    online, waiting = online + o, waiting + w
  elseif call('EXISTS', base .. 'at:' .. other) == 1 then
    dead[#dead + 1] = other
  else
    call('ZREM', nodes, other)
    call('HDEL', counts, other)
  end
end
return { since, online, waiting, living, dead }
