import {
  type CallOptions,
  type ChannelOptions,
  Client,
  credentials,
  Metadata,
  type MethodDefinition,
  type StatusObject,
} from '@grpc/grpc-js';

/** Where a client calls, and by what name. */
export interface Target {
  readonly address: string;
  /** What it puts into `:authority`; without it, the address. */
  readonly authority?: string;
}

/** All that a client saw of one call with one response. */
export interface Outcome<Response> {
  readonly code: number;
  readonly details: string;
  /** Trailers, those of an answer without a body included. */
  readonly trailers: Metadata;
  readonly headers: Metadata;
  readonly response: Response | undefined;
}

/** A client with a connection of its own and without retries of its own: close it. */
export function clientOf({ address, authority }: Target, options: ChannelOptions = {}): Client {
  return new Client(address, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_retries': 0,
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
    'grpc.max_receive_message_length': -1,
    ...(authority !== undefined && { 'grpc.default_authority': authority }),
    ...options,
  });
}

/** Runs with a client that is closed after. */
export async function withClient<T>(target: Target, run: (client: Client) => Promise<T>): Promise<T> {
  const client = clientOf(target);
  try {
    return await run(client);
  } finally {
    client.close();
  }
}

/** Makes a call with one request and one response. Resolves whatever becomes of it. */
export function unary<Request, Response>(
  client: Client,
  method: MethodDefinition<Request, Response>,
  request: Request,
  metadata = new Metadata(),
  options: CallOptions = {},
): Promise<Outcome<Response>> {
  return new Promise((resolve) => {
    let response: Response | undefined;
    let headers = new Metadata();
    const call = client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      metadata,
      options,
      (_error, value) => {
        response = value;
      },
    );
    call.on('metadata', (received: Metadata) => {
      headers = received;
    });
    call.on('status', ({ code, details, metadata: trailers }: StatusObject) =>
      resolve({ code, details, trailers, headers, response }),
    );
  });
}

/** Begins a call with a stream each way. */
export function duplex<Request, Response>(
  client: Client,
  method: MethodDefinition<Request, Response>,
  metadata = new Metadata(),
  options: CallOptions = {},
) {
  const call = client.makeBidiStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    metadata,
    options,
  );
  call.on('error', () => {}); // told by its status
  return call;
}

/** The status that ends a call; ask before it can come. */
export function statusOf(call: {
  on(event: 'status', listener: (status: StatusObject) => void): unknown;
}): Promise<StatusObject> {
  return new Promise((resolve) => call.on('status', resolve));
}

export function metadataOf(pairs: Readonly<Record<string, string | Buffer>>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(pairs)) metadata.set(name, value);
  return metadata;
}
