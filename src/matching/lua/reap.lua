-- Deals with some sessions of a dead node: at first their tickets leave the pool and their grace begins, then they end.
--
-- KEYS[1], ARGV[1..3]  as in pool.lua
-- ARGV[4..6]  node, grace in ms, how many sessions at most
--
-- Returns more (1 or 0), then for each session in a pair: ended (1 or 0), pair, partner, partner's node.

local node, most = ARGV[4], tonumber(ARGV[6])
local sessions = base .. 'at:' .. node
if alive(node) then return { 0 } end

-- The score is 0 while nobody has noticed, then the end of the grace.
local due = call('ZRANGEBYSCORE', sessions, '-inf', now, 'LIMIT', 0, most + 1)
local answer = { 0 }
if #due > most then
  answer[1] = 1
  due[#due] = nil
end
for _, session in ipairs(due) do
  local record = read(session)
  if record then
    local partner = partnerOf(record)
    if partner then
      for _, field in ipairs({ record.doomed and 1 or 0, record.pair, record.partner, partner.node }) do
        answer[#answer + 1] = field
      end
    end
    unfile(session, record)
    if record.doomed then
      if record.pair then part(session, record) end
      forget(session, record)
    else
      record.doomed = true
      call('ZADD', sessions, now + ARGV[5], session)
      write(session, record)
    end
  else
    call('ZREM', sessions, session)
  end
end
return answer
