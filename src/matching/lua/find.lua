-- Asks for a partner, for `find` and `undo`: ends or undoes the pair there is, claims the best ticket, or files ours.
-- The work does not grow with the pool: it reads a bounded number of tickets at the head of at most 66 lists.
--
-- KEYS[1], ARGV[1..3]  as in pool.lua
-- ARGV[4..7]    session, node, epoch, device
-- ARGV[8..10]   the pair to leave or '', the pair to undo or '', when the ticket began to wait or ''
-- ARGV[11..14]  the wish: mode, interests and languages (one a line each), '1' if strict or ''
-- ARGV[15..17]  interestsAfter, languagesAfter, recentAfter in ms
-- ARGV[18]      a fresh pair id
--
-- Returns one of
--   fenced | superseded
--   claimed  pair mode role partner node shared language
--   matched  pair waited partnerWaited partner node shared language  left leftPartner leftNode  device blocked recent gone
--   waiting  since retryIn relaxed(1 interests, 2 languages, 4 recent)  left …  device blocked recent gone
-- with '' for none and shared interests one a line.

local session, node, epoch, device = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local mode, strict = ARGV[11], ARGV[14]
local interests, languages = split(ARGV[12]), split(ARGV[13])
local recentFor, recentAfter = tonumber(ARGV[2]), tonumber(ARGV[17])
local key = base .. 's:' .. session

-- How many tickets of each list are read at first, how many in all before the search goes no deeper, and how many
-- tickets of dead nodes a call takes out. Lists are short (README.md): only tickets that must not meet pile up in one.
local HEAD, MOST, DROPS = 32, 4096, 8
-- A ticket asks again at least this often, so that one that was lost by any accident heals.
local HEAL = 30000

if not alive(node) then return { 'fenced' } end

local mine = read(session)
local held = holds(session, mine, node, epoch)
if held == false then return { 'superseded' } end
if held == nil then
  hold(session, mine, node, epoch)
  call('HSET', key, 'device', device, 'state', 'idle')
end

local left, leftPartner, leftNode = '', '', ''
local since
if mine[STATE] == 'paired' then
  if mine[PAIR] == ARGV[9] then
    local partner = partnerOf(mine)
    if partner then
      -- Out of reach until its own node asks for it again: else the two would meet and be undone for ever.
      local theirs = base .. 's:' .. mine[PARTNER]
      call('HDEL', theirs, 'pair', 'partner', 'role', 'shared', 'language')
      call('HSET', theirs, 'state', 'waiting')
    end
    call('HDEL', key, 'pair', 'partner', 'role', 'shared', 'language')
    since = mine[SINCE]
  elseif mine[PAIR] == ARGV[8] then
    left, leftPartner, leftNode = part(session, mine)
    since = now
  else
    local partner = partnerOf(mine)
    if partner then return { 'claimed', matchOf(mine, partner) } end
    becomeIdle(session, mine)
  end
elseif mine[STATE] == 'waiting' then
  since = mine[SINCE]
end
since = math.min(tonumber(since) or tonumber(ARGV[10]) or now, now)

local waited = now - since
local interestsGave = #interests == 0 or (strict == '' and waited >= tonumber(ARGV[15]))
local languagesGave = #languages == 0 or (strict == '' and waited >= tonumber(ARGV[16]))
local recentGave = waited >= recentAfter
local gave = (interestsGave and 1 or 0) + (languagesGave and 2 or 0)

local keys, interest, spoken = lists(mode, interests, languages, gave)

-- Candidates, by what they share: `shared` counts interests, as the lists of one interest are neighbours.
local candidates, found, shared, speaks, counted = {}, {}, {}, {}, {}
local reads, from, more = 0, {}, {}

local function look(k, first, last)
  local head = call('ZRANGE', keys[k], first, last, 'WITHSCORES')
  reads = reads + #head / 2
  for h = 1, #head, 2 do
    local candidate = head[h]
    if not found[candidate] then
      if candidate ~= session then candidates[#candidates + 1] = candidate end
      found[candidate], shared[candidate] = tonumber(head[h + 1]), 0
    end
    if interest[k] > 0 and counted[candidate] ~= interest[k] then
      counted[candidate] = interest[k]
      shared[candidate] = shared[candidate] + 1
    end
    if spoken[k] then speaks[candidate] = true end
  end
  return #head == 2 * (last - first + 1)
end

-- M5
local function better(a, b)
  if shared[a] ~= shared[b] then return shared[a] > shared[b] end
  if speaks[a] ~= speaks[b] then return speaks[a] == true end
  if found[a] ~= found[b] then return found[a] < found[b] end
  return a < b
end

local sameDevice, blocked, recent, gone = 0, 0, 0, 0
local drops = DROPS
local retryIn = HEAL
local chosen, fallback
local aliveNodes = {}
local myBlocks, myRecents = base .. 'b:' .. device, base .. 'r:' .. device

-- How long from now until both ends are past, or nil if they are.
local function remaining(a, b)
  local last = math.max(tonumber(a) or 0, tonumber(b) or 0)
  if last > now then return last - now end
end

-- Whether the candidate may be taken at once; counts why not.
local function fits(candidate)
  local theirs = call('HMGET', base .. 's:' .. candidate, 'node', 'filed', 'device')
  if not theirs[2] then
    -- No such ticket: the store has lost its record. Takes what is left of it out of the lists.
    gone = gone + 1
    for k = 1, #keys do call('ZREM', keys[k], candidate) end
    return false
  end
  local home = theirs[1]
  if aliveNodes[home] == nil then aliveNodes[home] = alive(home) or false end
  if not aliveNodes[home] then
    gone = gone + 1
    if drops > 0 then
      drops = drops - 1
      unfile(candidate, read(candidate))
      call('HDEL', base .. 's:' .. candidate, 'filed')
    end
    return false
  end
  local other = theirs[3]
  if other == device then
    sameDevice = sameDevice + 1
    return false
  end
  local apart = remaining(call('ZSCORE', myBlocks, other), call('ZSCORE', base .. 'b:' .. other, device))
  if apart then
    blocked = blocked + 1
    retryIn = math.min(retryIn, apart)
    return false
  end
  local ours, itsOwn = call('ZSCORE', myRecents, other), call('ZSCORE', base .. 'r:' .. other, device)
  apart = remaining(ours and ours + recentFor, itsOwn and itsOwn + recentFor)
  if apart then
    recent = recent + 1
    retryIn = math.min(retryIn, apart)
    if not fallback and recentGave and now - found[candidate] >= recentAfter then fallback = candidate end
    return false
  end
  return true
end

for k = 1, #keys do
  from[k] = HEAD
  if look(k, 0, HEAD - 1) then more[#more + 1] = k end
end
while true do
  if #candidates > 1 then table.sort(candidates, better) end
  for c = 1, #candidates do
    if fits(candidates[c]) then
      chosen = candidates[c]
      break
    end
  end
  if chosen or #more == 0 or reads >= MOST then break end
  candidates = {}
  local still = {}
  for m = 1, #more do
    local k = more[m]
    if look(k, from[k], 2 * from[k] - 1) then still[#still + 1] = k end
    from[k] = 2 * from[k]
  end
  more = still
end
if not chosen and fallback then
  chosen = fallback
  recent = recent - 1
end

if chosen then
  local theirs = read(chosen)
  unfile(chosen, theirs)
  unfile(session, mine)
  local wished, both = {}, {}
  for part in string.gmatch(theirs[INTERESTS], '[^\n]+') do wished[part] = true end
  for i = 1, #interests do
    if wished[interests[i]] then both[#both + 1] = interests[i] end
  end
  local speak, language = {}, ''
  for part in string.gmatch(theirs[LANGUAGES], '[^\n]+') do speak[part] = true end
  for l = #languages, 1, -1 do
    if speak[languages[l]] then language = languages[l] end
  end
  both = table.concat(both, '\n')
  call('HDEL', base .. 's:' .. chosen, 'filed')
  call('HSET', base .. 's:' .. chosen, 'state', 'paired', 'pair', ARGV[18], 'partner', session, 'role', 'answerer',
    'shared', both, 'language', language)
  call('HDEL', key, 'filed')
  call('HSET', key, 'state', 'paired', 'pair', ARGV[18], 'partner', chosen, 'role', 'offerer', 'shared', both,
    'language', language, 'mode', mode, 'interests', ARGV[12], 'languages', ARGV[13], 'strict', strict, 'since', since)
  return { 'matched', ARGV[18], waited, now - theirs[SINCE], chosen, theirs[NODE], both, language, left, leftPartner, leftNode,
    sameDevice, blocked, recent, gone }
end

local sameWish = mine[MODE] == mode and mine[INTERESTS] == ARGV[12] and mine[LANGUAGES] == ARGV[13]
  and mine[STRICT] == strict
if not (mine[FILED] and sameWish and tonumber(mine[FILED]) == gave) then
  unfile(session, mine)
  for k = 1, #keys do call('ZADD', keys[k], since, session) end
  call('HINCRBY', base .. 'waiting', mode, 1)
  for i = 1, #interests do call('ZINCRBY', base .. 'wished', 1, interests[i]) end
  call('HSET', key, 'state', 'waiting', 'filed', gave, 'mode', mode, 'interests', ARGV[12], 'languages', ARGV[13],
    'strict', strict, 'since', since)
end

local relaxed = 0
local function gives(after)
  if after > waited then retryIn = math.min(retryIn, after - waited) end
end
if #interests > 0 then
  if interestsGave then relaxed = relaxed + 1 elseif strict == '' then gives(tonumber(ARGV[15])) end
end
if #languages > 0 then
  if languagesGave then relaxed = relaxed + 2 elseif strict == '' then gives(tonumber(ARGV[16])) end
end
if recentGave then
  if tonumber(call('ZCOUNT', myRecents, '(' .. string.format('%.0f', now - recentFor), '+inf')) > 0 then
    relaxed = relaxed + 4
  end
else
  gives(recentAfter)
end
return { 'waiting', since, math.max(1, math.ceil(retryIn)), relaxed, left, leftPartner, leftNode, sameDevice, blocked,
  recent, gone }
