import { kubectl } from './kubectl.ts';

/** What the proxy of a pod has counted: the sum of a metric's samples that have all of the labels. */
export async function countedBy(
  namespace: string,
  pod: string,
  metric: string,
  labels: Readonly<Record<string, string>>,
): Promise<number> {
  const page = await kubectl(
    'get',
    '--raw',
    `/api/v1/namespaces/${namespace}/pods/${pod}:4191/proxy/metrics`,
  );
  const wanted = Object.entries(labels).map(([name, value]) => `${name}="${value}"`);
  const samples = page
    .split('\n')
    .filter((line) => /^[{ ]/.test(line.slice(metric.length)) && line.startsWith(metric))
    .filter((line) => wanted.every((label) => line.includes(label)));
  return samples.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
