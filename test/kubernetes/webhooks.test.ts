import assert from 'node:assert/strict';
import { test } from 'node:test';
import { installation } from '../../cli/install.ts';
import {
  mutatingWebhookConfiguration,
  validatingWebhookConfiguration,
  type WebhookPlace,
} from '../../injector/webhook-configuration.ts';
import { manifests } from './helm.ts';

const PLACE: WebhookPlace = {
  name: 'tulle-injector',
  address: { service: { namespace: 'tulle-system', name: 'injector' } },
  systemNamespace: 'tulle-system',
};

/** A webhook of either kind, as far as it is said in both places. */
interface Webhook {
  readonly name: string;
  readonly namespaceSelector?: object;
}

/** By name, in their order; a selector that selects all says as much as none. */
function comparable(webhooks: readonly Webhook[] | undefined): Webhook[] {
  return (webhooks ?? [])
    .map((webhook) => ({ ...webhook, namespaceSelector: webhook.namespaceSelector ?? {} }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** What the chart says, by what the injector's tests run with. */
const KINDS = {
  MutatingWebhookConfiguration: mutatingWebhookConfiguration(PLACE).webhooks,
  ValidatingWebhookConfiguration: validatingWebhookConfiguration(PLACE).webhooks,
};

for (const [kind, expected] of Object.entries(KINDS)) {
  test(`the chart's ${kind} is the one that the injector's tests register`, () => {
    const options = { set: [], values: [], crds: 'without', apiVersions: [] };
    const chart = manifests(installation(options)).get(`${kind} /tulle-injector`);
    const { webhooks } = chart as unknown as { webhooks: readonly Webhook[] };
    assert.deepEqual(comparable(webhooks), comparable(expected as readonly Webhook[] | undefined));
  });
}
