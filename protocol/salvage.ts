import { type MeshFile, meshFileSchema } from './mesh.ts';
import { serviceSchema } from './service.ts';

type Lists = Pick<MeshFile, 'routes' | 'policies' | 'gateway' | 'services'>;

/** Lists of a mesh file, each entry at its place; undefined where there is none that could be read. */
export type Salvaged = { readonly [K in keyof Lists]: (Lists[K][number] | undefined)[] };

/**
 * What can be read of a mesh file whose shape is wrong somewhere: so that all that is wrong is told at
 * once, not one layer after the other. Nothing runs on it.
 */
export function salvage(value: unknown): Salvaged {
  const raw = isRecord(value) ? value : {};
  return {
    services: listOf(raw.services).map(service),
    routes: listOf(raw.routes).map(document),
    policies: listOf(raw.policies).map(document),
    gateway: listOf(raw.gateway).map(document),
  };
}

function document(entry: unknown): Lists['routes'][number] | undefined {
  const [read] = meshFileSchema.safeParse({ routes: [entry] }).data?.routes ?? [];
  return read;
}

/** A service with a wrong port is still the one that routes name, and has annotations to look at. */
function service(entry: unknown): Lists['services'][number] | undefined {
  const whole = serviceSchema.safeParse(entry);
  if (whole.success || !isRecord(entry)) return whole.data;
  const { name, namespace, annotations } = entry;
  const texts = isRecord(annotations)
    ? Object.fromEntries(Object.entries(annotations).filter(([, text]) => typeof text === 'string'))
    : {};
  return serviceSchema.safeParse({ name, namespace, annotations: texts, port: 1 }).data;
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
