import { DEFAULT_SETTINGS } from '../../protocol/default-settings.ts';
import type { WorkloadPort, WorkloadResource } from '../../protocol/resources.ts';
import type { TrafficSettings } from '../../protocol/traffic-policy.ts';
import type { Subscription } from '../config/subscription.ts';
import type { LocalAnswer } from '../exchange.ts';
import { FirstWord } from './first-word.ts';
import type { InboundPolicy, PolicySource } from './inbound-policy.ts';
import type { Pending } from './plan.ts';

/** The pod beside which this data plane stands, as the control plane describes it. */
export class RunningWorkload {
  /** `namespace/pod`. */
  readonly key: string;
  resource: WorkloadResource | undefined = undefined;
  private readonly namespace: string;
  /** What holds of a pod of which no control plane has spoken. */
  private readonly untold: TrafficSettings['mtls'];
  private readonly opaquePorts: readonly number[];
  private readonly firstWord = new FirstWord();
  private readonly subscription: Subscription;
  private readonly policies = new Map<number, InboundPolicy>();
  private readonly listeners: ((resource: WorkloadResource) => void)[] = [];

  /** `opaquePorts`: not read, whatever is told of them but a protocol. */
  constructor(
    subscription: Subscription,
    key: string,
    untold: TrafficSettings['mtls'],
    opaquePorts: readonly number[] = [],
  ) {
    this.subscription = subscription;
    this.key = key;
    this.namespace = key.split('/', 1)[0] ?? '';
    this.untold = untold;
    this.opaquePorts = opaquePorts;
    // A pod that is gone stays protected as it was; one that was never heard of may still be on its way.
    subscription.onResource((resource) => {
      if (resource.kind === 'workload' && resource.key === key) this.update(resource);
    });
    subscription.want('workload', key);
  }

  /** Whether it is worth waiting for what the control plane says of it. */
  get awaited(): boolean {
    return this.resource === undefined && this.firstWord.mayCome && !isAway(this.subscription);
  }

  onChange(listener: (resource: WorkloadResource) => void): void {
    this.listeners.push(listener);
  }

  /** The policy of one of the pod's ports. */
  port(port: number): PolicySource {
    return {
      key: `${this.key}:${port}`,
      ownName: `${this.key}.pod:${port}`,
      policy: () => this.policy(port),
      without: () => this.without(),
    };
  }

  private update(resource: WorkloadResource): void {
    this.resource = resource;
    this.policies.clear();
    this.firstWord.wake();
    for (const listener of this.listeners) listener(resource);
  }

  private policy(port: number): InboundPolicy | undefined {
    const { resource } = this;
    if (resource === undefined && (this.untold === 'strict' || this.awaited)) return undefined;
    let policy = this.policies.get(port);
    if (policy === undefined) {
      const declared = resource?.ports.find((one) => one.port === port);
      policy = declared
        ? this.declaredPolicy(declared)
        : this.otherPolicy(port, resource?.otherPorts ?? DEFAULT_SETTINGS);
      // Ports are the callers' to choose; those that are declared are few.
      if (declared !== undefined || this.policies.size < MAX_POLICIES) this.policies.set(port, policy);
    }
    return policy;
  }

  private declaredPolicy({ port, protocol, services }: WorkloadPort): InboundPolicy {
    const [first] = services;
    return {
      key: first?.key ?? `${this.key}:${port}`,
      protectors: services.map((service) => ({ ...service, namespace: this.namespace })),
      settings: strictest(services.map(({ settings }) => settings)),
      service: { protocol: this.spoken(port, protocol), port },
    };
  }

  /** Of a port that no service sends to. */
  private otherPolicy(port: number, settings: TrafficSettings): InboundPolicy {
    const key = `${this.key}:${port}`;
    return {
      key,
      protectors: [{ key, namespace: this.namespace, settings, access: [], alone: true }],
      settings,
      service: { protocol: this.spoken(port, 'detect'), port },
    };
  }

  private spoken(port: number, told: WorkloadPort['protocol']): WorkloadPort['protocol'] {
    return told === 'detect' && this.opaquePorts.includes(port) ? 'tcp' : told;
  }

  /** It is waited for; afterwards, in strict mode, nobody is let in on a guess. */
  private without(): Pending | LocalAnswer {
    if (this.awaited) return this.firstWord;
    return {
      status: 503,
      code: 'service-unknown-yet',
      detail: `no control plane has told what protects the pod ${this.key}, and it is to be strict (tulle.dev/mtls): nobody is let in before`,
    };
  }
}

const MAX_POLICIES = 1024;

/** Whether there was an attempt to reach a control plane and it failed. */
export function isAway(subscription: Subscription): boolean {
  const { connected, lastError } = subscription.state();
  return !connected && lastError !== undefined;
}

/** Where several services send to one port, the narrowest limits hold. */
function strictest(all: readonly TrafficSettings[]): TrafficSettings {
  const [first = DEFAULT_SETTINGS] = all;
  const least = (of: (settings: TrafficSettings) => number): number => Math.min(...all.map(of));
  if (all.length < 2) return first;
  return {
    ...first,
    limits: {
      connections: least(({ limits }) => limits.connections),
      pending: least(({ limits }) => limits.pending),
      requests: least(({ limits }) => limits.requests),
    },
  };
}
