import { createServer } from 'node:http';
import { Redis } from 'ioredis';

/**
 * `node bench/quotas/limiter.ts PORT REDIS-PORT`: a service of limits as one writes it: a token bucket in a script of
 * Redis, run for each request; 200 lets it in, 403 does not.
 */
const [port, redisPort] = process.argv.slice(2).map(Number);
const [RATE, BURST] = [100_000, 100_000];

const BUCKET = `
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local got = redis.call('HMGET', KEYS[1], 'level', 'at')
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local level = math.min(burst, tonumber(got[1] or burst) + (now - tonumber(got[2] or now)) * rate)
local allowed = level >= 1
if allowed then level = level - 1 end
redis.call('HSET', KEYS[1], 'level', tostring(level), 'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], 60000)
return allowed and 1 or 0
`;

const redis = new Redis({ host: '127.0.0.1', ...(redisPort !== undefined && { port: redisPort }) });
redis.on('error', () => {}); // it connects again
redis.defineCommand('take', { numberOfKeys: 1, lua: BUCKET });
const take = (key: string): Promise<unknown> =>
  (redis as unknown as { take(...args: (string | number)[]): Promise<unknown> }).take(key, RATE, BURST); // defined above

createServer((_request, response) => {
  take('bucket').then(
    (allowed) => response.writeHead(allowed === 1 ? 200 : 403).end(),
    () => response.writeHead(500).end(),
  );
}).listen(port, '127.0.0.1');
