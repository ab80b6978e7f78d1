import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { output } from '../cluster/command.ts';

/** Of a range for documentation: nothing is ever sent there. */
export const USABLE_ADDRESS = '192.0.2.10';
export const UNUSABLE_ADDRESS = '192.0.2.20';

const LINE = '{.metadata.namespace} {.metadata.name} {.spec.loadBalancerIP}{"\\n"}';

/** Gives Services of $KUBECONFIG's cluster the usable address, if they ask for it, as a load balancer does. */
export function startLoadBalancer(): { stop(): void } {
  const args = ['get', 'services', '--all-namespaces', '--watch', '--output', `jsonpath=${LINE}`];
  const watch = spawn('kubectl', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  createInterface({ input: watch.stdout }).on('line', (line) => {
    const [namespace = '', name = '', address] = line.split(' ', 3);
    if (address !== USABLE_ADDRESS) return;
    // It may be gone already.
    give(namespace, name).catch(() => {});
  });
  return { stop: () => void watch.kill() };
}

function give(namespace: string, service: string): Promise<string> {
  const status = { loadBalancer: { ingress: [{ ip: USABLE_ADDRESS }] } };
  const patch = ['--subresource=status', '--type=merge', '--patch', JSON.stringify({ status })];
  return output('kubectl', 'patch', 'service', service, '--namespace', namespace, ...patch);
}
