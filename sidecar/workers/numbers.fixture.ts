import { EdgeRegistry } from '../telemetry/edge-registry.ts';
import type { QuotaFigures } from '../telemetry/metrics.ts';
import { processNumbers } from './process-numbers.ts';
import type { WorkerNumbers } from './worker-numbers.ts';

/** A rate limit that let in so many requests, and holds as many tokens. */
function figuresOf(quota: string, count: number): QuotaFigures {
  const none = { refused: 0, dryRun: 0, outage: 0, waited: 0, draws: 0, overflow: 0 };
  return { quota, admitted: count, ...none, held: count };
}

/** What a worker says that had so many requests from web to orders, and has so many connections. */
export function numbersOf(requests: number, connections = 1): WorkerNumbers {
  const edges = new EdgeRegistry();
  const stats = edges.get('source', 'shop/web', 'shop/orders', false);
  for (let i = 0; i < requests; i++) stats.observe(200, 1, 0, 10, '');
  return {
    edges: edges.all().map((one) => one.numbers()),
    gauges: {
      connections,
      protections: { 'ping-flood': connections },
      detections: { 'inbound http1': connections },
      detectTimeouts: {},
      mirrors: { 'shop/v2 answered': connections },
      quotas: [figuresOf('shop/orders#token-bucket:1000:', requests)],
      ready: true,
      controlPlaneConnected: true,
      certificateSecondsLeft: 3600 + connections,
      rootSecondsLeft: undefined,
      checkedEndpoints: [{ service: 'shop/orders', endpoint: '10.0.0.1:80', healthy: true }],
      circuits: [{ service: 'shop/orders', endpoint: '10.0.0.1:80', ejected: connections > 1 }],
      ejections: { 'shop/orders failures': connections },
      panics: ['shop/orders'],
      version: '1.2.3',
      trustDomain: 'mesh.local',
    },
    process: processNumbers(),
  };
}
