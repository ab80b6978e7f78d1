import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { cgroupRoot, type Places } from './components.ts';

/** The image of a pod's first container, which holds its namespaces. */
export const PAUSE_IMAGE = 'tulle.test/pause:1';

/** Writes the configuration files of the cluster's parts into its folder, and the user's kubeconfig. */
export function writeConfiguration(places: Places): void {
  const { dir } = places;
  mkdirSync(join(dir, 'cni'), { recursive: true });
  writeFileSync(join(dir, 'kubeconfig'), stringify(kubeconfig(places)), { mode: 0o600 });
  writeFileSync(join(dir, 'kubelet.yaml'), stringify(kubelet(places)));
  writeFileSync(join(dir, 'cni/10-pods.conflist'), JSON.stringify(podNetwork(places)));
  writeFileSync(join(dir, 'Corefile'), corefile(places));
  writeFileSync(join(dir, 'containerd.toml'), containerd(places));
}

function kubeconfig({ dir, addresses }: Places) {
  const key = (name: string) => join(dir, 'pki', name);
  const server = `https://${addresses.v4.node}:6443`;
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server, 'certificate-authority': key('ca.crt') } }],
    users: [
      { name: 'admin', user: { 'client-certificate': key('admin.crt'), 'client-key': key('admin.key') } },
    ],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
    'current-context': 'test',
  };
}

function kubelet({ dir, addresses }: Places) {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: addresses.v4.node,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: join(dir, 'pki/ca.crt') },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: join(dir, 'pki/kubelet.crt'),
    tlsPrivateKeyFile: join(dir, 'pki/kubelet.key'),
    containerRuntimeEndpoint: `unix://${join(dir, 'containerd.sock')}`,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: cgroupRoot(addresses),
    failCgroupV1: false,
    failSwapOn: false,
    enforceNodeAllocatable: [],
    clusterDNS: [addresses.dnsService],
    clusterDomain: 'cluster.local',
    // Images are loaded, and cannot be pulled again: none is ever removed.
    imageMinimumGCAge: '1000h',
    imageGCHighThresholdPercent: 100,
    evictionHard: { 'memory.available': '1Mi', 'nodefs.available': '0%', 'imagefs.available': '0%' },
    localStorageCapacityIsolation: false,
    maxPods: 200,
    // Many pods start at once in tests.
    kubeAPIQPS: 100,
    kubeAPIBurst: 200,
    serializeImagePulls: false,
  };
}

/** Each pod has a link of its own to the node, which routes: no bridge, so no bridge's filter settings either. */
function podNetwork({ dir, addresses: { v4, v6 } }: Places) {
  return {
    cniVersion: '0.4.0',
    name: 'pods',
    plugins: [
      {
        type: 'ptp',
        ipMasq: false,
        ipam: {
          type: 'host-local',
          dataDir: join(dir, 'cni-state'),
          ranges: [[{ subnet: v4.pods }], [{ subnet: v6.pods }]],
          routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  };
}

/** `outside.test` is this machine: the world that is not the cluster. */
function corefile({ dir, addresses: { v4, v6 } }: Places): string {
  return `cluster.local in-addr.arpa ip6.arpa {
  bind ${v4.node}
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    kubeconfig ${join(dir, 'kubeconfig')} test
    pods verified
  }
  cache 5 {
    denial 1000 1
  }
}
outside.test {
  bind ${v4.node}
  hosts {
    ${v4.outside} outside.test
    ${v6.outside} outside.test
  }
}
. {
  bind ${v4.node}
  template ANY ANY {
    rcode NXDOMAIN
  }
}
`;
}

function containerd({ dir }: Places): string {
  return `version = 2
root = "${dir}/containerd"
state = "/run/containerd"
[grpc]
  address = "${dir}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  max_concurrent_downloads = 8
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${dir}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "${process.env.KUBE_SNAPSHOTTER ?? 'overlayfs'}"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
`;
}

/** The cluster's DNS has a Service, as elsewhere; behind it is a process of the node. */
export function dnsService({ addresses: { v4, dnsService } }: Places): object[] {
  const metadata = {
    name: 'kube-dns',
    namespace: 'kube-system',
    labels: { 'kubernetes.io/service-name': 'kube-dns' },
  };
  const ports = [
    { name: 'dns', port: 53, protocol: 'UDP' },
    { name: 'dns-tcp', port: 53, protocol: 'TCP' },
  ];
  return [
    { apiVersion: 'v1', kind: 'Service', metadata, spec: { clusterIP: dnsService, ports } },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata,
      addressType: 'IPv4',
      ports,
      endpoints: [{ addresses: [v4.node], conditions: { ready: true } }],
    },
  ];
}
