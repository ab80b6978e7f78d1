import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';

/** A way to the API server of KUBECONFIG that can be cut, or made to fall silent. */
export interface SeveredApiServer {
  readonly kubeConfig: KubeConfig;
  /** Resets connections and refuses new ones. */
  cut(): Promise<void>;
  /** Takes connections and lets nothing through, as when packets are lost. */
  silence(): void;
  mend(): Promise<void>;
  close(): Promise<void>;
}

/** Opens it on a free port of the loopback. */
export async function severedApiServer(): Promise<SeveredApiServer> {
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromDefault();
  const cluster = kubeConfig.getCurrentCluster();
  if (cluster === null) throw new Error('KUBECONFIG has no current cluster');
  const { hostname, port } = new URL(cluster.server);
  const pairs = new Set<readonly [Socket, Socket]>();
  let silent = false;
  const server = createServer((inner) => {
    const outer = connect(Number(port || 443), hostname);
    const pair = [inner, outer] as const;
    pairs.add(pair);
    for (const [from, to] of [pair, [outer, inner] as const]) {
      from.on('data', (bytes) => {
        if (!silent) to.write(bytes);
      });
      from.on('error', () => to.destroy());
      from.on('close', () => {
        pairs.delete(pair);
        to.destroy();
      });
    }
  });
  const listen = (at: number) => new Promise<void>((resolve) => server.listen(at, '127.0.0.1', resolve));
  await listen(0);
  const own = (server.address() as AddressInfo).port; // it listens on TCP
  const kube = new KubeConfig();
  const user = kubeConfig.getCurrentUser();
  if (user === null) throw new Error('KUBECONFIG has no current user');
  // The certificate is for another address.
  const { caData: _ca, caFile: _file, ...rest } = cluster;
  const inner = { ...rest, server: `https://127.0.0.1:${own}`, skipTLSVerify: true };
  kube.loadFromClusterAndUser(inner, user);
  const cut = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const sockets of pairs) for (const socket of sockets) socket.destroy();
    await closed;
  };
  return {
    kubeConfig: kube,
    cut,
    silence() {
      silent = true;
    },
    async mend() {
      silent = false;
      if (!server.listening) await listen(own);
    },
    async close() {
      if (server.listening) await cut();
    },
  };
}
