-- The pool in numbers.
--
-- KEYS[1], ARGV[1..3]  as in pool.lua
-- ARGV[4]  how many interests at most
--
-- Returns tickets for video, tickets for text, then interest and tickets, most wished first.

local answer = call('ZREVRANGE', base .. 'wished', 0, ARGV[4] - 1, 'WITHSCORES')
local waiting = call('HMGET', base .. 'waiting', 'video', 'text')
table.insert(answer, 1, waiting[2] or '0')
table.insert(answer, 1, waiting[1] or '0')
return answer
