import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { request } from 'undici';
import { peakBytes, resetPeak, residentBytes } from '../fixture/process-memory.ts';
import { readPrometheusText } from '../fixture/prometheus-text.ts';
import { http1Mesh, temporaryDir, writeMesh } from '../fixture/relay.ts';
import { startTulle, type Tulle } from '../fixture/tulle.ts';
import { until } from '../fixture/wait.ts';
import { ATTACKS, type Attack } from './attacks.ts';
import { ask, openSession } from './client.ts';
import { ENHANCE_YOUR_CALM, rawSession } from './raw-frames.ts';
import { startHttp1 } from './server.ts';

const MB = 1024 * 1024;
/** What a sidecar may grow by under attack; the largest attack asks for gigabytes. */
const MOST_GROWTH = 96 * MB;
/** Requests that the good client makes, at the least, while an attack runs. */
const LEAST_SERVED = 20;
/** Of one attack; ms. */
const LIMIT = { timeout: 60_000 };

const LARGE = Buffer.alloc(10 * MB);

/** A sidecar in a process of its own in front of `app.t`, which holds requests for `/held` and has much to say at `/large`. */
async function startTarget(context: TestContext): Promise<Tulle> {
  const backend = await startHttp1(context, (incoming, response) => {
    incoming.on('error', () => {}); // attackers cut their requests short
    if (incoming.url === '/held') return;
    incoming.resume().on('end', () => response.end(incoming.url === '/large' ? LARGE : 'served'));
  });
  const mesh = join(temporaryDir(context), 'mesh.yaml');
  writeMesh(mesh, http1Mesh([backend.address]));
  const flags = ['--outbound', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--namespace', 't'];
  return startTulle(context, 'sidecar', '--standalone', mesh, ...flags);
}

/** How often each protection has acted. */
async function protectionsOf(sidecar: Tulle): Promise<Map<string, number>> {
  const { body } = await request(`http://${sidecar.ready.admin}/metrics`);
  const family = readPrometheusText(await body.text()).get('tulle_http2_protections_total');
  return new Map(family?.samples.map(({ labels, value }) => [labels.protection ?? '', value]));
}

/** Asks on a connection of its own, one request after the other, until told to stop; resolves with their number. */
async function goodClient(context: TestContext, address: string, stopped: () => boolean): Promise<number> {
  const session = await openSession(context, address);
  let served = 0;
  while (!stopped() || served < LEAST_SERVED) {
    const { status, body } = await ask(session, { ':authority': 'app.t' });
    assert.equal(`${status} ${body}`, '200 served');
    served++;
  }
  session.close();
  return served;
}

async function attack(
  address: string,
  { deaf = false, holds = false, settings, send }: Attack,
  heldUntil: Promise<unknown>,
): Promise<void> {
  const attacker = await rawSession(address, settings);
  try {
    await send(attacker);
    if (holds) {
      await heldUntil;
      assert.equal(attacker.closed || attacker.goaway !== undefined, false, 'it is borne');
      return;
    }
    if (deaf) {
      await attacker.untilClosed();
      return;
    }
    await until('GOAWAY, or the end', () => attacker.goaway !== undefined || attacker.closed);
    assert.equal(attacker.goaway, ENHANCE_YOUR_CALM, 'GOAWAY says why');
    await attacker.untilClosed();
  } finally {
    attacker.socket.destroy();
  }
}

test('attackers on HTTP/2 are sent away and counted, and a good client never notices', async (context) => {
  const sidecar = await startTarget(context);
  const { outbound = '' } = sidecar.ready;
  const pid = sidecar.child.pid ?? 0;
  // What a first use costs is not the attack's doing.
  await goodClient(context, outbound, () => true);
  await protectionsOf(sidecar);
  for (const one of ATTACKS) {
    const [protection = 'borne'] = one.protections;
    await context.test(`${protection}: an attacker ${one.aim}`, LIMIT, async (inner) => {
      const counted = await protectionsOf(sidecar);
      const usual = residentBytes(pid);
      resetPeak(pid);
      let over = false;
      const good = goodClient(inner, outbound, () => over || one.holds === true);
      const attacked = attack(outbound, one, good).finally(() => {
        over = true;
      });
      const [served] = await Promise.all([good, attacked]);
      const after = await protectionsOf(sidecar);
      const grown = one.protections.filter((name) => (after.get(name) ?? 0) > (counted.get(name) ?? 0));
      assert.ok(one.holds || grown.length > 0, `none of ${one.protections} was counted`);
      const growth = peakBytes(pid) - usual;
      inner.diagnostic(`measured: ${served} good requests, ${(growth / MB).toFixed(1)} MB more`);
      assert.ok(growth < MOST_GROWTH, `the sidecar grew by ${(growth / MB).toFixed(1)} MB`);
      assert.equal(sidecar.child.exitCode, null, `the sidecar ended: ${sidecar.log}`);
    });
  }
});
