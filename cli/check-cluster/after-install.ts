import type { X509Certificate } from 'node:crypto';
import { certificates } from '../../sidecar/identity/read-identity.ts';
import type { ClusterFacts, PodFacts } from './facts.ts';
import { error, type Finding, ok, some, warning } from './finding.ts';

const SYSTEM = 'tulle-system';
const NEVER_MESHED = new Set(['kube-system', 'kube-node-lease', SYSTEM]);
const DAY_MS = 86_400_000;
/** A root this near its end has missed its rotation. */
const ROOT_DAYS = 30;

const SEE_INJECTOR = `See why: kubectl --namespace ${SYSTEM} logs deployment/injector`;
const SEE_CONTROL_PLANE = `See why: kubectl --namespace ${SYSTEM} logs deployment/control-plane`;

/** What is expected of this command's version. */
export interface Expected {
  readonly version: string;
  /** Schemas of the CustomResourceDefinitions by name, as in `ClusterFacts.crds`. */
  readonly crds: ReadonlyMap<string, string>;
  readonly nowMs: number;
}

/** Whether anything of the mesh is there. */
export function isInstalled({ deployments }: ClusterFacts): boolean {
  return deployments.has('control-plane') || deployments.has('injector');
}

/** What a mesh that works has. */
export function checkInstalled(facts: ClusterFacts, expected: Expected): Finding[] {
  return [
    definitions(facts, expected),
    deployment(
      facts,
      'control-plane',
      'certificates of workloads are not renewed, and changes do not arrive',
    ),
    deployment(facts, 'injector', 'pods that ask for the mesh cannot start'),
    versions(facts, expected),
    webhooks(facts),
    ...servingCertificate(facts, expected),
    ...roots(facts, expected),
    ...trust(facts),
    ...pods(facts),
  ];
}

/** What a mesh that is gone leaves. */
export function checkLeftovers({ mutating, services, pods }: ClusterFacts): Finding[] {
  const check = 'leftovers';
  const found: Finding[] = [];
  if (mutating !== undefined && !services.includes('injector')) {
    found.push(
      error(
        check,
        'a webhook configuration is there, and no injector: pods that ask for the mesh cannot start',
        'Remove it: kubectl delete mutatingwebhookconfiguration,validatingwebhookconfiguration tulle-injector',
      ),
    );
  }
  const meshed = pods.filter(({ proxy, over }) => proxy !== undefined && !over);
  if (meshed.length > 0) {
    found.push(
      error(
        check,
        `no mesh is installed, and pods have its proxy: ${some(meshed.map(shown))}; they stop talking when their certificates end`,
        'Remove the label tulle.dev/inject from the namespaces and restart the pods: kubectl rollout restart deployment',
      ),
    );
  }
  return found.length > 0 ? found : [ok(check, 'nothing of an earlier mesh is there')];
}

function definitions({ crds }: ClusterFacts, expected: Expected): Finding {
  const check = 'CustomResourceDefinitions';
  const remedy = 'Apply those of this version: tulle install --crds only | kubectl apply --server-side -f -';
  const missing = [...expected.crds.keys()].filter((name) => !crds.has(name));
  if (missing.length > 0) return error(check, `${some(missing)} is not there`, remedy);
  const other = [...expected.crds]
    .filter(([name, schema]) => crds.get(name) !== schema)
    .map(([name]) => name);
  // Helm installs them once and never changes them again.
  if (other.length > 0) return warning(check, `${some(other)} is of another version`, remedy);
  return ok(check, `${expected.crds.size} are there`);
}

function deployment({ deployments }: ClusterFacts, name: string, meaning: string): Finding {
  const found = deployments.get(name);
  if (found === undefined)
    return error(
      name,
      `its Deployment is not there: ${meaning}`,
      'Install it anew: tulle install | kubectl apply --server-side -f -',
    );
  const { wanted, ready } = found;
  const message = `${ready} of ${wanted} replicas are ready`;
  const remedy = `See why: kubectl --namespace ${SYSTEM} describe pods --selector app.kubernetes.io/name=${name}`;
  if (ready === 0) return error(name, `${message}: ${meaning}`, remedy);
  return ready < wanted ? warning(name, message, remedy) : ok(name, message);
}

function versions({ deployments, pods }: ClusterFacts, { version }: Expected): Finding {
  const check = 'versions';
  const images = new Set([...deployments.values()].flatMap(({ images }) => images));
  // A digest has no version in it.
  const tags = [...images].map((image) => /:([^/@:]+)$/.exec(image.replace(/@.*$/, ''))?.[1]).filter(isText);
  const others = new Set(tags.filter((tag) => tag !== version));
  if (others.size > 0) {
    return warning(
      check,
      `this command is ${version}, and the cluster runs ${some([...others])}`,
      'Use the command of the version that is installed, or upgrade the mesh.',
    );
  }
  const old = pods.filter(
    ({ proxy, over }) => !over && proxy?.version !== undefined && proxy.version !== version,
  );
  if (old.length > 0) {
    return warning(
      check,
      `${old.length} pods have a proxy of another version than ${version}: ${some(old.map(shown))}`,
      'Restart them: kubectl rollout restart deployment. One minor version apart they work together.',
    );
  }
  return ok(check, `all of it is ${version}`);
}

function isText(value: string | undefined): value is string {
  return value !== undefined;
}

function webhooks({ mutating, validating }: ClusterFacts): Finding {
  const check = 'webhooks';
  const reinstall = 'Install them anew: tulle install | kubectl apply --server-side -f -';
  if (mutating === undefined)
    return error(check, 'pods are not injected: the configuration is not there', reinstall);
  if (mutating.caBundles.some((bundle) => bundle === ''))
    return error(
      check,
      'the injector has not said by which certificate to trust it (caBundle)',
      SEE_INJECTOR,
    );
  if (validating === undefined)
    return warning(check, 'wrong policies are not refused: the configuration is not there', reinstall);
  return ok(check, 'pods and policies come to the injector');
}

function servingCertificate({ mutating, servingCertificate }: ClusterFacts, { nowMs }: Expected): Finding[] {
  const check = "the injector's certificate";
  if (servingCertificate === undefined || mutating === undefined) return [];
  const [leaf] = readable(servingCertificate);
  if (leaf === undefined) return [error(check, 'its Secret holds no certificate', SEE_INJECTOR)];
  const life = lifetime(leaf, nowMs);
  if (life.leftMs < 0)
    return [
      error(check, `it ended on ${leaf.validTo}: pods that ask for the mesh cannot start`, SEE_INJECTOR),
    ];
  for (const bundle of mutating.caBundles.filter((text) => text !== '')) {
    if (
      !readable(bundle).some((authority) => leaf.checkIssued(authority) && leaf.verify(authority.publicKey))
    )
      return [
        error(
          check,
          'the caBundle of a webhook is not of its issuer: the API server refuses it',
          SEE_INJECTOR,
        ),
      ];
  }
  if (life.leftMs < life.wholeMs / 5)
    return [warning(check, `it ends on ${leaf.validTo} and was not renewed in time`, SEE_INJECTOR)];
  return [ok(check, `it holds until ${leaf.validTo}, and the webhooks trust it`)];
}

function roots({ bundles }: ClusterFacts, { nowMs }: Expected): Finding[] {
  const check = 'roots of the mesh';
  const bundle = bundles.get(SYSTEM);
  if (bundle === undefined) return [];
  const lives = readable(bundle).map((root) => ({ root, leftMs: lifetime(root, nowMs).leftMs }));
  const best = lives.sort((a, b) => b.leftMs - a.leftMs)[0];
  if (best === undefined) return [error(check, 'the trust bundle holds no certificate', SEE_CONTROL_PLANE)];
  const until = best.root.validTo;
  if (best.leftMs < 0) return [error(check, `the last one ended on ${until}`, SEE_CONTROL_PLANE)];
  return best.leftMs < ROOT_DAYS * DAY_MS
    ? [warning(check, `the last one ends on ${until} and was not rotated in time`, SEE_CONTROL_PLANE)]
    : [ok(check, `one holds until ${until}`)];
}

/** None, where there is none or one cannot be read. */
function readable(pem: string): X509Certificate[] {
  try {
    return certificates(pem);
  } catch {
    return [];
  }
}

function lifetime(certificate: X509Certificate, nowMs: number): { leftMs: number; wholeMs: number } {
  const toMs = certificate.validToDate.getTime();
  return { leftMs: toMs - nowMs, wholeMs: toMs - certificate.validFromDate.getTime() };
}

function trust({ bundles, namespaces, pods }: ClusterFacts): Finding[] {
  const check = 'trust in namespaces';
  const meshed = new Set(pods.filter(({ proxy }) => proxy !== undefined).map(({ namespace }) => namespace));
  const needed = namespaces
    .filter(({ name, inject }) => (inject === 'enabled' && !NEVER_MESHED.has(name)) || meshed.has(name))
    .map(({ name }) => name);
  const missing = needed.filter((name) => !bundles.has(name));
  if (missing.length > 0)
    return [
      error(
        check,
        `the ConfigMap tulle-trust is not in ${some(missing)}: proxies cannot start there`,
        SEE_CONTROL_PLANE,
      ),
    ];
  const bundle = bundles.get(SYSTEM);
  const other = needed.filter((name) => bundle !== undefined && bundles.get(name) !== bundle);
  if (other.length > 0)
    return [
      warning(check, `the ConfigMap tulle-trust is not up to date in ${some(other)}`, SEE_CONTROL_PLANE),
    ];
  return [ok(check, `${needed.length} namespaces have the bundle`)];
}

function pods({ namespaces, pods }: ClusterFacts): Finding[] {
  const check = 'pods';
  const enabled = new Set(namespaces.filter(({ inject }) => inject === 'enabled').map(({ name }) => name));
  const current = pods.filter(({ over }) => !over);
  const outside = current.filter((pod) => wantsMesh(pod, enabled) && pod.proxy === undefined);
  const inside = current.filter(({ proxy }) => proxy !== undefined);
  const waiting = inside.filter(({ proxy }) => proxy?.ready === false);
  const found: Finding[] = [];
  if (outside.length > 0) {
    found.push(
      warning(
        check,
        `${outside.length} should be in the mesh and are not: ${some(outside.map(shown))}; they are older than the label`,
        'Restart them: kubectl rollout restart deployment',
      ),
    );
  }
  if (waiting.length > 0) {
    const [{ namespace, name }] = waiting as [PodFacts];
    found.push(
      warning(
        check,
        `the proxy of ${waiting.length} is not ready: ${some(waiting.map(shown))}`,
        `See why: kubectl --namespace ${namespace} logs ${name} --container tulle-proxy`,
      ),
    );
  }
  return found.length > 0 ? found : [ok(check, `${inside.length} are in the mesh`)];
}

function wantsMesh({ namespace, inject, hostNetwork }: PodFacts, enabled: ReadonlySet<string>): boolean {
  if (hostNetwork || NEVER_MESHED.has(namespace)) return false;
  return inject === 'enabled' || (inject !== 'disabled' && enabled.has(namespace));
}

function shown({ namespace, name }: PodFacts): string {
  return `${namespace}/${name}`;
}
