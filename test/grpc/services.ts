import { join } from 'node:path';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

interface Payload {
  readonly type?: string;
  readonly body: Buffer;
}

export interface EchoStatus {
  readonly code: number;
  readonly message: string;
}

export interface SimpleRequest {
  readonly responseSize?: number;
  readonly payload?: Payload;
  readonly responseStatus?: EchoStatus;
  readonly fillServerId?: boolean;
}

export interface SimpleResponse {
  readonly payload?: Payload | null;
  readonly serverId?: string;
}

export interface StreamingInputCallRequest {
  readonly payload: Payload;
}

export interface StreamingInputCallResponse {
  readonly aggregatedPayloadSize: number;
}

export interface StreamingOutputCallRequest {
  /** `intervalUs`: how long the server waits before it, in µs. */
  readonly responseParameters?: readonly { readonly size: number; readonly intervalUs?: number }[];
  readonly payload?: Payload;
  readonly responseStatus?: EchoStatus;
}

export interface StreamingOutputCallResponse {
  readonly payload: Payload;
}

export interface HealthCheckRequest {
  readonly service: string;
}

export interface HealthCheckResponse {
  readonly status: 'UNKNOWN' | 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';
}

type Empty = Record<string, never>;

/** grpc.testing.TestService: types are those of interop.proto. */
export interface TestService extends ServiceDefinition {
  readonly EmptyCall: MethodDefinition<Empty, Empty>;
  readonly UnaryCall: MethodDefinition<SimpleRequest, SimpleResponse>;
  readonly StreamingOutputCall: MethodDefinition<StreamingOutputCallRequest, StreamingOutputCallResponse>;
  readonly StreamingInputCall: MethodDefinition<StreamingInputCallRequest, StreamingInputCallResponse>;
  readonly FullDuplexCall: MethodDefinition<StreamingOutputCallRequest, StreamingOutputCallResponse>;
  readonly HalfDuplexCall: MethodDefinition<StreamingOutputCallRequest, StreamingOutputCallResponse>;
  readonly UnimplementedCall: MethodDefinition<Empty, Empty>;
}

interface UnimplementedService extends ServiceDefinition {
  readonly UnimplementedCall: MethodDefinition<Empty, Empty>;
}

/** grpc.health.v1.Health. */
interface HealthService extends ServiceDefinition {
  readonly Check: MethodDefinition<HealthCheckRequest, HealthCheckResponse>;
  readonly Watch: MethodDefinition<HealthCheckRequest, HealthCheckResponse>;
}

const AS_JSON = { longs: Number, enums: String, defaults: true };
const testing = loadSync(join(import.meta.dirname, 'interop.proto'), AS_JSON);
const health = loadSync(join(import.meta.dirname, 'health.proto'), AS_JSON);

// The .proto files beside this one say so.
export const TEST_SERVICE = testing['grpc.testing.TestService'] as unknown as TestService;
export const UNIMPLEMENTED_SERVICE = testing[
  'grpc.testing.UnimplementedService'
] as unknown as UnimplementedService;
export const HEALTH_SERVICE = health['grpc.health.v1.Health'] as unknown as HealthService;
