import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { request } from 'undici';
import { VERSION } from '../../protocol/version.ts';
import { until } from '../fixture/wait.ts';
import { askFrom } from './ask-from.ts';
import { installMesh, SYSTEM, upgradeMesh } from './installed-mesh.ts';
import {
  apply,
  kubectl,
  leaveNamespace,
  makeNamespace,
  type Pod,
  pods,
  restart,
  rolledOut,
  scriptIn,
  uniqueName,
} from './kubectl.ts';
import { podLoad } from './pod-load.ts';
import { deployment, service } from './workloads.ts';

const SHOP = uniqueName('tulle-lifecycle');
const STRICT = uniqueName('tulle-strict');
/** Not in the mesh. */
const OUTSIDE = uniqueName('tulle-outside');
const INJECT = { 'tulle.dev/inject': 'enabled' };
/** The same image by another name. */
const OTHER_NAME = 'docker.io/library/tulle';
const NONE = {};
/** Pods end, and proxies ask again, in their own time. */
const LONG_MS = 60_000;

before(async () => {
  await installMesh();
  await makeNamespace(SHOP, INJECT);
  await apply([
    ...deployment(SHOP, 'front', { replicas: 2, args: ['--calls=http://back:8080/'] }),
    // So that one of its containers can end another's process.
    ...deployment(SHOP, 'back', { replicas: 2, pod: { shareProcessNamespace: true } }),
    service(SHOP, 'front'),
    service(SHOP, 'back'),
  ]);
  await makeNamespace(STRICT, INJECT);
  await makeNamespace(OUTSIDE);
  await kubectl('annotate', 'namespace', STRICT, 'tulle.dev/mtls=strict');
  await rolledOut(SHOP, 'deployment/front', 'deployment/back');
});
after(async () => {
  await Promise.all([SHOP, STRICT, OUTSIDE].map(leaveNamespace));
  await kubectl('-n', SYSTEM, 'scale', 'deployment/control-plane', '--replicas=2');
  await rolledOut(SYSTEM, 'deployment/control-plane');
});

test('while visitors come, no request fails', async (context) => {
  const load = await podLoad(context, SHOP, 'visitor', 'http://front:8080/', 20);
  const plain = await podLoad(context, OUTSIDE, 'visitor', `http://front.${SHOP}:8080/`, 10);
  await Promise.all([load.next(1), plain.next(1)]);
  const during = async (name: string, body: () => Promise<void>): Promise<void> => {
    await context.test(name, async () => {
      const earlier = await Promise.all([load.tally(), plain.tally()]);
      await body();
      await Promise.all([load.next(20), plain.next(10)]);
      const now = await Promise.all([load.tally(), plain.tally()]);
      const failures = (tallies: typeof now) => tallies.map((tally) => tally.failures);
      assert.deepEqual(failures(now), failures(earlier), 'of visitors in the mesh, and outside of it');
    });
  };

  await during(
    'all replicas of control plane and injector are replaced by those of another image',
    async () => {
      // The annotation: also where the image is that already.
      await upgradeMesh(`image.repository=${OTHER_NAME}`, `podAnnotations.tried=${SHOP}`);
      // The old ones answer a while, on connections that the API server keeps.
      await until('the new injectors to be asked', async () => {
        const probe = await kubectl(
          '-n',
          SHOP,
          'run',
          'probe',
          `--image=tulle:${VERSION}`,
          '--dry-run=server',
          '-o',
          'json',
        );
        return imageOf(JSON.parse(probe) as Pod, 'tulle-proxy') === `${OTHER_NAME}:${VERSION}`;
      });
    },
  );

  await during('servers and callers are restarted, and get the proxy of the other image', async () => {
    await restart(SHOP, 'deployment/back');
    await restart(SHOP, 'deployment/front');
    for (const app of ['front', 'back']) {
      const [pod] = (await pods(SHOP, `app=${app}`)).filter(isStaying);
      assert.equal(imageOf(pod, 'tulle-proxy'), `${OTHER_NAME}:${VERSION}`);
    }
  });

  await during('a service gets smaller', async () => {
    await kubectl('-n', SHOP, 'scale', 'deployment/back', '--replicas=1');
    await until('one pod to be left', async () => (await pods(SHOP, 'app=back')).length === 1, LONG_MS);
    await kubectl('-n', SHOP, 'scale', 'deployment/back', '--replicas=2');
    await rolledOut(SHOP, 'deployment/back');
  });

  await during('the control plane goes away, pods start without it, and it comes back', async () => {
    await kubectl('-n', SYSTEM, 'scale', 'deployment/control-plane', '--replicas=0');
    await kubectl(
      '-n',
      SYSTEM,
      'wait',
      '--for=delete',
      'pod',
      '-l',
      'app.kubernetes.io/name=control-plane',
      '--timeout=60s',
    );
    await apply([...deployment(SHOP, 'late'), ...deployment(STRICT, 'late')]);
    await rolledOut(SHOP, 'deployment/late');
    const late = await readinessOf(SHOP);
    assert.equal(late.ready, true);
    assert.match(late.degraded.join(), /no control plane has told what protects the pod.*without the mesh/);
    assert.deepEqual(
      (await askFrom(SHOP, 'deployment/late', ['http://back:8080/'])).map(({ status }) => status),
      [200],
    );
    const waiting = await readinessOf(STRICT);
    assert.equal(waiting.ready, false);
    assert.match(waiting.reasons.join(), /no certificate yet/);

    await kubectl('-n', SYSTEM, 'scale', 'deployment/control-plane', '--replicas=2');
    await rolledOut(STRICT, 'deployment/late');
    const inMesh = async () => (await readinessOf(SHOP)).degraded.length === 0;
    await until('the pod to be in the mesh', inMesh, LONG_MS);
  });

  await context.test(
    'a proxy is killed: it is back by itself, and so is all that went through it',
    async () => {
      const [victim] = await pods(SHOP, 'app=back');
      const name = victim?.metadata.name ?? '';
      await scriptIn(SHOP, name, 'tulle-proxy', KILL_PROXY);
      await until(
        'the proxy to be back',
        async () => {
          const again = (await pods(SHOP, 'app=back')).find(({ metadata }) => metadata.name === name);
          const proxy = again?.status.initContainerStatuses?.find(
            (container) => container.name === 'tulle-proxy',
          );
          return proxy?.restartCount === 1 && proxy.ready;
        },
        LONG_MS,
      );
      const [answer] = await askFrom(SHOP, 'deployment/front', [
        `http://${victim?.status.podIPs?.[0]?.ip}:8080/`,
      ]);
      assert.equal(answer?.status, 200);
      assert.deepEqual((await load.next(20)).failures, NONE);
    },
  );

  const { sent } = await load.stop();
  assert.ok(sent > 500);
});

/** In a pod whose containers see each other's processes: of the proxy's user there is no other that was told to be one. */
const KILL_PROXY = `
  import { readdirSync, readFileSync } from 'node:fs';
  for (const pid of readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))) {
    try {
      if (readFileSync('/proc/' + pid + '/cmdline', 'utf8').includes('\\0--pod=')) process.kill(pid, 'SIGKILL');
    } catch {} // it has ended
  }
`;

interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
  readonly degraded: readonly string[];
}

/** What the proxy of the pod `late` says of itself. */
async function readinessOf(namespace: string): Promise<Readiness> {
  let told: Readiness | undefined;
  await until('the proxy to say something', async () => {
    const ip = await kubectl(
      '-n',
      namespace,
      'get',
      'pods',
      '-l',
      'app=late',
      '-o',
      'jsonpath={.items[0].status.podIP}',
    );
    told = ip === '' ? undefined : await readiness(ip);
    return told !== undefined;
  });
  return told as unknown as Readiness; // or `until` has thrown
}

/** Undefined: it does not listen yet. */
async function readiness(ip: string): Promise<Readiness | undefined> {
  try {
    const { body } = await request(`http://${ip}:4191/readyz`);
    return (await body.json()) as Readiness;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') return undefined;
    throw error;
  }
}

function isStaying({ metadata }: Pod): boolean {
  return metadata.deletionTimestamp === undefined;
}

function imageOf(pod: Pod | undefined, container: string): string | undefined {
  return pod?.spec.initContainers?.find(({ name }) => name === container)?.image;
}
