import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parse } from 'yaml';
import { SUPPORTED_FEATURES } from '../../control-plane/status/supported-features.ts';
import { runningCluster } from './cluster.ts';
import { loadConformanceImages } from './conformance/images.ts';
import { startLoadBalancer } from './conformance/load-balancer.ts';
import { type Report, recorded, statisticsOf } from './conformance/report.ts';
import { installGatewayApi, runSuite, type SuiteResult, skips, suiteCases } from './conformance/suite.ts';
import { removeMesh, upgradeMesh } from './installed-mesh.ts';

const PROFILES = ['MESH-HTTP', 'MESH-GRPC', 'GATEWAY-HTTP', 'GATEWAY-GRPC', 'GATEWAY-TLS'] as const;
/** Only definitions of the experimental channel have the field that they are about. */
const EXPERIMENTAL_CASE = 'HTTPRouteRetry';
const EXPERIMENTAL = ['HTTPRouteRetry', 'HTTPRouteRetryBackendTimeout', 'HTTPRouteRetryConnectionError'];
/** Fresh ones; what is recorded in docs/conformance is a copy. */
const REPORTS = join(import.meta.dirname, '../../.cache/gateway-api-conformance/reports');
const LIMIT_MS = 900_000;
/** The suite has some sixty pods and twenty Gateways at once, and the node two cores. */
const SMALL = [
  // Where nothing asks for an address of its own, cluster IPs serve as well.
  'gateways.serviceType=LoadBalancer',
  'gateways.replicas=1',
  'gateways.cpuRequest=5m',
  'proxy.cpuRequest=5m',
  'controlPlane.readSecrets=true',
];

let loadBalancer: { stop(): void } | undefined;
before(async () => {
  await loadConformanceImages(runningCluster());
  await installGatewayApi();
  await upgradeMesh(...SMALL);
  loadBalancer = startLoadBalancer();
});
after(async () => {
  loadBalancer?.stop();
  await installGatewayApi();
  await removeMesh();
});

async function run(
  channel: 'standard' | 'experimental',
  features: readonly string[],
  only?: string,
): Promise<SuiteResult & { report: Report }> {
  const report = join(REPORTS, `${channel}.yaml`);
  const lines: string[] = [];
  const result = await runSuite({
    profiles: PROFILES,
    features,
    gatewayClass: 'tulle',
    namespaceLabels: ['tulle.dev/inject=enabled'],
    report,
    ...(only !== undefined && { only }),
    limitMs: LIMIT_MS,
    log: (line) => lines.push(line),
  });
  for (const name of result.failed) console.log(lines.filter((line) => line.includes(name)).join('\n'));
  return { ...result, report: parse(readFileSync(report, 'utf8')) as Report };
}

test('a case that is left out has a reason, and exists', async () => {
  const cases = new Set((await suiteCases()).map(({ name }) => name));
  assert.ok(cases.size > 100);
  for (const skip of skips()) {
    assert.ok(cases.has(skip.case), skip.case);
    assert.ok(skip.reason.length > 20, `${skip.case}: ${skip.reason}`);
  }
});

test("the Gateway API's suite passes: all cases of what the GatewayClass claims, as recorded", async () => {
  const { passed, failed, report } = await run('standard', SUPPORTED_FEATURES);
  assert.deepEqual(failed, []);
  assert.ok(passed.length > 100, `${passed.length} passed`);
  assert.deepEqual(statisticsOf(report), statisticsOf(recorded('standard')));
});

test('retries of routes pass, where definitions of the experimental channel let them be written', async () => {
  await installGatewayApi('experimental');
  const { passed, failed } = await run(
    'experimental',
    ['Gateway', 'HTTPRoute', 'ReferenceGrant', ...EXPERIMENTAL],
    EXPERIMENTAL_CASE,
  );
  assert.deepEqual({ passed, failed }, { passed: [EXPERIMENTAL_CASE], failed: [] });
});
