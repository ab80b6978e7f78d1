import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import {
  mutatingWebhookConfiguration,
  validatingWebhookConfiguration,
  type WebhookPlace,
} from '../../injector/webhook-configuration.ts';
import { freePort } from '../fixture/free-port.ts';
import { startTulle, type Tulle } from '../fixture/tulle.ts';
import { created, kubectl } from './api-objects.ts';
import { injectorAccount } from './injector-account.ts';

/** Webhooks of a test, for its own namespaces alone. */
export interface Webhooks {
  readonly id: string;
  /** Where the certificate is kept. */
  readonly system: string;
  readonly host: string;
  readonly port: number;
  namespace(
    name: string,
    labels?: Record<string, string>,
    annotations?: Record<string, string>,
  ): Promise<string>;
  /** Starts an injector that they call, with its own rights alone; resolved when it accepts. */
  start(): Promise<Tulle>;
}

/** Registers webhooks at the API server; gone, with their namespaces, when the test ends. */
export async function registerWebhooks(context: TestContext): Promise<Webhooks> {
  const id = `inject-${randomBytes(4).toString('hex')}`;
  const host = await addressForApiServer();
  const port = await freePort();
  const only = { 'tulle.dev/test': id };
  const system = `${id}-system`;
  const place: WebhookPlace = {
    name: id,
    address: { url: `https://${host}:${port}` },
    systemNamespace: system,
    onlyNamespaces: only,
  };
  context.after(async () => {
    await kubectl([
      'delete',
      'mutatingwebhookconfiguration,validatingwebhookconfiguration',
      id,
      '--ignore-not-found',
    ]);
    await kubectl(['delete', 'namespace', '-l', `tulle.dev/test=${id}`, '--wait=false']);
  });
  const namespace: Webhooks['namespace'] = async (name, labels = {}, annotations = {}) => {
    const full = `${id}-${name}`;
    await created({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: full, labels: { ...only, ...labels }, annotations },
    });
    return full;
  };
  await namespace('system', { 'tulle.dev/inject': 'enabled' });
  await created(mutatingWebhookConfiguration(place));
  await created(validatingWebhookConfiguration(place));
  const account = await injectorAccount(context, id, system);
  const start = (): Promise<Tulle> => {
    const administrator = process.env.KUBECONFIG ?? '';
    process.env.KUBECONFIG = account; // what is started now gets it
    const started = startTulle(
      context,
      'injector',
      ...['--listen', `${host}:${port}`, '--health', '127.0.0.1:0', '--namespace', system],
      ...[
        '--configuration',
        id,
        '--certificate-name',
        host,
        '--image',
        'tulle.test/tulle:1',
        '--linger',
        '0',
      ],
    );
    process.env.KUBECONFIG = administrator;
    return started;
  };
  return { id, system, host, port, namespace, start };
}

/** The address of this machine that the API server can call. */
async function addressForApiServer(): Promise<string> {
  const { out, err } = await kubectl([
    'config',
    'view',
    '--minify',
    '-o',
    'jsonpath={.clusters[0].cluster.server}',
  ]);
  assert.match(out, /^https:/, `KUBECONFIG names no cluster: ${err}`);
  const { hostname, port } = new URL(out);
  const socket = connect(Number(port === '' ? 443 : port), hostname);
  await once(socket, 'connect');
  const { localAddress } = socket;
  socket.destroy();
  return localAddress ?? '127.0.0.1';
}

/** Fingerprint of the certificate that is served there. */
export async function servedCertificate({ host, port }: Webhooks): Promise<string> {
  // Which certificate it is, is what is asked.
  const socket = connectTls({ host, port, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}
