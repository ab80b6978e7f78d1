import type { EndpointLoad } from './endpoint-load.ts';

/** Counts what is in flight: all that a balancer without memory needs to be told. */
export const countInFlight = {
  started(endpoint: EndpointLoad): void {
    endpoint.inFlight++;
  },
  finished(endpoint: EndpointLoad): void {
    endpoint.inFlight--;
  },
};
