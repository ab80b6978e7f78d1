/** What a balancer knows of an endpoint. Times in ms of one monotonic clock. */
export interface EndpointLoad {
  readonly address: string;
  /** Share of the load, above 0. */
  weight: number;
  inFlight: number;
  /** Moving average of latency; 0: never measured. */
  ewmaMs: number;
  /** When `ewmaMs` was last changed. */
  stampMs: number;
  /** It has answered well before. */
  proven: boolean;
  /** In the zone of this proxy. */
  local: boolean;
}

export function createEndpointLoad(address: string, weight = 1): EndpointLoad {
  return { address, weight, inFlight: 0, ewmaMs: 0, stampMs: 0, proven: false, local: false };
}
