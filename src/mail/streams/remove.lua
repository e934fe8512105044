-- Removes mails wherever they are listed. Answers how many there were.
-- ARGV: prefix; then for each mail: id, project
local p, removed = ARGV[1], 0
for i = 2, #ARGV, 2 do
  local id, project = ARGV[i], ARGV[i + 1]
  local found = redis.call('HMGET', p .. id, 'createdAt', 'threadId', 'to')
  if found[1] then
    removed = removed + 1
    redis.call('DEL', p .. id)
    redis.call('ZREM', p .. 'project:' .. project, id)
    if found[2] then redis.call('ZREM', p .. 'thread:' .. found[2], id) end
    local stream = found[3] and p .. 'inbox:' .. found[3] or p .. 'broadcast:' .. project
    local place = string.format('%.0f', math.max(tonumber(found[1]), 1))
    for _, entry in ipairs(redis.call('XRANGE', stream, place, place)) do
      if entry[2][2] == id then redis.call('XDEL', stream, entry[1]) end
    end
  end
end
return removed
