import type { ClusterFacts } from './facts.ts';
import { error, type Finding, ok, some, warning } from './finding.ts';

/** The chart says the same: matchConditions of webhooks. */
const OLDEST = 28;
/** Init containers with restartPolicy Always, without a feature gate. */
const NATIVE_SIDECARS = 29;

/** What an installation needs of a cluster. */
export function checkBeforeInstall(facts: ClusterFacts): Finding[] {
  return [apiServer(facts), sidecars(facts), permissions(facts), gatewayApi(facts)];
}

function apiServer({ version }: ClusterFacts): Finding {
  const check = 'API server';
  return minor(version) >= OLDEST
    ? ok(check, `Kubernetes ${version}`)
    : error(check, `Kubernetes ${version} is too old`, `Upgrade to 1.${OLDEST} or newer.`);
}

function sidecars({ version, kubelets }: ClusterFacts): Finding {
  const check = 'native sidecars';
  const old = [...new Set([version, ...kubelets])].filter((one) => minor(one) < NATIVE_SIDECARS);
  if (old.length === 0) return ok(check, 'every node has them');
  return warning(
    check,
    `${some(old)} has no init containers that go on running: a Job with a proxy does not end by itself`,
    `Upgrade all nodes to 1.${NATIVE_SIDECARS} or newer, or annotate Jobs with tulle.dev/inject: disabled.`,
  );
}

function permissions({ forbidden }: ClusterFacts): Finding {
  const check = 'your permissions';
  return forbidden.length === 0
    ? ok(check, 'you may install the mesh')
    : error(check, `you may not ${some(forbidden)}`, 'Install as a user with the ClusterRole cluster-admin.');
}

function gatewayApi({ groups }: ClusterFacts): Finding {
  const check = 'Gateway API';
  if (groups.includes('gateway.networking.k8s.io')) return ok(check, 'it is there');
  return warning(
    check,
    'its CustomResourceDefinitions are not there: HTTPRoute, GRPCRoute and Gateway cannot be used',
    'Install its standard channel if you want them: https://gateway-api.sigs.k8s.io/guides/',
  );
}

/** Of v1.36.3: 36. A 2.x would be newer than all that is known. */
function minor(version: string): number {
  const [, major, number] = /^v?(\d+)\.(\d+)/.exec(version) ?? [];
  return Number(major) > 1 ? Number.POSITIVE_INFINITY : Number(number ?? 0);
}
