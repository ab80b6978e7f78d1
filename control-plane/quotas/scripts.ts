import { createHash } from 'node:crypto';
import {
  ABSENT_MS,
  EVALUATE_MS,
  FORGET_MS,
  GRACE_MS,
  LOOK_BACK_MS,
  MAX_SPANS,
} from '../../protocol/quotas/presence.ts';
import { LEASE_MS } from '../../protocol/quotas/quota-terms.ts';

/** What is known of a bucket is kept for so long after it is as if never used, in ms. */
const KEPT_MS = 60_000;

/** A Lua script, known to Redis by its SHA-1. */
export interface Script {
  readonly lua: string;
  readonly sha: string;
}

function script(lua: string): Script {
  return { lua, sha: createHash('sha1').update(lua).digest('hex') };
}

/**
 * Who is there, and since when this Redis remembers: what presence.ts does. KEYS[1]: of the service, KEYS[2]: its
 * members. A process of Redis is an epoch, by its `run_id`: one that began, or was made the master, may have lost
 * writes and has a clock of its own, so what is known is as if used up to now. Where nothing is known of a service,
 * a process that is older than shares are kept remembers it since its start. ARGV[1]: the grace in ms; 0 for tests, if it is to be as if
 * it had always been there, and after it, for tests too, a time in place of that of Redis.
 */
const PRESENCE = `
local LATER = ${GRACE_MS + 1000}
local clock = redis.call('TIME')
local grace, told = string.match(ARGV[1], '^(%S+) ?(%S*)$')
local now = tonumber(told) or tonumber(clock[1]) * 1000 + tonumber(clock[2]) / 1000
grace = tonumber(grace)
local server = redis.call('INFO', 'server')
local epoch = string.match(server, 'run_id:(%w+)')
local function num(x) return string.format('%.17g', x) end

local known = redis.call('HMGET', KEYS[1], 'epoch', 'part', 'spans', 'evaluated', 'shares', 'claimed', 'young')
local claimed, young = tonumber(known[6] or 0), tonumber(known[7] or -1e15) -- as in presence.ts; young: until then
local part, shares, evaluated = tonumber(known[2] or 1), tonumber(known[5] or 0), tonumber(known[4] or -1e15)
local spans = {}
for ms, of in string.gmatch(known[3] or '', '([^:,]+):([^,]+)') do
  spans[#spans + 1] = { tonumber(ms), tonumber(of) }
end

local function remember(ms, of)
  local last = spans[#spans]
  if last and last[2] == of and last[1] > ms - ${2 * EVALUATE_MS} then spans[#spans] = nil end
  spans[#spans + 1] = { ms, of }
  if #spans > ${MAX_SPANS} then
    local first = table.remove(spans, 1)
    if first[1] >= ms - ${LOOK_BACK_MS} then spans[1][2] = math.min(first[2], spans[1][2]) end
  end
end

local function keep()
  local written = {}
  for i, span in ipairs(spans) do written[i] = num(span[1]) .. ':' .. num(span[2]) end
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'part', num(part), 'spans', table.concat(written, ','),
    'evaluated', num(evaluated), 'shares', num(shares), 'claimed', num(claimed), 'young', num(young))
end

local function unseen()
  if claimed == 0 or now >= young or claimed > 1 - 1e-6 then return 0 end
  return 1 - claimed
end

-- Notes that a member is there; told: what it was told last; sharing: it is on its share until it gets the answer.
-- Returns what it is told now.
local function contact(member, told_last, ttl, sharing)
  local before = redis.call('HGET', KEYS[2], member)
  local told = before and tonumber(string.match(before, ':(.+)'))
  if not told and told_last > 0 and now < young then
    claimed = claimed + 1 / told_last
    redis.call('HSET', KEYS[1], 'claimed', num(claimed))
  end
  local others = shares - (told and 1 / told or 0)
  local count = redis.call('HLEN', KEYS[2]) + (told and 0 or 1)
  local free = 1 - others - unseen()
  local now_told
  if free + 1e-9 >= 1 / count then now_told = count
  elseif free < 1e-6 then now_told = 1000000
  else now_told = math.ceil(1 / free - 1e-6) end
  local last = now
  if sharing then
    last = now - ${ABSENT_MS + 1}
    if before then last = math.min(last, tonumber(string.match(before, '^[^:]+'))) end
  end
  redis.call('HSET', KEYS[2], member, num(last) .. ':' .. num(now_told))
  if told ~= now_told then
    shares = others + 1 / now_told
    redis.call('HSET', KEYS[1], 'shares', num(shares))
    redis.call('PEXPIRE', KEYS[2], ttl)
  end
  return now_told
end

local function evaluate(ttl)
  if known[1] ~= epoch and grace > 0 then
    for i = #spans, 1, -1 do if spans[i][1] > now then table.remove(spans, i) end end
    local uptime = tonumber(string.match(server, 'uptime_in_seconds:(%d+)')) * 1000
    -- Who cannot reach it goes on with its share, and may have done so until now.
    if known[1] or uptime < ${FORGET_MS} then remember(now + grace, 0)
    else remember(math.min(now, now - uptime + 1000) + grace, 0) end
    evaluated = -1e15
    -- A replica knows the members; a Redis that is empty hears of them from themselves.
    claimed, young = redis.call('HLEN', KEYS[2]) > 0 and 1 or 0, now + ${FORGET_MS}
  end
  if now >= evaluated and now - evaluated < ${EVALUATE_MS} then return end
  evaluated = now
  -- Redis' clock went back: what is to come was before.
  for _, span in ipairs(spans) do if span[1] > now + LATER then span[1] = now end end
  local away, all = 0, 0
  local members = redis.call('HGETALL', KEYS[2])
  for i = 1, #members, 2 do
    local last, told = string.match(members[i + 1], '([^:]+):(.+)')
    last, told = tonumber(last), tonumber(told)
    if last > now + LATER then
      last = now
      redis.call('HSET', KEYS[2], members[i], num(now) .. ':' .. num(told))
    end
    if now - last > ${FORGET_MS} then redis.call('HDEL', KEYS[2], members[i])
    else
      all = all + 1 / told
      if now - last > ${ABSENT_MS} then away = away + 1 / told end
    end
  end
  shares, away = all, away + unseen()
  local whole = away < 1e-9 and 1 or math.max(0, 1 - away)
  local past = math.min(whole, part)
  if past < 1 then remember(now, past) end
  part = whole
  keep()
  redis.call('PEXPIRE', KEYS[1], ttl)
  redis.call('PEXPIRE', KEYS[2], ttl)
end
`;

/**
 * What MemoryQuotas.draw does, for several draws of a service one after the other. ARGV: grace, ttl, draws; KEYS[3 ...]:
 * three of each item. Answers with the time, and for each draw with how many share and its items.
 */
export const DRAW = script(`${PRESENCE}
local ttl = ARGV[2]
local member, exact, told, sharing -- of the draw that is made
evaluate(ttl)

-- What leastPart does in presence.ts.
local function least(window)
  local back, smallest, ends = math.min(window, ${LOOK_BACK_MS}), part, now
  for _, span in ipairs(spans) do
    if span[1] > now - back and (span[2] < smallest or (span[2] == smallest and span[1] > ends)) then
      ends, smallest = span[1], span[2]
    end
  end
  return smallest, smallest < 1 and ends + back - now or math.huge
end
local function allow(b, window)
  local smallest, ms = least(window)
  b.allowed, b.allowed_ms = b.capacity * smallest, ms
end

-- A bucket that is whole again is as one that is not there: names are the callers' to choose, and many.
local function kept(key, whole) redis.call('PEXPIRE', key, math.ceil(whole) + ${KEPT_MS}) end

local kinds = {}

local bucket = {}
kinds['token-bucket'] = bucket
function bucket.read(b)
  local got = redis.call('HMGET', b.key, 'level', 'at', 'rested', 'out', 'before', 'slot', 'whole')
  b.level, b.at, b.rested = tonumber(got[1] or math.huge), tonumber(got[2] or -1e15), tonumber(got[3] or -1e15)
  b.out, b.before, b.slot = tonumber(got[4] or 0), tonumber(got[5] or 0), tonumber(got[6] or 0)
  b.whole = b.capacity
  b.level = b.level + b.whole - tonumber(got[7] or b.whole)
  if b.at > now + LATER then
    b.level, b.at, b.rested, b.out, b.before, b.slot, b.mended = 0, now, -1e15, 0, 0, 0, true
  end
  local slot = math.floor(now / b.returns)
  if slot > b.slot then
    b.before = slot == b.slot + 1 and b.out or 0
    b.out, b.slot = 0, slot
  end
  local out = b.out + b.before
  if out > 0 and b.level > b.capacity * part then b.level = b.capacity * part - out end
  local function fill(of, ms)
    b.level = math.min(b.level + b.rate * of * math.max(0, ms - b.at), b.burst * of)
    b.at = math.max(b.at, ms)
  end
  for _, span in ipairs(spans) do if span[1] > b.at then fill(span[2], span[1]) end end
  fill(part, now)
  b.capacity, b.burst = b.capacity * part, b.burst * part
  local room = math.max(0, b.capacity - b.level)
  b.out = math.min(b.out, room)
  b.before = math.min(b.before, room - b.out)
end
local function rested(b) return b.level >= b.burst - 1e-6 end
function bucket.free(b)
  local lag, over = b.burst - b.capacity, 0
  if rested(b) or (lag <= 1 and (b.at - b.rested) * b.rate < lag) then over = lag end
  return math.max(0, math.floor(math.min(b.level, b.capacity) + over + 1e-6))
end
function bucket.debit(b, count)
  if rested(b) then b.rested = b.at end
  b.level, b.out = math.min(b.level, b.capacity) - count, b.out + count
end
function bucket.back(b, count, drawn)
  local old = math.floor(drawn / b.returns) < b.slot
  local credited = math.min(count, old and b.before or b.out)
  if old then b.before = b.before - credited else b.out = b.out - credited end
  b.level = b.level + credited
end
function bucket.wait(b, count)
  if bucket.free(b) >= count then return 0 end
  local needed = count <= b.capacity and count or math.max(count, b.burst)
  return math.max(0, (needed - b.level) / b.rate)
end
function bucket.reset(b) return math.max(0, (b.burst - b.level) / b.rate) end
function bucket.write(b)
  redis.call('HSET', b.key, 'level', num(b.level), 'at', num(b.at), 'rested', num(b.rested), 'out', num(b.out),
    'before', num(b.before), 'slot', num(b.slot), 'whole', num(b.whole))
  kept(b.key, bucket.reset(b))
end

-- Granules of debits in a sorted set by their end, as 'number:count'; their sum stands apart.
local window = {}
kinds['sliding-window'] = window
local function granule(text)
  local number, count = string.match(text, '([^:]+):(.+)')
  return tonumber(number), tonumber(count)
end
local function put(b, number, count)
  if count > 0 then redis.call('ZADD', b.extra, num(number * b.granule), num(number) .. ':' .. num(count)) end
end
function window.read(b)
  allow(b, b.window)
  b.sum = tonumber(redis.call('GET', b.key) or 0)
  if redis.call('ZCOUNT', b.extra, num(now + b.granule + LATER), '+inf') > 0 then
    redis.call('DEL', b.extra)
    b.sum, b.mended = b.capacity, true
    put(b, math.floor(now / b.granule) + 1, b.capacity)
  end
  local old = num(now - b.window)
  for _, text in ipairs(redis.call('ZRANGEBYSCORE', b.extra, '-inf', old)) do
    local _, count = granule(text)
    -- What is not there any more must not be in the sum that is kept.
    b.sum, b.mended = b.sum - count, true
  end
  redis.call('ZREMRANGEBYSCORE', b.extra, '-inf', old)
  if redis.call('EXISTS', b.extra) == 0 then b.sum = 0 end
end
function window.free(b) return math.max(0, math.floor(b.allowed + 1e-6) - b.sum) end
function window.debit(b, count)
  local number, last = math.floor(now / b.granule) + 1, redis.call('ZRANGE', b.extra, -1, -1)[1]
  local before = 0
  if last then
    local of, there = granule(last)
    if of >= number then
      number, before = of, there
      redis.call('ZREM', b.extra, last)
    end
  end
  put(b, number, before + count)
  b.sum = b.sum + count
end
function window.back(b, count, drawn)
  local score = num((math.floor(drawn / b.granule) + 1) * b.granule)
  local text = redis.call('ZRANGEBYSCORE', b.extra, score, score)[1]
  if not text then return end
  local number, there = granule(text)
  local credited = math.min(count, there)
  redis.call('ZREM', b.extra, text)
  put(b, number, there - credited)
  b.sum = b.sum - credited
end
function window.wait(b, count)
  local missing = count - window.free(b)
  if missing <= 0 then return 0 end
  for _, text in ipairs(redis.call('ZRANGE', b.extra, 0, -1)) do
    local number, there = granule(text)
    missing = missing - there
    if missing <= 0 then return math.max(0, number * b.granule + b.window - now) end
  end
  return b.window
end
function window.reset(b)
  local last = redis.call('ZRANGE', b.extra, -1, -1)[1]
  return last and math.max(0, granule(last) * b.granule + b.window - now) or 0
end
function window.write(b)
  local whole = window.reset(b)
  redis.call('SET', b.key, num(b.sum))
  kept(b.key, whole)
  kept(b.extra, whole)
end

local estimate = {}
kinds['sliding-estimate'] = estimate
function estimate.read(b)
  allow(b, 2 * b.window)
  local got = redis.call('HMGET', b.key, 'index', 'current', 'previous')
  b.index, b.current, b.previous = tonumber(got[1] or 0), tonumber(got[2] or 0), tonumber(got[3] or 0)
  local index = math.floor(now / b.window)
  if b.index > math.floor((now + LATER) / b.window) then
    b.index, b.current, b.previous, b.mended = index, math.max(b.current, b.previous), 0, true
  end
  if index > b.index then
    b.previous = index == b.index + 1 and b.current or 0
    b.current, b.index = 0, index
  end
  b.over = math.min(1, math.max(0, now / b.window - b.index))
end
function estimate.free(b)
  return math.max(0, math.floor(b.allowed - b.current - b.previous * (1 - b.over) + 1e-6))
end
function estimate.debit(b, count) b.current = b.current + count end
function estimate.back(b, count, drawn)
  local index = math.floor(drawn / b.window)
  if index == b.index then b.current = math.max(0, b.current - count)
  elseif index == b.index - 1 then b.previous = math.max(0, b.previous - count) end
end
function estimate.wait(b, count)
  if estimate.free(b) >= count then return 0 end
  local most = b.allowed - count
  if b.current <= most then
    local over = b.previous == 0 and 1 or 1 - (most - b.current) / b.previous
    return math.max(0, (over - b.over) * b.window)
  end
  local after = b.current == 0 and 0 or math.max(0, 1 - math.max(0, most) / b.current)
  return (1 - b.over + after) * b.window
end
function estimate.reset(b)
  if b.current > 0 then return (2 - b.over) * b.window end
  return b.previous > 0 and (1 - b.over) * b.window or 0
end
function estimate.write(b)
  redis.call('HSET', b.key, 'index', num(b.index), 'current', num(b.current), 'previous', num(b.previous))
  kept(b.key, estimate.reset(b))
end

-- Holders of places, as 'count:until'.
local places = {}
kinds['concurrency'] = places
function places.read(b)
  b.held, b.mine, b.last = 0, 0, now
  local holders = redis.call('HGETALL', b.key)
  for i = 1, #holders, 2 do
    local count, ends = granule(holders[i + 1])
    if ends > now + b.life + LATER then
      -- Redis' clock went back: requests are under way as before.
      ends = now + b.life
      redis.call('HSET', b.key, holders[i], num(count) .. ':' .. num(ends))
    end
    if ends <= now then redis.call('HDEL', b.key, holders[i])
    else
      b.held = b.held + count
      if holders[i] == member then b.mine = count else b.last = math.max(b.last, ends) end
    end
  end
end
function places.free(b) return math.max(0, math.floor(b.capacity * (least(0)) + 1e-6) - b.held) end

-- How many draw on it lately, and how long ago this one did.
local function drew(b)
  local last = tonumber(redis.call('ZSCORE', b.drawers, member) or -1e15)
  redis.call('ZADD', b.drawers, num(now), member)
  redis.call('ZREMRANGEBYSCORE', b.drawers, '-inf', '(' .. num(now - 1000))
  redis.call('ZREMRANGEBYSCORE', b.drawers, '(' .. num(now + LATER), '+inf')
  redis.call('PEXPIRE', b.drawers, 5000)
  return math.max(1, redis.call('ZCARD', b.drawers)), now - last
end

-- What fair-share.ts does.
local function fair_share(b, free, since)
  local back = b.rate * math.min(math.max(0, since), ${LEASE_MS})
  local beyond = free - math.floor(b.rate * b.life / 2 * (1 - 1 / b.sharers))
  local left = math.min(beyond, b.rate * ${LEASE_MS}) / 2
  return math.max(1, math.floor(beyond / b.sharers), math.floor(back / b.sharers), math.floor(left))
end
local function pause(b, missing)
  if exact or missing <= 0 then return 0 end
  return math.min(missing * b.sharers / b.rate, b.life / 2)
end

local function grantable(b)
  if b.want == 0 then return 0 end
  local free = b.kind.free(b)
  local most = free
  if not exact then
    local since
    b.sharers, since = drew(b)
    most = math.min(free, fair_share(b, free, since))
  end
  return math.min(b.want, b.mine + most)
end

local answer = { string.format('%.3f', now) }
local function tell(granted, wait, remaining, reset)
  answer[#answer + 1] = string.format('%d %.3f %d %.3f', granted, wait, remaining, reset)
end

local function draw(items, first)
  local sharers, none = contact(member, told, ttl, sharing), false
  answer[#answer + 1] = string.format('%d', sharers)
  for i, b in ipairs(items) do
    local at = first + (i - 1) * 3
    b.kind, b.mine, b.sharers = kinds[b.algorithm], 0, 1
    b.key, b.extra, b.drawers = KEYS[at], KEYS[at + 1], KEYS[at + 2]
    b.kind.read(b)
    if b.kind.back then
      for _, back in ipairs(b.back) do
        if now - back[2] <= b.returns then b.kind.back(b, back[1], back[2]) end
      end
    end
    b.count = grantable(b)
    if exact and b.count < b.want then none = true end
  end
  for _, b in ipairs(items) do
    local count = none and 0 or b.count
    if b.kind == places then
      if none then count = b.mine end
      if count > 0 then
        redis.call('HSET', b.key, member, num(count) .. ':' .. num(now + b.life))
        kept(b.key, b.life)
        b.last = math.max(b.last, now + b.life)
      else redis.call('HDEL', b.key, member) end
      b.held = b.held - b.mine + count
      tell(count, count < b.want and ${LEASE_MS} or 0, math.max(0, b.capacity - b.held), b.last - now)
    else
      if count > 0 then b.kind.debit(b, count) end
      if count > 0 or #b.back > 0 or b.mended then b.kind.write(b) end
      local wait = (count > 0 or b.want == 0) and 0 or math.min(b.kind.wait(b, exact and b.want or 1), b.allowed_ms or math.huge)
      tell(count, math.max(wait, pause(b, b.want - count)), b.kind.free(b), b.kind.reset(b))
    end
  end
end

local first = 3
for _, one in ipairs(cjson.decode(ARGV[3])) do
  member, exact, told, sharing = one.member, one.exact, one.told, one.sharing
  draw(one.items, first)
  first = first + 3 * #one.items
end
return answer
`);

/** Notes that members are there. ARGV: grace, ttl, and of each member its name and what it was told last. */
export const CONTACT = script(`${PRESENCE}
if not known[1] then return 0 end
evaluate(ARGV[2])
for i = 3, #ARGV, 2 do
  local before = redis.call('HGET', KEYS[2], ARGV[i])
  if before then redis.call('HSET', KEYS[2], ARGV[i], num(now) .. string.match(before, ':.+'))
  elseif tonumber(ARGV[i + 1]) > 0 and now < young then contact(ARGV[i], tonumber(ARGV[i + 1]), ARGV[2]) end
end
return 1
`);

/** A member draws no more. ARGV[1]: the member. */
export const LEAVE = script(`
local before = redis.call('HGET', KEYS[2], ARGV[1])
if before then
  redis.call('HDEL', KEYS[2], ARGV[1])
  local shares = tonumber(redis.call('HGET', KEYS[1], 'shares') or 0) - 1 / tonumber(string.match(before, ':(.+)'))
  -- What has expired would never expire again.
  if redis.call('EXISTS', KEYS[1]) == 1 then
    redis.call('HSET', KEYS[1], 'shares', string.format('%.17g', math.max(0, shares)))
  end
end
return 1
`);
