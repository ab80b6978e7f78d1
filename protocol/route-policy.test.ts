import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRouteFields } from './annotations/parse.ts';
import { DEFAULT_SETTINGS } from './default-settings.ts';
import { joined, policyOfRule, settingsWith } from './route-policy.ts';
import { TRAFFIC_FIELDS } from './traffic-policy.ts';

const policyOf = (fields: Record<string, string>) => parseRouteFields(fields, (field) => field).policy;

test('a policy about a route stands above what its service says, and can take it away', () => {
  const service = { ...DEFAULT_SETTINGS, timeoutMs: 1000, tryTimeoutMs: 500 };
  const settings = settingsWith(service, policyOf({ timeout: '2s', 'try-timeout': 'none', retries: '0' }));
  assert.deepEqual(settings, {
    ...DEFAULT_SETTINGS,
    timeoutMs: 2000,
    retries: { attempts: 0, on: [] },
  });
  assert.equal(settingsWith(service, undefined), service);
});

test('of policies about a route the later goes first, and one about the rule before those about all rules', () => {
  const policies = [
    { section: 'checkout', policy: policyOf({ timeout: '1s' }) },
    { policy: policyOf({ timeout: '2s', 'try-timeout': '2s', fault: 'abort 503 1%' }) },
    { section: 'other', policy: policyOf({ timeout: '4s' }) },
    { policy: policyOf({ 'try-timeout': '3s', fault: 'off' }) },
  ];
  const settings = (rule?: string) => settingsWith(DEFAULT_SETTINGS, policyOfRule(policies, rule));
  assert.deepEqual([settings('checkout').timeoutMs, settings('checkout').tryTimeoutMs], [1000, 3000]);
  assert.deepEqual([settings().timeoutMs, settings('third').timeoutMs], [2000, 2000]);
  assert.equal(settings('checkout').faults, undefined);
  assert.equal(policyOfRule([{ section: 'a', policy: policyOf({ timeout: '1s' }) }], 'b'), undefined);
});

test('what is off below is on again above, and the other way round', () => {
  const [on, off] = [policyOf({ fault: 'abort 503 1%' }), policyOf({ fault: 'off' })];
  assert.deepEqual(joined(off, on), on);
  assert.deepEqual(joined(on, off), off);
  assert.deepEqual(joined(undefined, on), on);
  assert.deepEqual(joined(on, undefined), on);
});

test('fields that protect a service or belong to its endpoints are errors of a route, the others hold', () => {
  const fields = Object.fromEntries(TRAFFIC_FIELDS.map((field) => [field, 'off']));
  const { problems } = parseRouteFields({ ...fields, timeout: '2s' }, (field) => `spec.${field}`);
  const refused = problems.filter(({ message }) => message.includes('a policy about a route'));
  assert.deepEqual(
    refused.map(({ field }) => field.slice('spec.'.length)),
    TRAFFIC_FIELDS.filter(
      (field) =>
        ![
          'timeout',
          'try-timeout',
          'idle-timeout',
          'retries',
          'hedge',
          'fault',
          'direct-response',
          'rewrite',
          'sticky',
        ].includes(field),
    ),
  );
  assert.match(refused.find(({ field }) => field === 'spec.allow')?.message ?? '', /^protects a service/);
  assert.match(refused.find(({ field }) => field === 'spec.balance')?.message ?? '', /^belongs to a service/);
  assert.ok(refused.every(({ severity, meant }) => severity === 'error' && meant !== ''));
});
