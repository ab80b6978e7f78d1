import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';

/**
 * How to reach the cluster: by KUBECONFIG, else as the pod that this is, else by ~/.kube/config. Throws an
 * Error if there is none of them, where the library would try localhost.
 */
export function clusterAccess(environment: NodeJS.ProcessEnv = process.env): KubeConfig {
  const config = new KubeConfig();
  const { KUBECONFIG: file = '', KUBERNETES_SERVICE_HOST: host = '' } = environment;
  const ownFile = join(environment.HOME ?? homedir(), '.kube', 'config');
  if (file !== '') config.loadFromFile(file);
  else if (host !== '') config.loadFromCluster();
  else if (existsSync(ownFile)) config.loadFromFile(ownFile);
  else
    throw new Error(
      `there is no way to a cluster: this is no pod, KUBECONFIG is not set, and there is no ${ownFile}`,
    );
  return config;
}
