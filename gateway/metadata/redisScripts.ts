/**
 * The Lua scripts that run inside the server; each is atomic there. A partition is three keys of one hash tag (redisPartition.ts): `index`, a sorted set
 * whose members all have the score 0 and so stand in byte order, and `values`, a hash. The field '' of `values`, which no key can be,
 * holds the marker of the store: data that was flushed, lost or replaced is noticed before anything is read from it or written to it.
 */

import { createHash } from 'node:crypto';

export interface Script {
  readonly source: string;
  readonly sha: string;
}

/** First word of the error when the marker is not the store's. */
export const LOST = 'SHARDWAYLOST';

/**
 * KEYS index, values, sequence. ARGV: marker; for each commit its numbers of present checks, absent checks, puts and deletes, as 'p a u d;';
 * then for each commit the keys and values of its present checks, keys of its absent checks, keys and values of its puts, keys of
 * its deletes. Answers {one character per commit, sequence number of what was written or 0, the error of those with 'e'}: 1 applied,
 * 0 a check failed, e refused untouched.
 *
 * The server refuses for want of memory only what has not yet written, so a commit whose first write passes is applied whole.
 */
export const COMMIT = script(`
local index, values = KEYS[1], KEYS[2]
if redis.call('HGET', values, '') ~= ARGV[1] then return redis.error_reply('-${LOST} no marker') end
local at, dirty, failure = 3, false, nil

local function write(...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then return reply.err end
  dirty = true
end

local function holds(present, absent)
  local good = true
  for i = at, at + 2 * present - 2, 2 do
    good = good and redis.call('HGET', values, ARGV[i]) == ARGV[i + 1]
  end
  at = at + 2 * present
  for i = at, at + absent - 1 do
    good = good and redis.call('HEXISTS', values, ARGV[i]) == 0
  end
  at = at + absent
  return good
end

local function apply(puts, deletes)
  local first = true
  local function step(...)
    local problem = write(...)
    if problem and not first then error('a commit was cut short: ' .. problem) end
    first = false
    return problem
  end
  for i = at, at + 2 * puts - 2, 2 do
    local problem = step('HSET', values, ARGV[i], ARGV[i + 1]) or step('ZADD', index, 0, ARGV[i])
    if problem then return problem end
  end
  for i = at + 2 * puts, at + 2 * puts + deletes - 1 do
    local problem = step('HDEL', values, ARGV[i]) or step('ZREM', index, ARGV[i])
    if problem then return problem end
  end
end

local answers = {}
for p, a, u, d in string.gmatch(ARGV[2], '(%d+) (%d+) (%d+) (%d+);') do
  local good = holds(tonumber(p), tonumber(a))
  local puts, deletes = tonumber(u), tonumber(d)
  local problem = good and apply(puts, deletes)
  failure = failure or problem or nil
  answers[#answers + 1] = good and (problem and 'e' or '1') or '0'
  at = at + 2 * puts + deletes
end
if failure and not dirty and not string.find(failure, '^-?OOM') then
  return redis.error_reply(string.sub(failure, 1, 1) == '-' and failure or '-' .. failure)
end
return {table.concat(answers), dirty and redis.call('HINCRBY', KEYS[3], 's', 1) or 0, failure}
`);

/**
 * KEYS index, values, sequence. ARGV: marker, bound to start at, bound to end at, limit, '1' to walk down.
 * Answers {{last sequence, confirmed sequence}, keys, values, values…}.
 */
export const SCAN = script(`
if redis.call('HGET', KEYS[2], '') ~= ARGV[1] then return redis.error_reply('-${LOST} no marker') end
local command = ARGV[5] == '1' and 'ZREVRANGEBYLEX' or 'ZRANGEBYLEX'
local keys = redis.call(command, KEYS[1], ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])
local page = {redis.call('HMGET', KEYS[3], 's', 'c'), keys}
for i = 1, #keys, 1000 do
  page[#page + 1] = redis.call('HMGET', KEYS[2], unpack(keys, i, math.min(i + 999, #keys)))
end
return page
`);

/** KEYS index, values, sequence. ARGV: keys. Answers {{last sequence, confirmed sequence}, marker, values…}. */
export const READ = script(`
local values = redis.call('HMGET', KEYS[2], '', unpack(ARGV))
table.insert(values, 1, redis.call('HMGET', KEYS[3], 's', 'c'))
return values
`);

/** KEYS index, values, sequence. ARGV: marker to set where there is nothing at all, or ''. Answers the marker that is there, or false. */
export const MARK = script(`
local kind = redis.call('TYPE', KEYS[2]).ok
if kind == 'none' and redis.call('EXISTS', KEYS[1]) == 0 then
  if ARGV[1] == '' then return false end
  redis.call('HSET', KEYS[2], '', ARGV[1])
end
if kind ~= 'none' and kind ~= 'hash' then return '' end
return redis.call('HGET', KEYS[2], '') or ''
`);

function script(source: string): Script {
  return { source, sha: createHash('sha1').update(source).digest('hex') };
}
