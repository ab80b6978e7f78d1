import { EdgeRegistry } from '../telemetry/edge-registry.ts';
import { processNumbers } from './process-numbers.ts';
import type { WorkerNumbers } from './worker-numbers.ts';

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
      ready: true,
      controlPlaneConnected: true,
      certificateSecondsLeft: 3600 + connections,
      rootSecondsLeft: undefined,
      checkedEndpoints: [{ service: 'shop/orders', endpoint: '10.0.0.1:80', healthy: true }],
      version: '1.2.3',
      trustDomain: 'mesh.local',
    },
    process: processNumbers(),
  };
}
