import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parse } from 'yaml';
import { VERSION } from '../../../protocol/version.ts';
import { until } from '../../fixture/wait.ts';
import { MARK } from '../../leftovers.ts';
import { output } from '../cluster/command.ts';
import { gatewayApiCrds } from '../gateway-api-crds.ts';
import { UNUSABLE_ADDRESS, USABLE_ADDRESS } from './load-balancer.ts';

/** A profile of the suite: a set of core and extended features. */
type Profile = 'MESH-HTTP' | 'MESH-GRPC' | 'GATEWAY-HTTP' | 'GATEWAY-GRPC' | 'GATEWAY-TLS';

export interface SuiteOptions {
  readonly profiles: readonly Profile[];
  /** Features that the implementation claims, besides the core ones of the profiles: see extendedFeatures. */
  readonly features: readonly string[];
  /** GatewayClass whose controller is tested. */
  readonly gatewayClass: string;
  /** Labels of the suite's namespaces, like `tulle.dev/inject=enabled`. */
  readonly namespaceLabels: readonly string[];
  /** Where the suite writes its report, as YAML. */
  readonly report: string;
  /** One case instead of all. */
  readonly only?: string;
  readonly limitMs: number;
  readonly log: (line: string) => void;
}

/** A case that is left out. */
export interface Skip {
  readonly case: string;
  readonly reason: string;
}

export interface SuiteResult {
  readonly passed: readonly string[];
  readonly failed: readonly string[];
  /** Left out by the suite for want of a feature, or by skips.yaml. */
  readonly skipped: readonly string[];
}

/** A case of the suite. */
export interface Case {
  readonly name: string;
  readonly features: readonly string[];
  readonly provisional: boolean;
}

const MODULE = import.meta.dirname;
const CACHE = join(MODULE, '../../../.cache/gateway-api-conformance');
const RESULT = /^ {4}--- (PASS|FAIL|SKIP): TestConformance\/(\S+)/;

/** The cases that are left out, and why. */
export function skips(): Skip[] {
  return parse(readFileSync(join(MODULE, 'skips.yaml'), 'utf8')) as Skip[];
}

/** Kept from one channel over the other by the definitions themselves, unless this is gone. */
const SAFE_UPGRADES = 'safe-upgrades.gateway.networking.k8s.io';

/**
 * Installs the Gateway API's definitions of the suite's own version into the cluster of $KUBECONFIG, of one channel in
 * place of the other.
 */
export async function installGatewayApi(channel: 'standard' | 'experimental' = 'standard'): Promise<void> {
  const policy = ['validatingadmissionpolicybinding', 'validatingadmissionpolicy'].map(
    (kind) => `${kind}/${SAFE_UPGRADES}`,
  );
  await output('kubectl', 'delete', '--ignore-not-found', ...policy);
  const definitions = gatewayApiCrds(channel);
  // It goes on holding for a moment after it is gone.
  await until(`the definitions of the channel ${channel}`, async () => {
    const applied = output(
      'kubectl',
      'apply',
      '--server-side',
      ...definitions.flatMap((file) => ['-f', file]),
    );
    return applied.then(
      () => true,
      () => false,
    );
  });
  await output('kubectl', 'wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s');
}

/** Every case of the suite, with the features that it needs. */
export async function suiteCases(): Promise<Case[]> {
  const printed = await output(await suiteProgram(), '-test.run', '^TestCases$');
  const lines = printed.split('\n').filter((line) => line.startsWith('{'));
  return lines.map((line) => JSON.parse(line) as Case);
}

/** Runs the suite against the cluster of $KUBECONFIG. Rejects with its last words when it does not come to an end. */
export async function runSuite(options: SuiteOptions): Promise<SuiteResult> {
  mkdirSync(join(options.report, '..'), { recursive: true });
  await earlierNamespacesGone();
  const child = spawn(await suiteProgram(), suiteArguments(options), {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: options.limitMs,
    killSignal: 'SIGKILL',
  });
  const result = { passed: [] as string[], failed: [] as string[], skipped: [] as string[] };
  const last: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    options.log(line);
    last.push(line);
    if (last.length > 20) last.shift();
    const [, outcome, name = ''] = RESULT.exec(line) ?? [];
    if (outcome === 'PASS') result.passed.push(name);
    else if (outcome === 'FAIL') result.failed.push(name);
    else if (outcome === 'SKIP') result.skipped.push(name);
  }
  if (result.passed.length + result.failed.length === 0) {
    throw new Error(`the conformance suite did not run:\n${last.join('\n')}`);
  }
  return result;
}

/** What a run before this one made goes after it has ended, in its own time. */
async function earlierNamespacesGone(): Promise<void> {
  const names = (await output('kubectl', 'get', 'namespaces', '-o', 'name')).split('\n');
  const ending = names.filter((name) => name.startsWith('namespace/gateway-conformance-'));
  if (ending.length === 0) return;
  await output('kubectl', 'delete', '--ignore-not-found', '--wait=false', ...ending);
  await output('kubectl', 'wait', '--for=delete', '--timeout=180s', ...ending);
}

function suiteArguments(options: SuiteOptions): string[] {
  const { profiles, features, gatewayClass, namespaceLabels, report, only } = options;
  const left = skips().map((skip) => skip.case);
  return [
    '-test.run=^TestConformance$',
    '-test.v',
    `-test.timeout=${Math.ceil(options.limitMs / 1000)}s`,
    `--conformance-profiles=${profiles.join(',')}`,
    `--gateway-class=${gatewayClass}`,
    `--namespace-labels=${namespaceLabels.join(',')}`,
    `--report-output=${report}`,
    `--usable-address=${USABLE_ADDRESS}`,
    `--unusable-address=${UNUSABLE_ADDRESS}`,
    '--organization=tulle',
    '--project=tulle',
    '--url=https://tulle.dev',
    `--version=${VERSION}`,
    '--contact=@tulle/maintainers',
    `--supported-features=${features.join(',')}`,
    ...(left.length > 0 ? [`--skip-tests=${left.join(',')}`] : []),
    ...(only === undefined ? [] : [`--run-test=${only}`]),
  ];
}

/** The suite as a program; built once for each go.sum. */
async function suiteProgram(): Promise<string> {
  const sources = ['go.mod', 'go.sum', 'conformance_test.go'].map((name) => readFileSync(join(MODULE, name)));
  const sum = createHash('sha256').update(Buffer.concat(sources)).digest('hex').slice(0, 16);
  const program = join(CACHE, `suite-${sum}`);
  if (existsSync(program)) return program;
  mkdirSync(CACHE, { recursive: true });
  const building = `${program}.${process.pid}`;
  await build(building);
  renameSync(building, program);
  return program;
}

function build(out: string): Promise<void> {
  const { [MARK]: _mark, ...env } = process.env; // go may leave a process that counts its use for a while
  const args = ['test', '-c', '-mod=readonly', '-trimpath', '-o', out, '.'];
  const child = spawn('go', args, {
    cwd: MODULE,
    env: { ...env, CGO_ENABLED: '0' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words += text;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`the conformance suite: ${words}`)),
    );
  });
}
