-- Stores one letter for each of its recipients, all or nothing: whatever can refuse a write does so at the first one.
-- ARGV: prefix, now, expires (server's milliseconds), project, sender, answered mail or '', idempotency key or '',
--       fingerprint, '1' if sent before without an answer, letter; then for each recipient: session or '', tail of the id
local p, now, expires, project, sender = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]
local answered, key, fingerprint, again, letter = ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10]
local FIRST, DAY = 11, 86400
local function text(number) return string.format('%.0f', number) end

if key ~= '' then
  local known = redis.call('GET', p .. 'sent:' .. sender .. ':' .. key)
  if known then
    local print, at = string.match(known, '^(%S+) (%S+) ')
    if tonumber(at) > now - DAY * 1000 then
      if print ~= fingerprint then return {'reused'} end
      return {'known', known}
    end
  end
end

-- An answer was lost: was it carried out? The tail of an id is unique, its time was never before `now`.
if again == '1' then
  local tail = '_' .. ARGV[FIRST + 1]
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', p .. 'project:' .. project, text(now), '+inf')) do
    if string.sub(id, -#tail) == tail then
      local found = redis.call('HMGET', p .. id, 'createdAt', 'threadId')
      local reply = {'sent', found[1], answered ~= '' and found[2] or ''}
      for n = FIRST, #ARGV, 2 do reply[#reply + 1] = 'mail_' .. found[1] .. '_' .. ARGV[n + 1] end
      return reply
    end
  end
end

-- The sender has given up by then and will have sent it again.
local time = redis.call('TIME')
local server = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
if server > expires then return {'late', text(server)} end

local at, thread = now, ''
local newest = tonumber(redis.call('HGET', p .. 'clock', project) or '0')
if newest >= at then at = newest + 1 end
if answered ~= '' then
  local found = redis.call('HMGET', p .. answered, 'createdAt', 'threadId')
  if found[1] then
    thread = found[2] or answered
    if tonumber(found[1]) >= at then at = tonumber(found[1]) + 1 end
  end
end
local function stream(to)
  if to == '' then return p .. 'broadcast:' .. project end
  return p .. 'inbox:' .. to
end
for n = FIRST, #ARGV, 2 do
  local info = redis.pcall('XINFO', 'STREAM', stream(ARGV[n]))
  for i = 1, #info, 2 do -- an error, for want of a stream, has no length
    if info[i] == 'last-generated-id' then
      local last = tonumber(string.match(info[i + 1], '^%d+'))
      if last >= at then at = last + 1 end
    end
  end
end

at = text(at)
local reply = {'sent', at, thread}
local receipt = fingerprint .. ' ' .. text(now) .. ' ' .. at .. ' ' .. (thread == '' and '-' or thread)
redis.call('HSET', p .. 'clock', project, at)
for n = FIRST, #ARGV, 2 do
  local to, id = ARGV[n], 'mail_' .. at .. '_' .. ARGV[n + 1]
  local fields = {'createdAt', at, 'letter', letter}
  if to ~= '' then fields[#fields + 1] = 'to'; fields[#fields + 1] = to end
  if thread ~= '' then fields[#fields + 1] = 'threadId'; fields[#fields + 1] = thread end
  redis.call('HSET', p .. id, unpack(fields))
  redis.call('ZADD', p .. 'project:' .. project, at, id)
  if thread ~= '' then redis.call('ZADD', p .. 'thread:' .. thread, at, id) end
  redis.call('XADD', stream(to), at .. '-' .. text((n - FIRST) / 2), 'id', id, 'project', project)
  reply[#reply + 1] = id
  receipt = receipt .. '\n' .. id .. ' ' .. (to == '' and '*' or to)
end
if key ~= '' then redis.call('SET', p .. 'sent:' .. sender .. ':' .. key, receipt, 'EX', DAY) end
return reply
