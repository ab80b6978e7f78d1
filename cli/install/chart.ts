import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import type { Values } from './values.ts';

export type Profile = 'ha' | 'dev';

/** What charts/tulle holds. */
export interface Chart {
  /** Chart.yaml, as templates see it. */
  readonly about: Readonly<Record<string, unknown>>;
  readonly values: Values;
  readonly profiles: Readonly<Record<Profile, Values>>;
  /** Text of each template, by its name. */
  readonly templates: ReadonlyMap<string, string>;
  /** Text of each CustomResourceDefinition, by its name. */
  readonly crds: ReadonlyMap<string, string>;
}

/** Reads the chart that belongs to this command: `chart/` beside the bundle, charts/tulle in a clone. */
export function readChart(): Chart {
  const here = [new URL('./chart/', import.meta.url), new URL('../../charts/tulle/', import.meta.url)].map(
    (url) => fileURLToPath(url),
  );
  const folder = here.find((path) => existsSync(join(path, 'Chart.yaml')));
  if (folder === undefined) throw new Error(`the chart is not there: ${here.join(', ')}`);
  const text = (name: string) => readFileSync(join(folder, name), 'utf8');
  const about = parse(text('Chart.yaml')) as Record<string, unknown>;
  return {
    // Templates know the fields of Chart.yaml by capitals: it is a structure of Go there.
    about: Object.fromEntries(
      Object.entries(about).map(([name, value]) => [
        name.replace(/^./, (first) => first.toUpperCase()),
        value,
      ]),
    ),
    values: parse(text('values.yaml')) as Values,
    profiles: {
      ha: parse(text('values-ha.yaml')) as Values,
      dev: parse(text('values-dev.yaml')) as Values,
    },
    templates: texts(join(folder, 'templates')),
    crds: texts(join(folder, 'crds')),
  };
}

function texts(folder: string): Map<string, string> {
  const names = readdirSync(folder).sort();
  return new Map(names.map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
}
