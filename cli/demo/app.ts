import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { DemoInstance } from './topology.ts';

/** What an application of the demo is told at its start. */
export interface AppConfig {
  readonly service: string;
  readonly calls: readonly string[];
  readonly instances: readonly DemoInstance[];
}

/** Told by message once the sidecars are up: each instance's outbound listener, HOST:PORT. */
interface AppOutbound {
  readonly outbound: readonly string[];
}

const agent = new Agent({ keepAlive: true, maxSockets: 64 });

/** Runs the instances of one service: each calls what the service calls through its own sidecar, and answers. */
export async function runDemoApp(config: AppConfig): Promise<void> {
  let outbound: readonly string[] = [];
  process.on('message', (message: AppOutbound) => {
    outbound = message.outbound;
  });
  process.on('disconnect', () => process.exit(0));
  process.on('SIGTERM', () => process.exit(0));
  process.on('SIGINT', () => {}); // the demo itself ends its parts
  const addresses = await Promise.all(
    config.instances.map((instance, index) => listen(config, instance, index, () => outbound[index])),
  );
  console.log(JSON.stringify({ event: 'ready', addresses }));
}

function listen(
  config: AppConfig,
  instance: DemoInstance,
  index: number,
  outbound: () => string | undefined,
): Promise<string> {
  const server = createServer((incoming, response) => {
    answer(config, instance, index, outbound(), incoming, response).catch((error: Error) => {
      response.writeHead(502, { 'content-type': 'text/plain' });
      response.end(`${config.service}: ${error.message}\n`);
    });
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(address !== null && typeof address === 'object' ? `127.0.0.1:${address.port}` : '');
    });
  });
}

async function answer(
  config: AppConfig,
  instance: DemoInstance,
  index: number,
  outbound: string | undefined,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  incoming.resume();
  if (instance.flaky !== undefined && Math.random() < instance.flaky) {
    response.writeHead(503, { 'content-type': 'text/plain' });
    response.end(`${config.service}-${index} has a bad day\n`);
    return;
  }
  if (instance.slowMs !== undefined) await new Promise((resolve) => setTimeout(resolve, instance.slowMs));
  const parts = await Promise.all(config.calls.map((service) => call(outbound, service, incoming)));
  const failed = parts.find(({ status }) => status >= 400);
  response.writeHead(failed?.status ?? 200, { 'content-type': 'application/json' });
  response.end(
    `${JSON.stringify({ service: config.service, instance: index, parts: parts.map(({ body }) => body) })}\n`,
  );
}

/** The request's id goes on with the call, so that one id tells the whole story. */
function call(
  outbound: string | undefined,
  service: string,
  incoming: IncomingMessage,
): Promise<{ status: number; body: unknown }> {
  const [host, port] = (outbound ?? '').split(':');
  return new Promise((resolve, reject) => {
    const headers: Record<string, string> = { host: service };
    for (const name of ['x-request-id', 'traceparent']) {
      const value = incoming.headers[name];
      if (typeof value === 'string') headers[name] = value;
    }
    const outgoing = request({ host, port, agent, headers, path: '/' }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        text += part;
      });
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: parse(text) }));
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
