import { isIP } from 'node:net';
import type { Limits } from '../http/limits.ts';
import type { MessageHead } from '../http/message-head.ts';
import { describe, type Explanation } from '../telemetry/explanation.ts';
import type { TimerWheel } from '../transport/timer-wheel.ts';
import { type Asked, type HealthSources, healthPage } from './health-pages.ts';
import { jsonPage, type Page, type PageServer, servePages, textPage } from './page-server.ts';

/** What the admin port shows, read when asked: of this process, or of several together. */
export interface AdminSources extends HealthSources {
  /** The running tables, without secrets. */
  config(): Asked<unknown>;
  certs(): Asked<unknown>;
  explain(id: string): Asked<Explanation | undefined>;
  recent(limit: number): Asked<Explanation[]>;
  drain(): void;
}

const PAGES = 'livez readyz metrics config certs explain explain/REQUEST-ID (POST) drain';
const RECENT = 100;

/** Opens the admin port. Throws an error that names the address. */
export function openAdmin(
  address: string,
  sources: AdminSources,
  limits: Limits,
  wheel: TimerWheel,
): Promise<PageServer> {
  return servePages(address, (head) => page(head, sources), limits, wheel);
}

/** A page in a browser must not reach this port by a name that it made resolve to it (DNS rebinding). */
function hostIsLocal(head: MessageHead): boolean {
  const name = (head.get('host') ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  return name === 'localhost' || isIP(name) !== 0;
}

async function page(head: MessageHead, sources: AdminSources): Promise<Page> {
  const path = head.target.split('?', 1)[0] ?? '/';
  if (!hostIsLocal(head))
    return textPage(403, 'the admin port is reached by localhost or an IP address only\n');
  if (path === '/drain') return drain(head, sources);
  if (head.method !== 'GET' && head.method !== 'HEAD') return notAllowed('GET, HEAD');
  switch (path) {
    case '/config':
      return jsonPage(200, await sources.config());
    case '/certs':
      return jsonPage(200, await sources.certs());
    case '/explain':
      return jsonPage(200, await sources.recent(RECENT));
    default:
      return path.startsWith('/explain/')
        ? explain(path.slice('/explain/'.length), head, sources)
        : ((await healthPage(path, sources)) ?? textPage(404, `there are: ${PAGES}\n`));
  }
}

/** A page in a browser may post anywhere without asking, but it says that it is one. */
function drain(head: MessageHead, sources: AdminSources): Page {
  if (head.method !== 'POST') return notAllowed('POST');
  if (head.get('origin') !== undefined) return textPage(403, 'a page in a browser may not drain\n');
  return { ...textPage(202, 'draining\n'), after: () => sources.drain() };
}

function notAllowed(allow: string): Page {
  return { ...textPage(405, `there are: ${PAGES}\n`), allow };
}

async function explain(id: string, head: MessageHead, sources: AdminSources): Promise<Page> {
  const explanation = await sources.explain(id);
  if (explanation === undefined)
    return textPage(404, 'this proxy remembers no request of that id; only the newest are kept\n');
  return (head.get('accept') ?? '').includes('text/plain')
    ? textPage(200, describe(explanation))
    : jsonPage(200, explanation);
}
