import { HttpMethod, type KubeConfig, RequestContext } from '@kubernetes/client-node';
import { Agent, type Dispatcher, request } from 'undici';

/** Connections to the API server that live and end together. */
export interface ApiSession {
  /** Rejects when no answer begins in time; what a body may be silent for is `idleMs`. */
  get(
    path: string,
    query: Readonly<Record<string, string>>,
    limits: { readonly signal: AbortSignal; readonly answerMs: number; readonly idleMs: number },
  ): Promise<Dispatcher.ResponseData>;
  close(): void;
}

/**
 * Opens a session with the credentials of now: tokens and certificates are rotated in their files, so each
 * session reads them anew. A socket that hangs dies with its session. Rejects when there are no credentials.
 */
export async function openApiSession(kubeConfig: KubeConfig): Promise<ApiSession> {
  const cluster = kubeConfig.getCurrentCluster();
  if (cluster === null) throw new Error('the kubeconfig has no current cluster');
  const context = new RequestContext(cluster.server, HttpMethod.GET);
  await kubeConfig.applySecurityAuthentication(context);
  const dispatcher = context.getDispatcher() ?? new Agent();
  return {
    get(path, query, { signal, answerMs, idleMs }) {
      const url = new URL(cluster.server.replace(/\/$/, '') + path);
      for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
      return request(url, {
        method: 'GET',
        headers: { ...context.getHeaders(), accept: 'application/json' },
        dispatcher,
        signal,
        headersTimeout: answerMs,
        bodyTimeout: idleMs,
      });
    },
    close() {
      dispatcher.destroy().catch(() => {}); // what was under way ends with it
    },
  };
}
