import {
  type ApiConstructor,
  ApiException,
  type ApiType,
  createConfiguration,
  HttpMethod,
  IsomorphicFetchHttpLibrary,
  type KubeConfig,
  Observable,
  PatchStrategy,
  type RequestContext,
  type ResponseContext,
  ServerConfiguration,
} from '@kubernetes/client-node';

const TIMEOUT_MS = 5_000;
/** Certificates and roots of a kubeconfig change: connections made by older ones are let go. */
const CONNECTIONS_AGE_MS = 10 * 60_000;

type Connections = NonNullable<ReturnType<RequestContext['getDispatcher']>>;

/** The API server as the parts of the control plane use it. */
export interface ApiServer {
  readonly kubeConfig: KubeConfig;
  /** A client whose calls share connections and end after 5 s; each PATCH is a server-side apply, or as `patch` says. */
  client<T extends ApiType>(type: ApiConstructor<T>, patch?: PatchStrategy): T;
  /** Why the last call had no answer, or undefined if it had one. */
  away(): string | undefined;
  close(): void;
}

/**
 * By itself @kubernetes/client-node 2.0 opens a TLS connection for every call, which costs both sides more
 * than the call. Any answer, be it a refusal, shows that the API server is there. Throws an Error if the
 * kubeconfig names no cluster.
 */
export function openApiServer(kubeConfig: KubeConfig): ApiServer {
  const cluster = kubeConfig.getCurrentCluster();
  if (cluster === null) throw new Error('the kubeconfig names no cluster');
  const http = new IsomorphicFetchHttpLibrary();
  let shared: { readonly connections: Connections; readonly since: number } | undefined;
  let away: string | undefined;

  /** Those there are, or from now on those that this call brought. */
  const connections = (brought: Connections): Connections => {
    if (shared !== undefined && performance.now() - shared.since < CONNECTIONS_AGE_MS)
      return shared.connections;
    letGo(shared?.connections);
    shared = { connections: brought, since: performance.now() };
    return brought;
  };
  const send = async (request: RequestContext, patch: PatchStrategy): Promise<ResponseContext> => {
    const brought = request.getDispatcher();
    if (brought !== undefined) request.setDispatcher(connections(brought));
    request.setSignal(AbortSignal.timeout(TIMEOUT_MS));
    if (request.getHttpMethod() === HttpMethod.PATCH) request.setHeaderParam('Content-Type', patch);
    try {
      const response = await http.send(request).toPromise();
      away = response.httpStatusCode >= 500 ? `it answered ${response.httpStatusCode}` : undefined;
      return response;
    } catch (error) {
      away = reasonOf(error);
      throw error;
    }
  };
  const configuration = (patch: PatchStrategy) =>
    createConfiguration({
      baseServer: new ServerConfiguration(cluster.server, {}),
      authMethods: { default: kubeConfig },
      httpApi: { send: (request) => new Observable(send(request, patch)) },
    });
  return {
    kubeConfig,
    client: (type, patch = PatchStrategy.ServerSideApply) => new type(configuration(patch)),
    away: () => away,
    close: () => letGo(shared?.connections),
  };
}

/** Once their calls have ended; those that are closed already say so by an error. */
function letGo(connections: Connections | undefined): void {
  connections?.close().catch(() => {});
}

/** The HTTP status of a call that was answered with an error, else undefined. */
export function statusOf(error: unknown): number | undefined {
  return error instanceof ApiException ? error.code : undefined;
}

/** Why a call failed, in short. The library's own message has the body and headers, which a log must not. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const status = statusOf(error);
  if (status !== undefined) return `it answered ${status}${messageOf(error)}`;
  if (error.name === 'TimeoutError') return `no answer within ${TIMEOUT_MS} ms`;
  const cause = error.cause as (Error & { code?: string }) | undefined; // fetch tells the reason so
  return cause?.code ?? cause?.message ?? error.message;
}

/** What the API server's Status object says (apimachinery metav1.Status). */
function messageOf(error: Error): string {
  const body = 'body' in error ? error.body : undefined;
  if (typeof body !== 'string') return '';
  try {
    const { message } = JSON.parse(body) as { message?: unknown };
    return typeof message === 'string' ? `: ${message.slice(0, 300)}` : '';
  } catch {
    return '';
  }
}
