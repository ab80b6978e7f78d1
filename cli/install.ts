import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { type Profile, readChart } from './install/chart.ts';
import { renderChart } from './install/render.ts';
import { overlay, setValues, type Values } from './install/values.ts';

export interface InstallOptions {
  readonly set: readonly string[];
  readonly values: readonly string[];
  readonly profile?: string;
  /** CustomResourceDefinitions: with the rest, left out, or nothing else. */
  readonly crds: string;
  readonly apiVersions: readonly string[];
}

/** `tulle install`: prints the manifests for `kubectl apply --server-side -f -`. */
export function installCommand(options: InstallOptions): void {
  process.stdout.write(installation(options));
}

/** The text of `helm template` with the same values, and with the namespace. Throws an Error that says what to write. */
export function installation({ set, values: files, profile, crds, apiVersions }: InstallOptions): string {
  if (!['with', 'without', 'only'].includes(crds))
    throw new Error(`--crds "${crds}" is not known; write with, without or only`);
  const chart = readChart();
  const definitions = crds === 'without' ? [] : [...chart.crds.values()];
  if (crds === 'only') return joined(definitions);
  const chosen = [profileValues(chart.profiles, profile), ...files.map(readValues)];
  const before = [chart.values, { namespace: { create: true } }, ...chosen].reduce(overlay);
  // An assignment may change an item of a list from a file: it needs to see all that is below it.
  const values = overlay({}, set.reduce(setValues, before));
  return joined([...definitions, ...renderChart(chart, { values, apiVersions })]);
}

function joined(documents: readonly string[]): string {
  return documents.map((text) => `---\n${text}`).join('');
}

function profileValues(profiles: Readonly<Record<Profile, Values>>, profile: string | undefined): Values {
  if (profile === undefined) return {};
  if (profile !== 'ha' && profile !== 'dev')
    throw new Error(`--profile "${profile}" is not known; write ha or dev`);
  return profiles[profile];
}

function readValues(file: string): Values {
  const values: unknown = parse(readFileSync(file === '-' ? 0 : file, 'utf8'));
  if (values === null) return {};
  if (typeof values !== 'object' || Array.isArray(values))
    throw new Error(`${file} is no map of values; write like charts/tulle/values.yaml`);
  return values as Values;
}
