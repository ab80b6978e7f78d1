import type { Readiness } from './admin-views.ts';
import { jsonPage, type Page, textPage } from './page-server.ts';

export type Asked<T> = T | Promise<T>;

/** What a sidecar tells of itself to whoever can reach it, read when asked. */
export interface HealthSources {
  ready(): Asked<Readiness>;
  metrics(): Promise<{ text: string; contentType: string }>;
}

/** The pages that are on the admin port and on the health port; undefined: it is another. */
export async function healthPage(path: string, sources: HealthSources): Promise<Page | undefined> {
  switch (path) {
    case '/livez':
      return textPage(200, 'ok\n');
    case '/readyz': {
      const state = await sources.ready();
      return jsonPage(state.ready ? 200 : 503, state);
    }
    case '/metrics': {
      const metrics = await sources.metrics();
      return { status: 200, type: metrics.contentType, body: metrics.text };
    }
    default:
      return undefined;
  }
}
