import type { ServiceDefinition } from '@grpc/grpc-js';

/** A body that belongs to one request alone, and whose length differs from those of its neighbours. */
export function bodyOf(id: string): string {
  let sum = 0;
  for (const character of id) sum = (sum * 31 + character.charCodeAt(0)) % 200;
  return `${id} `.repeat(1 + sum);
}

export function streamLine(id: string, line: number): string {
  return `${id}:${line}\n`;
}

export interface Greeting {
  readonly id: string;
  readonly client: string;
}

const encode = (greeting: Greeting): Buffer => Buffer.from(JSON.stringify(greeting));
const decode = (bytes: Buffer): Greeting => JSON.parse(bytes.toString()) as Greeting;

function method(name: string, streams: boolean) {
  return {
    path: `/chaos.Greeter/${name}`,
    requestStream: streams,
    responseStream: streams,
    requestSerialize: encode,
    requestDeserialize: decode,
    responseSerialize: encode,
    responseDeserialize: decode,
  };
}

export const GREET = method('Greet', false);
export const CHAT = method('Chat', true);
export const GREETER: ServiceDefinition = { Greet: GREET, Chat: CHAT };

/** What a service calls the request that it makes for request `id`: ids of its own, as some applications do. */
export function onwardId(id: string, instance: string): string {
  return `${id}.${instance}`;
}
