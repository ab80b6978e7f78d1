import { Counter, Gauge, Registry } from 'prom-client';

export interface InjectorMetrics {
  /** `webhook`: inject or validate. */
  count(webhook: string, outcome: string): void;
  /** When the serving certificate ends, in ms since 1970. */
  certificateEnds(ms: number): void;
  text(): Promise<string>;
}

export function injectorMetrics(): InjectorMetrics {
  const registry = new Registry();
  const reviews = new Counter({
    name: 'tulle_injector_reviews_total',
    help: 'Admission reviews, by webhook and by what became of them',
    labelNames: ['webhook', 'outcome'],
    registers: [registry],
  });
  const ends = new Gauge({
    name: 'tulle_injector_certificate_expiry_timestamp_seconds',
    help: 'When the serving certificate ends',
    registers: [registry],
  });
  return {
    count: (webhook, outcome) => reviews.inc({ webhook, outcome }),
    certificateEnds: (ms) => ends.set(Math.floor(ms / 1000)),
    text: () => registry.metrics(),
  };
}
