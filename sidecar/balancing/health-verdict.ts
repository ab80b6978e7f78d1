import { servingStatus } from './grpc-health.ts';
import type { HealthAnswer } from './health-answer.ts';

export interface HealthVerdict {
  readonly healthy: boolean;
  /** Why not; of a healthy endpoint, what is odd about its answer, or ''. */
  readonly words: string;
}

export const HEALTHY: HealthVerdict = { healthy: true, words: '' };

export function unhealthy(words: string): HealthVerdict {
  return { healthy: false, words };
}

/** 200 to 399, as a kubelet judges. */
export function httpVerdict({ status, reason }: HealthAnswer): HealthVerdict {
  return status >= 200 && status < 400 ? HEALTHY : unhealthy(`it answered ${status}${because(reason)}`);
}

const OK = '0';
const UNIMPLEMENTED = '12';
/** A server of another kind that does not know the path (grpc/grpc, doc/http-grpc-status-mapping.md). */
const NOT_FOUND = 404;
/** Messages of gRPC are the server's to choose. */
const MAX_MESSAGE = 100;

/** SERVING is healthy. So is a server that knows nothing of health: it did answer. */
export function grpcVerdict(answer: HealthAnswer): HealthVerdict {
  const { status, reason, grpcStatus, grpcMessage, body, bodyBytes } = answer;
  // A sidecar at the other end also says UNIMPLEMENTED, of a service that it does not know.
  const unimplemented = grpcStatus === undefined ? status === NOT_FOUND : grpcStatus === UNIMPLEMENTED;
  if (unimplemented && reason === undefined)
    return { healthy: true, words: 'it has no health service (grpc.health.v1.Health is not implemented)' };
  if (grpcStatus === undefined)
    return unhealthy(`it answered ${status} without a gRPC status${because(reason)}`);
  if (grpcStatus !== OK) {
    const message = grpcMessage === undefined ? '' : `, ${grpcMessage.slice(0, MAX_MESSAGE)}`;
    return unhealthy(`it answered gRPC status ${grpcStatus}${message}${because(reason)}`);
  }
  const serving = bodyBytes > body.length ? undefined : servingStatus(body);
  if (serving === 'SERVING') return HEALTHY;
  return unhealthy(serving === undefined ? 'its answer is no HealthCheckResponse' : `it is ${serving}`);
}

function because(reason: string | undefined): string {
  return reason === undefined ? '' : ` (tulle-reason: ${reason})`;
}
