-- The pool and the nodes in numbers; of the interests one page a call.
--
-- KEYS[1], ARGV[1..3]  as in pool.lua
-- ARGV[4..5]  how many interests at most, the cursor of the page (0 at first)
--
-- Returns tickets for video, tickets for text, { node, for how many ms it still holds its lease (0 or less: it ran out),
-- its visitors online, its visitors waiting }, the cursor of the next page (0 when this was the last), { interest and
-- tickets, the most wished of the page first }.

local waiting = call('HMGET', base .. 'waiting', 'video', 'text')
local all, nodes = call('ZRANGE', base .. 'nodes', 0, -1, 'WITHSCORES'), {}
for n = 1, #all, 2 do
  local o, w = string.match(call('HGET', base .. 'counts', all[n]) or '0 0', '(%d+) (%d+)')
  for _, field in ipairs({ all[n], tonumber(all[n + 1]) - now, o, w }) do nodes[#nodes + 1] = field end
end

local scanned, page = call('HSCAN', base .. 'wished', ARGV[5], 'COUNT', 1000), {}
for f = 1, #scanned[2], 2 do page[#page + 1] = { scanned[2][f], tonumber(scanned[2][f + 1]) } end
table.sort(page, function(a, b)
  if a[2] ~= b[2] then return a[2] > b[2] end
  return a[1] > b[1]
end)
local best = {}
for n = 1, math.min(#page, tonumber(ARGV[4])) do best[2 * n - 1], best[2 * n] = page[n][1], page[n][2] end
return { waiting[1] or '0', waiting[2] or '0', nodes, scanned[1], best }
