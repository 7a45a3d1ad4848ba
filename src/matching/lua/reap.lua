-- Deals with some sessions of a dead node: at first their tickets leave the pool and their grace begins, then they end.
--
-- KEYS[1], ARGV[1..3]  as in pool.lua
-- ARGV[4..6]  node, grace in ms, how many sessions at most
--
-- Returns more (1 or 0), then for each session in a pair: ended (1 or 0), pair, partner, partner's node.

local node, most = ARGV[4], tonumber(ARGV[6])
local sessions = base .. 'at:' .. node
if alive(node) then return { 0 } end

local answer = { 0 }
local function orphan(ended, pair, partner, home)
  local n = #answer
  answer[n + 1], answer[n + 2], answer[n + 3], answer[n + 4] = ended, pair, partner, home
end

-- The score is 0 while nobody has noticed, then the end of the grace.
local due = call('ZRANGEBYSCORE', sessions, '-inf', now, 'LIMIT', 0, most + 1)
if #due > most then
  answer[1] = 1
  due[#due] = nil
end
for _, session in ipairs(due) do
  local key = base .. 's:' .. session
  local record = read(session)
  if record[DOOMED] then
    if record[STATE] == 'paired' then
      local pair, partner, home = part(session, record)
      if pair ~= '' then orphan(1, pair, partner, home) end
    else
      unfile(session, record)
    end
    forget(session, record)
  elseif record[NODE] then
    unfile(session, record)
    call('HDEL', key, 'filed')
    call('HSET', key, 'doomed', 1)
    call('ZADD', sessions, now + ARGV[5], session)
    local partner = partnerOf(record)
    if partner then orphan(0, record[PAIR], record[PARTNER], partner[NODE]) end
  else
    call('ZREM', sessions, session)
  end
end
return answer
