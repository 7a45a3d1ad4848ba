-- The pool and the nodes in numbers.
--
-- KEYS[1], ARGV[1..3]  as in pool.lua
-- ARGV[4]  how many interests at most
--
-- Returns tickets for video, tickets for text, { interest and tickets, most wished first } and { node, for how many ms
-- it still holds its lease (0 or less: it ran out), its visitors online, its visitors waiting }.

local waiting = call('HMGET', base .. 'waiting', 'video', 'text')
local wished = call('ZREVRANGE', base .. 'wished', 0, ARGV[4] - 1, 'WITHSCORES')
local all, nodes = call('ZRANGE', base .. 'nodes', 0, -1, 'WITHSCORES'), {}
for n = 1, #all, 2 do
  local o, w = string.match(call('HGET', base .. 'counts', all[n]) or '0 0', '(%d+) (%d+)')
  for _, field in ipairs({ all[n], tonumber(all[n + 1]) - now, o, w }) do nodes[#nodes + 1] = field end
end
return { waiting[1] or '0', waiting[2] or '0', wished, nodes }
