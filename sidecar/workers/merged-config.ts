import type { ConfigView, EndpointView, ServiceView, UseView } from '../listeners/admin-views.ts';

/** The running tables of one worker. */
export interface WorkerConfig {
  readonly worker: number;
  readonly config: ConfigView;
}

/**
 * The running tables of all workers as one: every service that one of them follows, what is in use added up.
 * Where workers run on different versions, which is so for the moment of a change, it says who on which.
 */
export function mergedConfig(configs: readonly WorkerConfig[]): ConfigView & { readonly workers: number } {
  const services = Map.groupBy(
    configs.flatMap(({ worker, config }) => config.services.map((service) => ({ worker, service }))),
    ({ service }) => service.key,
  );
  const gateway = configs.find(({ config }) => config.gateway !== undefined)?.config.gateway;
  return {
    workers: configs.length,
    ...(gateway !== undefined && { gateway }),
    services: [...services.values()].map(mergedService),
  };
}

function mergedService(
  found: readonly { readonly worker: number; readonly service: ServiceView }[],
): ServiceView & { readonly versions?: Readonly<Record<string, string | undefined>> } {
  const services = found.map(({ service }) => service);
  // One that knows nothing yet must not hide what another knows.
  const shown = services.find(({ version }) => version !== undefined) ?? (services[0] as ServiceView); // grouped: one at least
  const differ = services.some(({ version }) => version !== shown.version);
  return {
    ...shown,
    inUse: mergedUse(services.map(({ inUse }) => inUse)),
    endpoints: mergedEndpoints(services.map(({ endpoints }) => endpoints)),
    ...(differ && {
      versions: Object.fromEntries(found.map(({ worker, service }) => [`worker ${worker}`, service.version])),
    }),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function mergedUse(uses: readonly (UseView | undefined)[]): UseView | undefined {
  const known = uses.filter((use) => use !== undefined);
  if (known.length === 0) return undefined;
  return {
    connections: sum(known.map(({ connections }) => connections)),
    pending: sum(known.map(({ pending }) => pending)),
    requests: sum(known.map(({ requests }) => requests)),
  };
}

function mergedEndpoints(
  lists: readonly (readonly EndpointView[] | undefined)[],
): readonly EndpointView[] | undefined {
  const known = lists.filter((list) => list !== undefined);
  if (known.length === 0) return undefined;
  return [...Map.groupBy(known.flat(), ({ address }) => address).values()].map(mergedEndpoint);
}

/** Load adds up; the latency is that of the worker that finds it slowest, the rest that of one that keeps requests from it. */
function mergedEndpoint(views: readonly EndpointView[]): EndpointView {
  const sick = views.find(
    ({ health, circuit }) =>
      health?.healthy === false || (circuit !== undefined && circuit.state !== 'closed'),
  );
  return {
    ...(sick ?? (views[0] as EndpointView)), // grouped: one at least
    inFlight: sum(views.map(({ inFlight }) => inFlight)),
    latencyMs: Math.max(...views.map(({ latencyMs }) => latencyMs)),
    connections: sum(views.map(({ connections }) => connections)),
    idle: sum(views.map(({ idle }) => idle)),
  };
}
