-- Stores mails as they are; one whose id is there already is left as it is. Answers how many were new.
-- ARGV: prefix, name of the source of a move or ''; then for each mail: id, project, time, thread or '', recipient or '',
--       letter
local p, from, new, late = ARGV[1], ARGV[2], 0, {}
if from ~= '' then redis.call('SET', p .. 'moving:' .. from, 'receiving') end

local function key_of(project, to)
  if to == '' then return p .. 'broadcast:' .. project end
  return p .. 'inbox:' .. to
end

-- A stream takes entries in order only: what is older than its newest entry has to be put in among the others.
local function insert(stream, added)
  local entries = redis.call('XRANGE', stream, '-', '+')
  local all = {}
  for _, entry in ipairs(entries) do
    local at, n = string.match(entry[1], '^(%d+)-(%d+)$')
    all[#all + 1] = {at = tonumber(at), n = tonumber(n), id = entry[2][2], project = entry[2][4]}
  end
  for _, entry in ipairs(added) do all[#all + 1] = entry end
  table.sort(all, function(a, b)
    if a.at ~= b.at then return a.at < b.at end
    return a.id < b.id
  end)
  redis.call('DEL', stream)
  local last, n = -1, 0
  for _, entry in ipairs(all) do
    n = entry.at == last and n + 1 or 0
    last = entry.at
    redis.call('XADD', stream, string.format('%.0f-%.0f', last, n), 'id', entry.id, 'project', entry.project)
  end
end

for i = 3, #ARGV, 6 do
  local id, project, at, thread, to, letter =
    ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5]
  if redis.call('EXISTS', p .. id) == 0 then
    new = new + 1
    local fields = {'createdAt', at, 'letter', letter}
    if to ~= '' then fields[#fields + 1] = 'to'; fields[#fields + 1] = to end
    if thread ~= '' then fields[#fields + 1] = 'threadId'; fields[#fields + 1] = thread end
    redis.call('HSET', p .. id, unpack(fields))
    if from ~= '' then redis.call('HSET', p .. 'received:' .. from, id, project) end
    redis.call('ZADD', p .. 'project:' .. project, at, id)
    if thread ~= '' then redis.call('ZADD', p .. 'thread:' .. thread, at, id) end
    local newest = tonumber(redis.call('HGET', p .. 'clock', project) or '0')
    if tonumber(at) > newest then redis.call('HSET', p .. 'clock', project, at) end
    local stream, place = key_of(project, to), math.max(tonumber(at), 1)
    late[stream] = late[stream] or {}
    local added = late[stream]
    added[#added + 1] = {at = place, id = id, project = project}
  elseif from ~= '' then
    redis.call('HSETNX', p .. 'received:' .. from, id, '')
  end
end
for stream, added in pairs(late) do
  table.sort(added, function(a, b) return a.at < b.at end)
  local newest, distinct = -1, true
  local info = redis.pcall('XINFO', 'STREAM', stream)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then newest = tonumber(string.match(info[i + 1], '^%d+')) end
  end
  for n, entry in ipairs(added) do
    if entry.at <= newest then distinct = false end
    newest = math.max(newest, entry.at)
  end
  if distinct then
    for _, entry in ipairs(added) do
      redis.call('XADD', stream, string.format('%.0f-0', entry.at), 'id', entry.id, 'project', entry.project)
    end
  else
    insert(stream, added)
  end
end
return new
