-- A compare-and-swap of one record: its count is compared, and the record, its dataset, the sizes
-- of identity and pool, and the feed are written. Returns the dataset's new count.
--
-- KEYS: record, dataset, identity, pool, feed. ARGV: the expected count, the record's key, its value.

local record = redis.call('HMGET', KEYS[1], 'count', 'value')
local at = tonumber(record[1]) or 0
if at ~= tonumber(ARGV[1]) then
    return redis.error_reply('CONFLICT the record is at ' .. at .. ', not ' .. ARGV[1])
end

local now = redis.call('TIME')[1]
local dataset = redis.call('HMGET', KEYS[2], 'count', 'bytes', 'live', 'made')
local count = (tonumber(dataset[1]) or 0) + 1
local before = record[2] and (#ARGV[2] + #record[2]) or 0
local grown = #ARGV[2] + #ARGV[3] - before
local live = (tonumber(dataset[3]) or 0) + (record[1] and 0 or 1)

redis.call('HSET', KEYS[1], 'count', count, 'value', ARGV[3], 'changed', now)
redis.call('HSET', KEYS[2], 'count', count, 'bytes', (tonumber(dataset[2]) or 0) + grown,
    'live', live, 'removed', 0, 'made', dataset[4] or now, 'changed', now)
for place = 3, 4 do
    local usage = redis.call('HMGET', KEYS[place], 'bytes', 'datasets')
    redis.call('HSET', KEYS[place], 'bytes', (tonumber(usage[1]) or 0) + grown,
        'datasets', (tonumber(usage[2]) or 0) + (dataset[1] and 0 or 1), 'changed', now)
end
redis.call('XADD', KEYS[5], '*', 'dataset', KEYS[2], 'count', count, 'at', now,
    'key', ARGV[2], 'value', ARGV[3])
return count
