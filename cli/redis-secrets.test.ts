import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDir } from '../test/fixture/relay.ts';
import { redisSecrets } from './redis-secrets.ts';

test('passwords for Redis are of files, else of the environment, and without their line end', (context) => {
  const file = join(temporaryDir(context), 'password');
  writeFileSync(file, 'hunter2\n');
  const env = { TULLE_REDIS_PASSWORD: 'other\n', TULLE_REDIS_SENTINEL_PASSWORD: 'third' };
  assert.deepEqual(redisSecrets({}, {}), {});
  assert.deepEqual(redisSecrets({}, env), { password: 'other', sentinelPassword: 'third' });
  assert.deepEqual(redisSecrets({ redisPasswordFile: file, redisCaFile: file }, {}), {
    password: 'hunter2',
    ca: 'hunter2',
  });
});

test('a file that is empty or cannot be read is named', (context) => {
  const file = join(temporaryDir(context), 'password');
  assert.throws(() => redisSecrets({ redisPasswordFile: file }, {}), /--redis-password-file .* ENOENT/);
  writeFileSync(file, '\n');
  assert.throws(() => redisSecrets({ redisSentinelPasswordFile: file }, {}), /is empty/);
});
