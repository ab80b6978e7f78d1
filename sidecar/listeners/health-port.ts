import type { Limits } from '../http/limits.ts';
import type { MessageHead } from '../http/message-head.ts';
import type { TimerWheel } from '../transport/timer-wheel.ts';
import { type HealthSources, healthPage } from './health-pages.ts';
import { type Page, type PageServer, servePages, textPage } from './page-server.ts';
import { type ProbedPorts, tcpProber } from './tcp-probe.ts';

const PAGES = 'livez readyz metrics probe/tcp/PORT';
const PROBE = '/probe/tcp/';

/** Strangers reach this port: nobody needs long for a request, and nobody keeps a place without one. */
const MAX_WAIT_MS = 5_000;

/**
 * Opens the port that the whole cluster can reach: health, metrics, and kubelet's TCP probes, which would only find
 * the proxy otherwise. Nothing here changes anything, or tells of requests. When strangers hold all connections, the
 * oldest goes: kubelet always gets one. Throws an error that names the address.
 */
export function openHealthPort(
  address: string,
  sources: HealthSources,
  probed: ProbedPorts,
  limits: Limits,
  wheel: TimerWheel,
): Promise<PageServer> {
  const probe = tcpProber(probed);
  const impatient = {
    ...limits,
    headMs: Math.min(limits.headMs, MAX_WAIT_MS),
    idleMs: Math.min(limits.idleMs, MAX_WAIT_MS),
  };
  return servePages(address, (head) => page(head, sources, probe), impatient, wheel, 'close-oldest');
}

async function page(
  head: MessageHead,
  sources: HealthSources,
  probe: ReturnType<typeof tcpProber>,
): Promise<Page> {
  if (head.method !== 'GET' && head.method !== 'HEAD') {
    return { ...textPage(405, `there are: ${PAGES}\n`), allow: 'GET, HEAD' };
  }
  const path = head.target.split('?', 1)[0] ?? '/';
  const found = path.startsWith(PROBE)
    ? await probePage(path.slice(PROBE.length), probe)
    : await healthPage(path, sources);
  return found ?? textPage(404, `there are: ${PAGES}\n`);
}

async function probePage(text: string, probe: ReturnType<typeof tcpProber>): Promise<Page | undefined> {
  const result = /^[1-9]\d{0,4}$/.test(text) ? await probe(Number(text)) : undefined;
  if (result === undefined) return undefined;
  return result.connected ? textPage(200, 'connected\n') : textPage(503, `${result.why}\n`);
}
