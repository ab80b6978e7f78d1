import { join } from 'node:path';
import type { Addresses } from './addresses.ts';
import { cgroupOf } from './node.ts';

/** Command lines of the cluster's parts; the configuration files are those of configuration.ts. */
export interface Places {
  /** State, logs and keys. */
  readonly dir: string;
  /** Folder of the programs. */
  readonly programs: string;
  readonly addresses: Addresses;
}

export function etcd({ dir, programs }: Places): string[] {
  const [client, peer] = ['http://127.0.0.1:2379', 'http://127.0.0.1:2380'];
  return [
    join(programs, 'etcd'),
    ...flags({
      'data-dir': join(dir, 'etcd'),
      'listen-client-urls': client,
      'advertise-client-urls': client,
      'listen-peer-urls': peer,
      'initial-advertise-peer-urls': peer,
      'initial-cluster': `default=${peer}`,
      'unsafe-no-fsync': 'true', // a test's cluster is thrown away
    }),
  ];
}

export function apiServer({ dir, programs, addresses: { v4, v6 } }: Places): string[] {
  const key = (name: string) => join(dir, 'pki', name);
  return [
    join(programs, 'kube-apiserver'),
    ...flags({
      'etcd-servers': 'http://127.0.0.1:2379',
      'secure-port': '6443',
      'bind-address': v4.node,
      'advertise-address': v4.node,
      'service-cluster-ip-range': `${v4.services},${v6.services}`,
      'authorization-mode': 'Node,RBAC',
      'allow-privileged': 'true',
      'client-ca-file': key('ca.crt'),
      'tls-cert-file': key('server.crt'),
      'tls-private-key-file': key('server.key'),
      'service-account-issuer': 'https://kubernetes.default.svc',
      'service-account-key-file': key('sa.pub'),
      'service-account-signing-key-file': key('sa.key'),
      'kubelet-client-certificate': key('admin.crt'),
      'kubelet-client-key': key('admin.key'),
      'kubelet-preferred-address-types': 'InternalIP',
      'requestheader-client-ca-file': key('ca.crt'),
      'requestheader-allowed-names': 'front-proxy',
      'requestheader-username-headers': 'X-Remote-User',
      'requestheader-group-headers': 'X-Remote-Group',
      'requestheader-extra-headers-prefix': 'X-Remote-Extra-',
      'proxy-client-cert-file': key('front-proxy.crt'),
      'proxy-client-key-file': key('front-proxy.key'),
      'enable-aggregator-routing': 'true',
    }),
  ];
}

export function controllerManager({ dir, programs, addresses: { v4, v6 } }: Places): string[] {
  const key = (name: string) => join(dir, 'pki', name);
  return [
    join(programs, 'kube-controller-manager'),
    ...flags({
      kubeconfig: join(dir, 'kubeconfig'),
      'service-account-private-key-file': key('sa.key'),
      'root-ca-file': key('ca.crt'),
      'cluster-signing-cert-file': key('ca.crt'),
      'cluster-signing-key-file': key('ca.key'),
      'use-service-account-credentials': 'true',
      'leader-elect': 'false',
      'allocate-node-cidrs': 'false', // one node: its ranges stand in the network plugin's file
      'service-cluster-ip-range': `${v4.services},${v6.services}`,
      'cluster-cidr': `${v4.pods},${v6.pods}`,
    }),
  ];
}

export function scheduler({ dir, programs }: Places): string[] {
  return [
    join(programs, 'kube-scheduler'),
    ...flags({ kubeconfig: join(dir, 'kubeconfig'), 'leader-elect': 'false' }),
  ];
}

export function coredns({ dir, programs }: Places): string[] {
  return [join(programs, 'coredns'), '-conf', join(dir, 'Corefile')];
}

export function containerd({ dir }: Places): string[] {
  return ['containerd', '--config', join(dir, 'containerd.toml')];
}

export function kubelet({ dir, programs, addresses: { v4, v6 } }: Places): string[] {
  return [
    join(programs, 'kubelet'),
    ...flags({
      config: join(dir, 'kubelet.yaml'),
      kubeconfig: join(dir, 'kubeconfig'),
      'hostname-override': 'node',
      'node-ip': `${v4.node},${v6.node}`,
    }),
  ];
}

export function kubeProxy({ dir, programs, addresses: { v4, v6 } }: Places): string[] {
  return [
    join(programs, 'kube-proxy'),
    ...flags({
      kubeconfig: join(dir, 'kubeconfig'),
      'hostname-override': 'node',
      'cluster-cidr': `${v4.pods},${v6.pods}`,
      'proxy-mode': 'iptables',
      // These settings are the machine's, not the node's.
      'conntrack-max-per-core': '0',
      'conntrack-min': '0',
    }),
  ];
}

/** For kubelet.yaml: below which control group it puts pods. */
export function cgroupRoot({ slot }: Addresses): string {
  return `/${cgroupOf(slot)}`;
}

function flags(values: Readonly<Record<string, string>>): string[] {
  return Object.entries(values).map(([name, value]) => `--${name}=${value}`);
}
