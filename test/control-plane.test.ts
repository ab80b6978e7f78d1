import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { mintJoinToken } from '../control-plane/authority/join-token.ts';
import { type RunningControlPlane, startControlPlane } from '../control-plane/main.ts';
import { connectSubscription } from '../sidecar/config/control-plane.ts';
import type { Subscription } from '../sidecar/config/subscription.ts';
import type { IdentitySource } from '../sidecar/identity/identity.ts';
import { requestIdentity } from '../sidecar/identity/requested-identity.ts';
import { SILENT } from '../sidecar/log.ts';
import { temporaryDir, writeMesh } from './fixture/relay.ts';
import { until } from './fixture/wait.ts';

interface Joined {
  /** Addresses that the sidecar tries; the test adds to them. */
  readonly addresses: string[];
  readonly identity: IdentitySource;
  readonly subscription: Subscription;
  readonly words: string[];
}

const service = (name: string, port = 80) => ({ name, namespace: 't', port });

/** Starts control planes of one mesh file and one state, one after the other. */
function planes(context: TestContext, services: object[], leafLifeMs = 3_600_000) {
  const dir = temporaryDir(context);
  const meshFile = join(dir, 'mesh.yaml');
  const stateDir = join(dir, 'state');
  writeMesh(meshFile, { services });
  return {
    meshFile,
    stateDir,
    start: () =>
      startControlPlane({
        meshFile,
        stateDir,
        listen: { host: '127.0.0.1', port: 0 },
        leafLifeMs,
        log: SILENT,
      }),
  };
}

async function joined(context: TestContext, plane: RunningControlPlane, stateDir: string): Promise<Joined> {
  const token = await mintJoinToken(stateDir, 't/web', 60_000);
  const addresses = [plane.address];
  const bundlePem = readFileSync(plane.bundleFile, 'utf8');
  const identity = requestIdentity({
    controlPlane: addresses,
    bundle: () => bundlePem,
    token: () => token,
    log: SILENT,
  });
  context.after(() => identity.close());
  const subscription = connectSubscription({
    controlPlane: addresses,
    identity,
    workload: 't/web',
    log: SILENT,
  });
  context.after(() => subscription.close());
  const words: string[] = [];
  subscription.onResource((resource) =>
    words.push(`${resource.key} ${resource.kind === 'service' ? resource.service.port : ''}`),
  );
  subscription.onAbsent((_kind, key) => words.push(`absent ${key}`));
  return { addresses, identity, subscription, words };
}

test('from a join token to a certificate to resources and their changes', async (context) => {
  const mesh = planes(context, [service('a')]);
  const plane = await mesh.start();
  context.after(() => plane.close());
  const { identity, subscription, words } = await joined(context, plane, mesh.stateDir);
  subscription.want('service', 't/a');
  subscription.want('service', 't/b');
  await until('the first words', () => words.length === 2);
  assert.deepEqual(words.splice(0).sort(), ['absent t/b', 't/a 80']);
  assert.equal(identity.current()?.spiffeId, 'spiffe://mesh.local/ns/t/sa/web');
  assert.equal(subscription.state().connected, true);
  assert.equal(subscription.state().trustDomain, 'mesh.local');
  writeMesh(mesh.meshFile, { services: [service('a', 81), service('b')] });
  await until('the changes', () => words.length === 2);
  assert.deepEqual(words.splice(0).sort(), ['t/a 81', 't/b 80']);
  subscription.drop('service', 't/a');
  writeMesh(mesh.meshFile, { services: [service('a', 82), service('b', 81)] });
  await until('the change', () => words.length === 1);
  assert.deepEqual(words, ['t/b 81']);
});

test('a control plane that goes leaves the last known state; another on the same state tells only what differs', async (context) => {
  const mesh = planes(context, [service('same'), service('changed'), service('removed')]);
  const first = await mesh.start();
  const { addresses, subscription, words } = await joined(context, first, mesh.stateDir);
  for (const name of ['same', 'changed', 'removed']) subscription.want('service', `t/${name}`);
  await until('the first words', () => words.length === 3);
  words.splice(0);
  await first.close();
  await until('the loss', () => !subscription.state().connected);
  await until('a reason', () => subscription.state().lastError !== undefined);
  assert.equal(words.length, 0);
  writeMesh(mesh.meshFile, { services: [service('same'), service('changed', 81)] });
  const second = await mesh.start();
  context.after(() => second.close());
  addresses.splice(0, 1, second.address);
  subscription.want('service', 't/same-again');
  await until('the words of the second', () => words.includes('absent t/same-again') && words.length >= 3);
  assert.deepEqual(words.sort(), ['absent t/removed', 'absent t/same-again', 't/changed 81']);
  assert.equal(subscription.state().connected, true);
  assert.equal(subscription.state().lastError, undefined);
  assert.equal(subscription.state().endpoint, second.address);
});

test('certificates are renewed by those there are, and the stream goes on', async (context) => {
  const mesh = planes(context, [service('a')], 3_000);
  const plane = await mesh.start();
  context.after(() => plane.close());
  const { identity, subscription, words } = await joined(context, plane, mesh.stateDir);
  await until('the first certificate', () => identity.current() !== undefined);
  const first = identity.current();
  await until('the renewed one', () => identity.current() !== first);
  assert.equal(identity.current()?.spiffeId, first?.spiffeId);
  assert.notEqual(identity.current()?.keyPem, first?.keyPem);
  subscription.want('service', 't/a');
  await until('the word', () => words.length === 1);
});
