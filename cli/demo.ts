import { request } from 'undici';
import { describe, type Explanation } from '../sidecar/telemetry/explanation.ts';
import { difference, type EdgeFigures, quantile, readEdges } from './demo/edge-figures.ts';
import { Load } from './demo/load.ts';
import { type DemoMesh, startDemoMesh } from './demo/mesh.ts';
import { edgeTable, type Paint, painter } from './demo/table.ts';
import { EDGES, SERVICES } from './demo/topology.ts';
import { countOption } from './flags.ts';

export interface DemoFlags {
  seconds?: string;
  rps: string;
  json?: boolean;
  color: boolean;
}

const WANTED_SUCCESS = 0.99;
const LOG_EVERY_S = 5;

/** Runs the demo until Ctrl-C, or for --seconds; exit code 0 if every edge was seen with mTLS and 99 % succeeded. */
export async function demoCommand(flags: DemoFlags): Promise<void> {
  const seconds =
    flags.seconds === undefined
      ? Number.POSITIVE_INFINITY
      : countOption('--seconds', flags.seconds, 1, 86_400);
  const perSecond = countOption('--rps', flags.rps, 1, 500);
  const json = flags.json === true;
  const live = !json && process.stdout.isTTY === true;
  const paint = painter(live && flags.color && process.env.NO_COLOR === undefined);
  const stopped = whenStopped();
  const say = (text: string): void => {
    if (!json) console.log(text);
  };
  say(
    paint.dim(
      'Starting a control plane, 5 services with 11 instances, a sidecar beside each, and a gateway ...',
    ),
  );
  const starting = startDemoMesh();
  const mesh = await Promise.race([starting, stopped.promise.then(() => undefined)]);
  if (mesh === undefined) {
    await starting.then((late) => late.stop()).catch(() => {});
    return;
  }
  const deaths: string[] = [];
  mesh.onDeath((name, code) => deaths.push(`${name} ended by itself with ${code}`));
  const load = new Load(mesh.gateway, perSecond);
  try {
    say(addresses(mesh, paint));
    load.start();
    await watch(mesh, load, seconds, { live, json, paint, stopped });
    // Ctrl-C must not wait for stragglers: the mesh below them is going.
    await Promise.race([
      load.stop(),
      new Promise((resolve) => setTimeout(resolve, stopped.yes ? 200 : 5_000)),
    ]);
    const summary = await summarize(mesh, load, deaths);
    if (json) console.log(JSON.stringify(summary, null, 2));
    else say(summaryText(summary, paint));
    if (!summary.ok && !stopped.yes) process.exitCode = 1;
  } finally {
    await mesh.stop();
  }
  say(paint.dim('All processes have ended.'));
  process.exit();
}

interface Stopped {
  yes: boolean;
  readonly promise: Promise<void>;
}

/** SIGINT or SIGTERM, once. */
function whenStopped(): Stopped {
  let resolve: () => void = () => {};
  const stopped = { yes: false, promise: new Promise<void>((settle) => (resolve = settle)) };
  const stop = (): void => {
    stopped.yes = true;
    resolve();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  return stopped;
}

function addresses(mesh: DemoMesh, paint: Paint): string {
  const [first] = mesh.sidecars;
  return [
    '',
    paint.bold('Tulle demo: a service mesh on this machine'),
    '',
    `  gateway         http://${mesh.gateway}/`,
    `  control plane   ${mesh.controlPlane} (mTLS HTTP/2)`,
    `  mesh file       ${mesh.meshFile} (edit it: sidecars follow)`,
    `  admin ports     gateway ${mesh.gatewayAdmin}`,
    ...SERVICES.map(
      ({ name }) =>
        `                  ${name.padEnd(10)}${mesh.sidecars
          .filter(({ service }) => service === name)
          .map(({ admin }) => admin)
          .join(' ')}`,
    ),
    '',
    paint.dim(`  try   curl -i http://${mesh.gateway}/`),
    paint.dim(`        curl http://${first?.admin}/explain        and /readyz /metrics /config /certs`),
    paint.dim(`        npm run tulle -- explain REQUEST-ID --admin ${mesh.gatewayAdmin}`),
    '',
  ].join('\n');
}

interface WatchOptions {
  readonly live: boolean;
  readonly json: boolean;
  readonly paint: Paint;
  readonly stopped: Stopped;
}

/** Shows the table as it changes, until the time is over or somebody stops it. */
async function watch(
  mesh: DemoMesh,
  load: Load,
  seconds: number,
  { live, json, paint, stopped }: WatchOptions,
): Promise<void> {
  let before = new Map<string, EdgeFigures>();
  let lines = 0;
  const startMs = performance.now();
  for (let second = 1; second <= seconds && !stopped.yes; second++) {
    const untilMs = startMs + second * 1000;
    await Promise.race([
      new Promise((resolve) => setTimeout(resolve, Math.max(0, untilMs - performance.now()))),
      stopped.promise,
    ]);
    if (stopped.yes || json) continue;
    if (!live && second % LOG_EVERY_S !== 0) continue;
    const now = await scrape(mesh).catch(() => undefined);
    if (now === undefined) continue;
    const window = live ? 1 : LOG_EVERY_S;
    const shown = new Map([...now].map(([key, edge]) => [key, difference(edge, before.get(key))]));
    before = now;
    const left = Number.isFinite(seconds) ? `${seconds - second} s left` : 'Ctrl-C ends it';
    const text = [
      ...edgeTable(shown, window, paint),
      '',
      `  ${load.sent} requests sent, ${load.failed} failed, ${mesh.processes} processes, ${left}`,
      '',
    ];
    if (live && lines > 0) process.stdout.write(`\u001b[${lines}A\u001b[J`);
    process.stdout.write(`${text.join('\n')}\n`);
    lines = text.length;
  }
}

async function scrape(mesh: DemoMesh): Promise<Map<string, EdgeFigures>> {
  const texts = await Promise.all(
    mesh.admins.map(async (admin) => {
      const { body } = await request(`http://${admin}/metrics`, { headersTimeout: 3_000 });
      return body.text();
    }),
  );
  return readEdges(texts);
}

interface Summary {
  readonly ok: boolean;
  readonly missing: string[];
  readonly requests: { sent: number; succeeded: number; failed: number; failures: Record<string, number> };
  readonly edges: object[];
  readonly endpoints: { service: string; address: string; requests: number }[];
  readonly refused: { status: number; reason: string; detail: string } | undefined;
  readonly retried: Explanation | undefined;
}

async function summarize(mesh: DemoMesh, load: Load, deaths: readonly string[]): Promise<Summary> {
  const figures = await scrape(mesh);
  const refused = await refusedCall(mesh);
  const retried = await retriedRequest(mesh);
  const missing = [...deaths];
  for (const { source, destination } of EDGES) {
    const edge = figures.get(`${source} ${destination}`);
    if (edge === undefined || edge.requests === 0) missing.push(`${source} -> ${destination} was not seen`);
    else if (edge.mtls !== edge.requests) missing.push(`${source} -> ${destination} was not all by mTLS`);
  }
  const answered = load.succeeded + load.failed;
  if (load.succeeded < answered * WANTED_SUCCESS)
    missing.push(`only ${load.succeeded} of ${answered} requests succeeded`);
  if (answered === 0) missing.push('no request was answered');
  if (refused?.status !== 403) missing.push('a call that is not allowed was not refused');
  return {
    ok: missing.length === 0,
    missing,
    requests: {
      sent: load.sent,
      succeeded: load.succeeded,
      failed: load.failed,
      failures: Object.fromEntries(load.failures),
    },
    edges: EDGES.map(({ source, destination }) =>
      edgeSummary(source, destination, figures.get(`${source} ${destination}`)),
    ),
    endpoints: await endpointShares(mesh),
    refused,
    retried,
  };
}

function edgeSummary(source: string, destination: string, edge: EdgeFigures | undefined): object {
  if (edge === undefined) return { source, destination, requests: 0, success: 0, mtls: false };
  const round = (value: number | undefined): number | undefined =>
    value === undefined ? undefined : Number(value.toFixed(2));
  return {
    source,
    destination,
    requests: edge.requests,
    success: edge.requests === 0 ? 0 : 1 - edge.failures / edge.requests,
    p50Ms: round(quantile(edge.buckets, 0.5)),
    p99Ms: round(quantile(edge.buckets, 0.99)),
    retries: edge.retries,
    mtls: edge.requests > 0 && edge.mtls === edge.requests,
  };
}

/** What each instance got, as its own sidecar counted. */
async function endpointShares(mesh: DemoMesh): Promise<Summary['endpoints']> {
  return Promise.all(
    mesh.sidecars.map(async ({ service, admin, inbound }) => {
      const { body } = await request(`http://${admin}/metrics`);
      const text = await body.text();
      const counts = [...text.matchAll(/^istio_requests_total\{reporter="destination"[^}]*\} (\d+)$/gm)];
      return {
        service,
        address: inbound,
        requests: counts.reduce((sum, [, count]) => sum + Number(count), 0),
      };
    }),
  );
}

/** users may not call payments: shown, not told. */
async function refusedCall(mesh: DemoMesh): Promise<Summary['refused']> {
  const users = mesh.sidecars.find(({ service }) => service === 'users');
  if (users === undefined) return undefined;
  const { statusCode, headers, body } = await request(`http://${users.outbound}/`, {
    headers: { host: 'payments' },
  });
  const problem = (await body.json().catch(() => ({}))) as { detail?: string };
  return { status: statusCode, reason: String(headers['tulle-reason'] ?? ''), detail: problem.detail ?? '' };
}

/** A request that a retry saved, as the sidecar that made it remembers it. */
async function retriedRequest(mesh: DemoMesh): Promise<Explanation | undefined> {
  for (const { service, admin } of mesh.sidecars) {
    if (service !== 'orders') continue;
    const { body } = await request(`http://${admin}/explain`);
    const recent = (await body.json()) as Explanation[];
    const found = recent.find(({ attempts, status }) => attempts.length > 1 && status === 200);
    if (found !== undefined) return found;
  }
  return undefined;
}

function summaryText(summary: Summary, paint: Paint): string {
  const lines = ['', paint.bold('Summary')];
  const shares = SERVICES.map(
    ({ name }) =>
      `${name} ${summary.endpoints
        .filter(({ service }) => service === name)
        .map(({ requests }) => requests)
        .join('/')}`,
  );
  lines.push(
    `  requests per instance: ${shares.join('   ')}`,
    paint.dim(
      '  (the second payments is 60 ms slow, the second inventory answers 503 to every third request)',
    ),
    '',
  );
  if (summary.retried !== undefined)
    lines.push(
      paint.bold('A request that a retry saved, explained:'),
      describe(summary.retried).replace(/^/gm, '  ').trimEnd(),
      '',
    );
  if (summary.refused !== undefined) {
    lines.push(
      paint.bold('A call that is not allowed (users -> payments):'),
      `  ${summary.refused.status} ${summary.refused.reason}: ${summary.refused.detail}`,
      '',
    );
  }
  const { sent, succeeded, failed } = summary.requests;
  lines.push(
    `${sent} requests: ${succeeded} succeeded, ${failed} failed. ${summary.ok ? paint.green('All edges by mTLS.') : paint.red(`Not as it should be: ${summary.missing.join('; ')}`)}`,
  );
  return lines.join('\n');
}
