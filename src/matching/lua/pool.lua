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
--   counts              hash, node → "online waiting", and since when it holds its lease
--   at:<node>           zset, session → 0, or since its node was found dead when it ends
--   s:<session>         the session's record, MessagePack; below
--   r:<device>          zset, partner's device → when their pair ended
--   b:<device>          zset, device it has blocked → when that ends
--   d:<device>          set of its sessions that have a place: they wait or are in a pair
--   waiting             hash, mode → tickets in the pool
--   wished              hash, interest → tickets in the pool that wish it
--   <mode>:open, <mode>:i:<interest>, <mode>:l:<language>, <mode>:il:<language>:<interest>
--                       zsets, session → since: the lists (README.md). A language has no colon, and comes first.
--
-- A record is packed because it is read and written whole: one call each, at half the cost of a hash.
--   node, epoch, device
--   mode, interests, languages, strict    the last wish
--   since                                 there while it waits or is in a pair: the ticket's place
--   filed                                 there while the ticket is in the lists; which of its preferences gave way
--                                         (0 none, 1 interests, 2 languages, 3 both)
--   pair, partner, role, shared, language there while it is in a pair
--   last, lastDevice, lastEnd             the pair before, its other side's device, when it ended
--   doomed                                there once its node was found dead

local call = redis.call
local base = KEYS[1]
local now = tonumber(ARGV[1])
local simulated = now ~= nil
if not simulated then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local function read(session)
  local packed = call('GET', base .. 's:' .. session)
  return packed and cmsgpack.unpack(packed)
end

local function write(session, record)
  call('SET', base .. 's:' .. session, cmsgpack.pack(record))
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

-- Takes a ticket out of the lists, if it is there. The record is the caller's to write, as in all that follows.
local function unfile(session, record)
  if not record.filed then return end
  local interests = record.interests
  local keys = lists(record.mode, interests, record.languages, record.filed)
  for k = 1, #keys do call('ZREM', keys[k], session) end
  call('HINCRBY', base .. 'waiting', record.mode, -1)
  for i = 1, #interests do
    if call('HINCRBY', base .. 'wished', interests[i], -1) <= 0 then call('HDEL', base .. 'wished', interests[i]) end
  end
  record.filed = nil
end

-- The record of the pair's other side, or nil when that side is in this pair no more.
local function partnerOf(record)
  local partner = record.pair and read(record.partner)
  return partner and partner.pair == record.pair and partner or nil
end

-- Makes two sessions partners; `both` is what they share. Each keeps its place, should the match be undone.
local function pairUp(record, pair, partner, role, shared, language)
  record.pair, record.partner, record.role, record.shared, record.language = pair, partner, role, shared, language
end

-- Gives a session the place in the order of waiting that it keeps until it is idle.
local function place(session, record, since)
  if not record.since then call('SADD', base .. 'd:' .. record.device, session) end
  record.since = since
end

local function becomeIdle(session, record)
  pairUp(record, nil)
  if record.since then call('SREM', base .. 'd:' .. record.device, session) end
  record.since = nil
end

-- What a session in a pair sees of it, for an answer: pair mode role partner node epoch shared language.
local function matchOf(record, partner)
  return { record.pair, record.mode, record.role, record.partner, partner.node, partner.epoch, record.shared,
    record.language or '' }
end

local function forget(session, record)
  becomeIdle(session, record)
  call('DEL', base .. 's:' .. session)
  call('ZREM', base .. 'at:' .. record.node, session)
end

local function remember(device, partnerDevice)
  local key = base .. 'r:' .. device
  call('ZADD', key, now, partnerDevice)
  call('ZREMRANGEBYRANK', key, 0, -1 - tonumber(ARGV[3]))
  if not simulated then call('PEXPIRE', key, ARGV[2]) end
end

-- Ends the pair of a record on both sides, who then count as recent partners. Writes the other side's record; returns
-- { pair, partner, partner's node } for an answer, or {} when the other side was in this pair no more.
local function part(session, record)
  local pair, other, partner = record.pair, record.partner, partnerOf(record)
  becomeIdle(session, record)
  if not partner then return {} end
  becomeIdle(other, partner)
  record.last, record.lastDevice, record.lastEnd = pair, partner.device, now
  partner.last, partner.lastDevice, partner.lastEnd = pair, record.device, now
  write(other, partner)
  remember(record.device, partner.device)
  remember(partner.device, record.device)
  return { pair, other, partner.node }
end

-- Makes a node the holder of a session. A node that has given its lease up, or lost it, is listed again as a dead one:
-- else nobody would ever reap what a late call of it left here.
local function hold(session, record, node, epoch)
  call('ZADD', base .. 'nodes', 'NX', now, node)
  if record.node and record.node ~= node then call('ZREM', base .. 'at:' .. record.node, session) end
  call('ZADD', base .. 'at:' .. node, 0, session)
  record.node, record.epoch, record.doomed = node, epoch, nil
end

-- The record of a session that the caller holds, and else nil, with true when another node holds it. A higher epoch
-- than the record's is a takeover that the store has lost: it counts.
local function held(session, node, epoch)
  local record = read(session)
  if not record then return nil end
  if record.node ~= node or record.epoch ~= epoch then
    if epoch <= record.epoch then return nil, true end
    hold(session, record, node, epoch)
    write(session, record)
  elseif record.doomed then
    hold(session, record, node, epoch)
    write(session, record)
  end
  return record
end
