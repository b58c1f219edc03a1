-- One visit of a node to the store of limits, carried out at one moment. The rules are those of ports/limiter.py; the twin in
-- Python is limiter_memory.py.
--
-- KEYS[1]  what every key begins with, in braces, so that a cluster keeps them together
-- ARGV[1]  the visit, in msgpack: node, epoch, leaving, back, charges, held, asks
-- ARGV[2]  milliseconds, in msgpack: window, settling, lease, delivery, width, node
-- answers  in msgpack: epoch, settling, nodes, rank, lapsed, stamp, lease stamp, outcomes;
--          an outcome is {1, extras, remaining}, {0, index, wait, remaining}, or {2}
--
-- prefix .. 'epoch'      hash: id, born, seen (the latest time seen: the clock is never believed to go back)
-- prefix .. 'nodes'      sorted set: node by when it was last heard of
-- prefix .. 'w:' bucket  hash: amount by stamp, and `total`, `oldest`
-- prefix .. 's:' bucket  hash: seats by node

local prefix = KEYS[1]
local node, epoch, leaving, back, charges, held, asks = unpack(cmsgpack.unpack(ARGV[1]), 1, 7)
local window, settling, lease, delivery, width, node_life = unpack(cmsgpack.unpack(ARGV[2]), 1, 6)
local KEEP_SEATS = 3600000

local function whole(number) return string.format('%.0f', number) end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('HMGET', prefix .. 'epoch', 'id', 'born', 'seen')
local id, born = known[1], tonumber(known[2] or now)
if id then
    now = math.max(now, tonumber(known[3]))
else
    id = node .. '@' .. whole(now)
    redis.call('HSET', prefix .. 'epoch', 'id', id, 'born', whole(born))
end
redis.call('HSET', prefix .. 'epoch', 'seen', whole(now))

local function stamped(moment) return math.ceil(moment / width) * width end
local stamp, lease_stamp = stamped(now + delivery), stamped(now + lease)

-- Nodes: who is heard of, and which of them this one is.
redis.call('ZREMRANGEBYSCORE', prefix .. 'nodes', '-inf', '(' .. whole(now - node_life))
local lapsed = not redis.call('ZSCORE', prefix .. 'nodes', node)
if leaving then
    redis.call('ZREM', prefix .. 'nodes', node)
else
    redis.call('ZADD', prefix .. 'nodes', whole(now), node)
end
local names = redis.call('ZRANGE', prefix .. 'nodes', 0, -1)
table.sort(names)
local nodes, rank, alive = math.max(1, #names), 0, {}
for index, name in ipairs(names) do
    alive[name] = true
    if name == node then rank = index - 1 end
end

-- Windows.
local function forget(key)
    local found = redis.call('HMGET', key, 'total', 'oldest')
    local total, oldest = tonumber(found[1] or 0), tonumber(found[2] or 0)
    if not found[2] or oldest > now - window then return total end
    total, oldest = 0, nil
    local all, gone = redis.call('HGETALL', key), {}
    for index = 1, #all, 2 do
        local at = tonumber(all[index])
        if at then
            if at <= now - window then
                gone[#gone + 1] = all[index]
            else
                total = total + tonumber(all[index + 1])
                if not oldest or at < oldest then oldest = at end
            end
        end
    end
    if #gone > 0 then redis.call('HDEL', key, unpack(gone)) end
    if oldest then
        redis.call('HSET', key, 'total', whole(total), 'oldest', whole(oldest))
    else
        redis.call('DEL', key)
    end
    return total
end

local function add(key, at, amount)
    redis.call('HINCRBY', key, whole(at), whole(amount))
    redis.call('HINCRBY', key, 'total', whole(amount))
    local oldest = redis.call('HGET', key, 'oldest')
    if not oldest or at < tonumber(oldest) then redis.call('HSET', key, 'oldest', whole(at)) end
    redis.call('PEXPIRE', key, whole(window + lease + delivery + width))
end

local function take_back(key, at, amount)
    local there = tonumber(redis.call('HGET', key, whole(at)) or 0)
    amount = math.min(amount, there)
    if amount > 0 then
        redis.call('HINCRBY', key, whole(at), whole(-amount))
        redis.call('HINCRBY', key, 'total', whole(-amount))
    end
end

local function wait_for(key, amount)
    local all, entries = redis.call('HGETALL', key), {}
    for index = 1, #all, 2 do
        local at = tonumber(all[index])
        if at then entries[#entries + 1] = {at, tonumber(all[index + 1])} end
    end
    table.sort(entries, function(one, other) return one[1] < other[1] end)
    for _, entry in ipairs(entries) do
        amount = amount - entry[2]
        if amount <= 0 then return math.max(1, entry[1] + window - now) end
    end
    return 1
end

-- Seats.
local function seats_taken(key)
    local all, taken = redis.call('HGETALL', key), 0
    for index = 1, #all, 2 do
        if alive[all[index]] then
            taken = taken + tonumber(all[index + 1])
        else
            redis.call('HDEL', key, all[index])
        end
    end
    return taken
end

local function set_held(key, count)
    redis.call('HSET', key, node, whole(count))
    redis.call('PEXPIRE', key, KEEP_SEATS)
end

-- The visit itself.
local outcomes = {}
local settling_left = math.max(0, born + settling - now)

local function key_of(need) return prefix .. (need[1] and 's:' or 'w:') .. need[2] end

local function remaining_of(need)
    if need[1] then return need[3] - seats_taken(key_of(need)) end
    return need[3] - forget(key_of(need))
end

local function grant(need, left)
    local is_seats, _, limit, amount = unpack(need, 1, 4)
    local key = key_of(need)
    if is_seats then
        local extra = math.min(math.floor(limit / (4 * nodes)), left - amount)
        set_held(key, tonumber(redis.call('HGET', key, node) or 0) + amount + extra)
        return extra
    end
    local in_all = math.min(math.floor(limit * 1000 / (window * nodes)), math.floor(left / (2 * nodes)))
    local extra = math.max(0, in_all - amount)
    add(key, stamp, amount)
    if extra > 0 then add(key, lease_stamp, extra) end
    return extra
end

local function decide(needs)
    local lefts = {}
    for index, need in ipairs(needs) do
        local left = remaining_of(need)
        if need[4] > left then
            local wait = 0
            if not need[1] and need[4] <= need[3] then wait = wait_for(key_of(need), need[4] - left) end
            return {0, index - 1, wait, math.max(0, left)}
        end
        lefts[index] = left
    end
    local extras, remaining = {}, {}
    for index, need in ipairs(needs) do
        extras[index] = grant(need, lefts[index])
        remaining[index] = lefts[index] - need[4] - extras[index]
    end
    return {1, extras, remaining}
end

if epoch == '' or epoch == id then
    for _, one in ipairs(back) do take_back(prefix .. 'w:' .. one[1], one[2], one[3]) end
    for _, one in ipairs(charges) do
        local key = prefix .. 'w:' .. one[1]
        forget(key)
        if one[3] < window then add(key, stamped(now + delivery - one[3]), one[2]) end
    end
    for _, one in ipairs(held) do set_held(prefix .. 's:' .. one[1], one[2]) end
    for index, needs in ipairs(asks) do
        outcomes[index] = settling_left > 0 and {2} or decide(needs)
    end
else
    for index = 1, #asks do outcomes[index] = {2} end
end

return cmsgpack.pack({id, settling_left, nodes, rank, lapsed, stamp, lease_stamp, outcomes})
