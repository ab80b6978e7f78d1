import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { ServerNumbers } from './distribution/server.ts';
import type { StoreNumbers } from './quotas/quota-store.ts';

/** Numbers of a control plane as they are now; a part that is not there yet has none. */
export interface ControlPlaneNumbers {
  readonly server: ServerNumbers | undefined;
  readonly leads: boolean;
  readonly apiServerAway: boolean;
  readonly quotaStore: StoreNumbers | undefined;
  readonly registryCurrent: boolean;
  readonly registryProblems: number;
  /** When what signs certificates ends, in ms since 1970. */
  readonly authorityNotAfter: number | undefined;
}

/** The exposition of a control plane: numbers are read when they are asked for. */
export function controlPlaneMetrics(numbers: () => ControlPlaneNumbers): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const plain: [name: string, help: string, read: (now: ControlPlaneNumbers) => number | undefined][] = [
    [
      'tulle_control_plane_sidecars',
      'Sidecars that follow resources here.',
      (now) => now.server?.sidecars ?? 0,
    ],
    ['tulle_quota_sidecars', 'Sidecars that draw on quotas here.', (now) => now.server?.drawing ?? 0],
    [
      'tulle_quota_store_up',
      '1 if quotas can be counted.',
      (now) => Number(now.quotaStore?.outage === undefined),
    ],
    ['tulle_control_plane_leader', '1 if this replica leads.', (now) => Number(now.leads)],
    ['tulle_api_server_up', '1 if the API server answered last.', (now) => Number(!now.apiServerAway)],
    [
      'tulle_registry_current',
      '1 if the newest content of the registry is in force.',
      (now) => Number(now.registryCurrent),
    ],
    ['tulle_registry_problems', 'Problems of the newest content.', (now) => now.registryProblems],
    [
      'tulle_authority_not_after_seconds',
      'When what signs certificates ends, Unix time.',
      (now) => (now.authorityNotAfter === undefined ? undefined : now.authorityNotAfter / 1000),
    ],
  ];
  for (const [name, help, read] of plain)
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        const value = read(numbers());
        if (value !== undefined) this.set(value);
      },
    });
  certificates(registry, numbers);
  quotas(registry, numbers);
  return registry;
}

function certificates(registry: Registry, numbers: () => ControlPlaneNumbers): void {
  new Counter({
    name: 'tulle_certificates_total',
    help: 'Requests for certificates since the start, by result: issued, or the code of the refusal.',
    labelNames: ['result'],
    registers: [registry],
    collect() {
      const { issued = 0, refused = [] } = numbers().server ?? {};
      this.reset(); // counted elsewhere, and shown as it is
      this.inc({ result: 'issued' }, issued);
      for (const [result, count] of refused) this.inc({ result }, count);
    },
  });
}

function quotas(registry: Registry, numbers: () => ControlPlaneNumbers): void {
  const counted: [name: string, help: string, read: (now: ControlPlaneNumbers) => number | undefined][] = [
    ['draws', 'Draws on quotas: one quota for one subject.', ({ server }) => server?.quotas.draws],
    ['granted_tokens', 'Tokens and places that were granted.', ({ server }) => server?.quotas.granted],
    ['returned_tokens', 'Tokens that came back unused.', ({ server }) => server?.quotas.returned],
    ['exhausted_draws', 'Draws that got nothing.', ({ server }) => server?.quotas.exhausted],
    ['outage_messages', 'Messages answered by an outage.', ({ server }) => server?.quotas.outages],
    ['refused_messages', 'Messages that were not allowed.', ({ server }) => server?.quotas.refused],
    [
      'outage_seconds',
      'How long quotas could not be counted.',
      ({ quotaStore }) => quotaStore?.outageSeconds,
    ],
    ['redis_commands', 'Commands sent to Redis for quotas.', ({ quotaStore }) => quotaStore?.commands],
    ['store_seconds', 'Time that draws took in the store.', ({ quotaStore }) => quotaStore?.drawSeconds],
    ['store_draws', 'Messages that the store answered.', ({ quotaStore }) => quotaStore?.drawsTimed],
  ];
  for (const [name, help, read] of counted)
    new Counter({
      name: `tulle_quota_${name}_total`,
      help,
      registers: [registry],
      collect() {
        this.reset(); // counted elsewhere, and shown as it is
        this.inc(read(numbers()) ?? 0);
      },
    });
}
