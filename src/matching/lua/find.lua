-- Asks for a partner, for `find` and `undo`: ends or undoes the pair there is, claims the best ticket, or files ours.
-- The work does not grow with the pool: it reads a bounded number of tickets at the head of at most 66 lists, and a
-- bounded number of records.
--
-- KEYS[1], ARGV[1..3]  as in pool.lua
-- ARGV[4..7]    session, node, epoch, device
-- ARGV[8..10]   the pair to leave or '', the pair to undo or '', when the ticket began to wait or ''
-- ARGV[11..14]  the wish: mode, interests and languages (one a line each), '1' if strict or ''
-- ARGV[15..17]  interestsAfter, languagesAfter, recentAfter in ms
-- ARGV[18]      a fresh pair id
-- ARGV[19]      nodes that the asking one cannot reach, one a line
-- ARGV[20]      how many places a device has
--
-- Returns one of
--   fenced | superseded | crowded
--   claimed  match
--   matched  waited partnerWaited match relaxed left passed
--   waiting  since retryIn relaxed left passed
-- where match is as of matchOf, left { pair, partner, node } or {}, passed { device, blocked, recent, gone, unreachable } and
-- relaxed the sum of 1 (interests), 2 (languages), 4 (recent)

local session, node, epoch, device = ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[7]
local recentFor, recentAfter = tonumber(ARGV[2]), tonumber(ARGV[17])

-- Lists are short (README.md): only tickets that must not meet pile up in one. So many tickets of a list are read at
-- first; the search goes no deeper once it has read so many of all lists, and ends with so many records. A call takes
-- so many tickets of dead nodes out.
local HEAD, MOST, RECORDS, DROPS = 32, 400, 64, 8
-- A ticket asks again at least this often, so that one that was lost by any accident heals; and so much later for each
-- ticket that it must not meet, so that a crowd of those costs no more than others who wait.
local HEAL, HEAL_EACH = 30000, 4000
-- While tickets are passed over because the link to their node is down, it asks so often whether it is up again.
local UNREACHABLE = 1000

if not alive(node) then return { 'fenced' } end
local mine, superseded = held(session, node, epoch)
if superseded then return { 'superseded' } end
if not mine then
  mine = { device = device }
  hold(session, mine, node, epoch)
end

-- Whether the device has no place left. Those of sessions that the store has lost are none.
local function crowded()
  local key, most = base .. 'd:' .. device, tonumber(ARGV[20])
  if call('SCARD', key) < most then return false end
  for _, other in ipairs(call('SMEMBERS', key)) do
    local record = read(other)
    if not record or not record.since then call('SREM', key, other) end
  end
  return call('SCARD', key) >= most
end

-- Who has a place keeps it, also when only its node still knows of it.
if not mine.since and ARGV[10] == '' and crowded() then
  write(session, mine)
  return { 'crowded' }
end

-- The pair there is: undone (M2), left (Next), or somebody else's claim.
local left = {}
local given = tonumber(ARGV[10])
if mine.pair then
  if mine.pair == ARGV[9] then
    local partner = partnerOf(mine)
    if partner then
      -- Out of reach until its own node asks for it again: else the two would meet and be undone for ever.
      left = { mine.pair, mine.partner, partner.node }
      pairUp(partner, nil)
      write(mine.partner, partner)
    end
    pairUp(mine, nil)
  elseif mine.pair == ARGV[8] then
    left, given = part(session, mine), now
  else
    local partner = partnerOf(mine)
    if partner then return { 'claimed', matchOf(mine, partner) } end
    becomeIdle(session, mine)
  end
end

local mode, strict = ARGV[11], ARGV[14] == '1'
local interests, languages = {}, {}
for interest in string.gmatch(ARGV[12], '[^\n]+') do interests[#interests + 1] = interest end
for language in string.gmatch(ARGV[13], '[^\n]+') do languages[#languages + 1] = language end
local since = math.min(mine.since or given or now, now)
local waited = now - since
local retryIn = math.huge

-- Whether a preference gave way (M6); if it will, it is time to ask again then.
local function gave(wished, after)
  if #wished == 0 or (not strict and waited >= after) then return true end
  if not strict then retryIn = math.min(retryIn, after - waited) end
  return false
end
local interestsGave, languagesGave = gave(interests, tonumber(ARGV[15])), gave(languages, tonumber(ARGV[16]))
local recentGave = waited >= recentAfter
if not recentGave then retryIn = math.min(retryIn, recentAfter - waited) end
local filed = (interestsGave and 1 or 0) + (languagesGave and 2 or 0)

local relaxed = 0
if #interests > 0 and interestsGave then relaxed = relaxed + 1 end
if #languages > 0 and languagesGave then relaxed = relaxed + 2 end

local keys, interest, spoken = lists(mode, interests, languages, filed)

-- Candidates and what they share: `shared` counts interests, as the lists of one interest are neighbours.
local candidates, found, shared, speaks, counted, reads = {}, {}, {}, {}, {}, 0

-- Reads up to `most` tickets of a list, from the one numbered `first`; whether there may be more of them. A ticket that
-- stands in many of the lists is asked for its score only once.
local function look(k, first, most)
  local key, i, speaking = keys[k], interest[k], spoken[k]
  local head = call('ZRANGE', key, first, first + most - 1)
  reads = reads + #head
  for h = 1, #head do
    local candidate = head[h]
    if not found[candidate] then
      if candidate ~= session then candidates[#candidates + 1] = candidate end
      found[candidate], shared[candidate] = tonumber(call('ZSCORE', key, candidate)), 0
    end
    if i > 0 and counted[candidate] ~= i then
      counted[candidate] = i
      shared[candidate] = shared[candidate] + 1
    end
    if speaking then speaks[candidate] = true end
  end
  return #head == most
end

-- M5
local function better(a, b)
  if shared[a] ~= shared[b] then return shared[a] > shared[b] end
  if speaks[a] ~= speaks[b] then return speaks[a] == true end
  if found[a] ~= found[b] then return found[a] < found[b] end
  return a < b
end

local sameDevice, blocked, recent, gone, unreachable = 0, 0, 0, 0, 0
local avoid = {}
for other in string.gmatch(ARGV[19], '[^\n]+') do avoid[other] = true end
local fallback, fallbackRecord
local living = { [node] = true }
local myBlocks, myRecents = base .. 'b:' .. device, base .. 'r:' .. device

-- How long from now until both ends are past, or nil if they are.
local function remaining(a, b)
  local last = math.max(tonumber(a) or 0, tonumber(b) or 0)
  if last > now then return last - now end
end

-- The candidate's record if it may be taken at once; else counts why not.
local function take(candidate)
  local theirs = read(candidate)
  if not theirs then
    -- The store has lost its record: takes what is left of it out of the lists.
    gone = gone + 1
    for k = 1, #keys do call('ZREM', keys[k], candidate) end
    return nil
  end
  local home, other = theirs.node, theirs.device
  if living[home] == nil then living[home] = alive(home) or false end
  if not living[home] then
    gone = gone + 1
    if gone <= DROPS then
      unfile(candidate, theirs)
      write(candidate, theirs)
    end
    return nil
  end
  if avoid[home] then
    unreachable = unreachable + 1
    retryIn = math.min(retryIn, UNREACHABLE)
    return nil
  end
  if other == device then
    sameDevice = sameDevice + 1
    return nil
  end
  local apart = remaining(call('ZSCORE', myBlocks, other), call('ZSCORE', base .. 'b:' .. other, device))
  if apart then
    blocked = blocked + 1
    retryIn = math.min(retryIn, apart)
    return nil
  end
  local ours, itsOwn = call('ZSCORE', myRecents, other), call('ZSCORE', base .. 'r:' .. other, device)
  apart = remaining(ours and ours + recentFor, itsOwn and itsOwn + recentFor)
  if apart then
    recent = recent + 1
    retryIn = math.min(retryIn, apart)
    if not fallback and recentGave and now - theirs.since >= recentAfter then
      fallback, fallbackRecord = candidate, theirs
    end
    return nil
  end
  return theirs
end

local head = math.min(HEAD, math.floor(MOST / 2 / #keys))
local more, from = {}, {}
for k = 1, #keys do
  if look(k, 0, head) then more[#more + 1], from[k] = k, head end
end
local chosen, theirs
local records = 0
while true do
  if #candidates > 1 then table.sort(candidates, better) end
  for c = 1, math.min(#candidates, RECORDS - records) do
    records = records + 1
    theirs = take(candidates[c])
    if theirs then
      chosen = candidates[c]
      break
    end
  end
  if chosen or #more == 0 or reads >= MOST or records == RECORDS then break end
  local deeper = more
  candidates, more = {}, {}
  for d = 1, #deeper do
    local k = deeper[d]
    if look(k, from[k], 3 * from[k]) then more[#more + 1] = k end
    from[k] = 4 * from[k]
  end
end
if not chosen and fallback then
  chosen, theirs, recent, relaxed = fallback, fallbackRecord, recent - 1, relaxed + 4
end

if chosen then
  unfile(chosen, theirs)
  unfile(session, mine)
  local theirInterests, theirLanguages, both, language = {}, {}, {}, nil
  for i = 1, #theirs.interests do theirInterests[theirs.interests[i]] = true end
  for i = 1, #interests do
    if theirInterests[interests[i]] then both[#both + 1] = interests[i] end
  end
  for l = 1, #theirs.languages do theirLanguages[theirs.languages[l]] = true end
  for l = #languages, 1, -1 do
    if theirLanguages[languages[l]] then language = languages[l] end
  end
  pairUp(theirs, ARGV[18], session, 'answerer', both, language)
  write(chosen, theirs)
  pairUp(mine, ARGV[18], chosen, 'offerer', both, language)
  mine.mode, mine.interests, mine.languages, mine.strict = mode, interests, languages, strict
  place(session, mine, since)
  write(session, mine)
  return { 'matched', waited, now - theirs.since, matchOf(mine, theirs), relaxed, left, { sameDevice, blocked, recent, gone, unreachable } }
end

retryIn = math.min(retryIn, HEAL + HEAL_EACH * (sameDevice + blocked + recent))
local sameWish = mine.filed and mine.mode == mode and mine.strict == strict
  and table.concat(mine.interests, '\n') == ARGV[12] and table.concat(mine.languages, '\n') == ARGV[13]
if not sameWish or mine.filed ~= filed then
  unfile(session, mine)
  for k = 1, #keys do call('ZADD', keys[k], since, session) end
  call('HINCRBY', base .. 'waiting', mode, 1)
  for i = 1, #interests do call('HINCRBY', base .. 'wished', interests[i], 1) end
  mine.mode, mine.interests, mine.languages, mine.strict, mine.filed = mode, interests, languages, strict, filed
  place(session, mine, since)
  write(session, mine)
end

if recentGave then
  -- The newest of them ends last.
  local newest = call('ZRANGE', myRecents, -1, -1, 'WITHSCORES')[2]
  if newest and newest + recentFor > now then relaxed = relaxed + 4 end
end
return { 'waiting', since, math.max(1, math.ceil(retryIn)), relaxed, left, { sameDevice, blocked, recent, gone, unreachable } }
