-- What every script of the pool shares; it stands before each of them as one text.
--
-- KEYS[1]  the pool's prefix with its hash tag; every key is this and a suffix, so that all live in one slot
-- ARGV[1]  now in ms, or '' for the server's own clock (a number is for tests and simulation: nothing expires then
--          by the server's real clock)
-- ARGV[2]  recentFor in ms
-- ARGV[3]  recentMost
--
-- Keys, after the prefix:
--   nodes               zset, node → when its lease ends
--   counts              hash, node → "online waiting"
--   at:<node>           zset, session → 0, or when it ends, since its node was found dead
--   s:<session>         hash, the record; fields below
--   r:<device>          zset, partner's device → when their pair ended
--   b:<device>          zset, device it has blocked → when that ends
--   waiting             hash, mode → tickets in the pool
--   wished              zset, interest → tickets in the pool that wish it
--   <mode>:open, <mode>:i:<interest>, <mode>:l:<language>, <mode>:il:<language>:<interest>
--                       zsets, session → since: the lists (README.md). A language has no colon, and comes first.

local call = redis.call
local base = KEYS[1]
local now = tonumber(ARGV[1])
local simulated = now ~= nil
if not simulated then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The fields of a record, as `read` returns them. `filed` is there while the ticket is in the lists, and says which
-- of its preferences gave way (1 interests, 2 languages, 3 both). `doomed` is there once its node was found dead.
local NODE, EPOCH, DEVICE, STATE, SINCE, FILED, MODE, INTERESTS, LANGUAGES, STRICT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
local PAIR, PARTNER, ROLE, SHARED, LANGUAGE, DOOMED = 11, 12, 13, 14, 15, 16

local function read(session)
  return call('HMGET', base .. 's:' .. session, 'node', 'epoch', 'device', 'state', 'since', 'filed', 'mode',
    'interests', 'languages', 'strict', 'pair', 'partner', 'role', 'shared', 'language', 'doomed')
end

local function split(text)
  local parts, n = {}, 0
  for part in string.gmatch(text, '[^\n]+') do
    n = n + 1
    parts[n] = part
  end
  return parts
end

local function alive(node)
  local expiry = call('ZSCORE', base .. 'nodes', node)
  return expiry and tonumber(expiry) > now
end

-- The lists of a ticket. Two tickets share one if and only if each side that insists shares what it insists on.
-- Returns the keys and, for each, the number of the interest it stands for (0: none) and whether it stands for a
-- language. The lists of one interest are neighbours.
local function lists(mode, interests, languages, gave)
  local keys, interest, spoken, n = {}, {}, {}, 0
  local root = base .. mode
  local interestsGave, languagesGave = gave % 2 == 1, gave >= 2
  for i = 1, #interests do
    for l = 1, #languages do
      n = n + 1
      keys[n], interest[n], spoken[n] = root .. ':il:' .. languages[l] .. ':' .. interests[i], i, true
    end
    if languagesGave then
      n = n + 1
      keys[n], interest[n], spoken[n] = root .. ':i:' .. interests[i], i, false
    end
  end
  if interestsGave then
    for l = 1, #languages do
      n = n + 1
      keys[n], interest[n], spoken[n] = root .. ':l:' .. languages[l], 0, true
    end
    if languagesGave then
      n = n + 1
      keys[n], interest[n], spoken[n] = root .. ':open', 0, false
    end
  end
  return keys, interest, spoken
end

-- Takes a ticket out of the pool. The record's `filed` is the caller's to remove.
local function unfile(session, record)
  if not record[FILED] then return end
  local interests = split(record[INTERESTS])
  local keys = lists(record[MODE], interests, split(record[LANGUAGES]), tonumber(record[FILED]))
  for k = 1, #keys do call('ZREM', keys[k], session) end
  call('HINCRBY', base .. 'waiting', record[MODE], -1)
  for i = 1, #interests do
    if tonumber(call('ZINCRBY', base .. 'wished', -1, interests[i])) <= 0 then
      call('ZREM', base .. 'wished', interests[i])
    end
  end
end

-- The record of the pair's other side, or nil when that side is in this pair no more.
local function partnerOf(record)
  if record[STATE] ~= 'paired' then return nil end
  local partner = read(record[PARTNER])
  if partner[PAIR] ~= record[PAIR] then return nil end
  return partner
end

-- The pair of a record as its session sees it, for an answer: see `match` in redis-matcher.ts.
local function matchOf(record, partner)
  return record[PAIR], record[MODE], record[ROLE], record[PARTNER], partner[NODE], record[SHARED], record[LANGUAGE]
end

local function remember(device, partnerDevice)
  local key = base .. 'r:' .. device
  call('ZADD', key, now, partnerDevice)
  call('ZREMRANGEBYRANK', key, 0, -1 - tonumber(ARGV[3]))
  if not simulated then call('PEXPIRE', key, ARGV[2]) end
end

-- `partner` is the other side's record, or nil when there is none to remember.
local function becomeIdle(session, record, partner)
  local key = base .. 's:' .. session
  call('HDEL', key, 'pair', 'partner', 'role', 'shared', 'language', 'since')
  call('HSET', key, 'state', 'idle')
  if partner then call('HSET', key, 'last', record[PAIR], 'lastDevice', partner[DEVICE], 'lastEnd', now) end
end

-- Ends the pair of a record on both sides, who then count as recent partners. Returns the pair, the partner and the
-- partner's node for an answer, or three times '' when the other side is in this pair no more.
local function part(session, record)
  local partner = partnerOf(record)
  becomeIdle(session, record, partner)
  if not partner then return '', '', '' end
  becomeIdle(record[PARTNER], partner, record)
  remember(record[DEVICE], partner[DEVICE])
  remember(partner[DEVICE], record[DEVICE])
  return record[PAIR], record[PARTNER], partner[NODE]
end

-- Makes a node the holder of a session, in the record and among the sessions of the node.
local function hold(session, record, node, epoch)
  local key = base .. 's:' .. session
  if record[NODE] and record[NODE] ~= node then call('ZREM', base .. 'at:' .. record[NODE], session) end
  call('ZADD', base .. 'at:' .. node, 0, session)
  call('HSET', key, 'node', node, 'epoch', epoch)
  if record[DOOMED] then call('HDEL', key, 'doomed') end
  record[NODE], record[EPOCH], record[DOOMED] = node, epoch, false
end

-- Whether the caller holds the session: true, false when another node does, nil when there is no such session. A
-- higher epoch than the record's is a takeover that the store has lost: it counts.
local function holds(session, record, node, epoch)
  if not record[NODE] then return nil end
  if record[NODE] == node and record[EPOCH] == epoch then
    if record[DOOMED] then hold(session, record, node, epoch) end
    return true
  end
  if tonumber(epoch) <= tonumber(record[EPOCH]) then return false end
  hold(session, record, node, epoch)
  return true
end

-- Removes a session that is idle or whose ticket is out of the pool.
local function forget(session, record)
  call('DEL', base .. 's:' .. session)
  call('ZREM', base .. 'at:' .. record[NODE], session)
end
