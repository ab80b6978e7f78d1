import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { request } from 'undici';
import { VERSION } from '../../protocol/version.ts';
import { capture } from './capture.ts';
import {
  apply,
  clusterIps,
  kubectl,
  type Manifest,
  makeNamespace,
  pods,
  removeNamespace,
  rolledOut,
  scriptIn,
} from './kubectl.ts';
import { podLoad } from './pod-load.ts';

/** A service of two pods with addresses of both families. */
function service(name: string, inNamespace: string): Manifest[] {
  const metadata = { name, namespace: inNamespace };
  const labels = { app: name };
  const container = {
    name: 'app',
    image: `tulle:${VERSION}`,
    args: ['shop-service', name],
    readinessProbe: { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 1 },
  };
  return [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        replicas: 2,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: { containers: [container], terminationGracePeriodSeconds: 1 },
        },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { selector: labels, ports: [{ port: 8080 }], ipFamilyPolicy: 'PreferDualStack' },
    },
  ];
}

const ASK = (url: string) =>
  `const r = await fetch(${JSON.stringify(url)}); console.log(r.status, await r.text());`;

describe('the cluster that the other tests stand on', () => {
  const shop = 'tulle-bed';
  before(async () => {
    await makeNamespace(shop);
    await apply(service('web', shop));
    await rolledOut(shop, 'deployment/web');
  });
  after(() => removeNamespace(shop));

  test('a Service is reached by its name from a pod, also from its own pods', async () => {
    const script = Array.from({ length: 6 }, () =>
      ASK(`http://web.${shop}.svc.cluster.local:8080/`).replaceAll('const r', 'var r'),
    );
    const told = await scriptIn(shop, 'deployment/web', 'app', script.join('\n'));
    const answered = new Set(told.match(/web-[a-z0-9]+-[a-z0-9]+/g));
    assert.equal(told.match(/^200 /gm)?.length, 6);
    assert.ok(answered.size >= 1);
  });

  test('a Service and its pods are reached over IPv4 and IPv6, from a pod and from this machine', async () => {
    const ips = await clusterIps(shop, 'web');
    const [pod] = await pods(shop, 'app=web');
    const addresses = [...ips, ...(pod?.status.podIPs ?? []).map(({ ip }) => ip)];
    assert.equal(addresses.length, 4);
    for (const address of addresses) {
      const url = `http://${address.includes(':') ? `[${address}]` : address}:8080/`;
      assert.match(await scriptIn(shop, 'deployment/web', 'app', ASK(url)), /^200 /, url);
      const { statusCode, body } = await request(url);
      await body.dump();
      assert.equal(statusCode, 200, url);
    }
  });

  test('the outside world is this machine, with a name', async (context) => {
    const server = createServer((_request, response) => response.end('outside'));
    server.listen(0, '::');
    await once(server, 'listening');
    context.after(() => server.close());
    const url = `http://outside.test:${(server.address() as AddressInfo).port}/`;
    assert.equal(await scriptIn(shop, 'deployment/web', 'app', ASK(url)), '200 outside\n');
  });

  test('a capture sees what two pods say to each other, and a load counts it', async (context) => {
    const load = await podLoad(context, shop, 'visitor', 'http://web:8080/', 50);
    const [visitor] = JSON.parse(
      await kubectl('-n', shop, 'get', 'pod', 'visitor', '-o', 'jsonpath={.status.podIPs}'),
    ) as { ip: string }[];
    const recording = await capture(context, `host ${visitor?.ip} and port 8080`);
    await kubectl('-n', shop, 'rollout', 'status', 'deployment/web');
    let tally = await load.tally();
    const enough = tally.sent + 50;
    while (tally.sent < enough) tally = await load.tally();
    const { plainHttp, clientHellos } = await recording.stop();
    const { sent, succeeded, failures } = await load.stop();
    assert.deepEqual({ succeeded, failures }, { succeeded: sent, failures: {} });
    assert.ok(plainHttp.some((text) => text.startsWith('GET / HTTP/1.1')));
    assert.ok(plainHttp.some((text) => text.startsWith('HTTP/1.1 200')));
    assert.equal(clientHellos, 0);
  });
});
