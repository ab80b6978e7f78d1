import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readPrometheusText } from '../../test/fixture/prometheus-text.ts';
import { EdgeRegistry } from './edge-registry.ts';
import { createMetrics } from './metrics.ts';
import { Protections } from './protections.ts';

test('each protection is counted by its name', () => {
  const protections = new Protections();
  assert.deepEqual(protections.all(), {});
  for (const name of ['rapid-reset', 'ping-flood', 'rapid-reset']) protections.count(name);
  assert.deepEqual(protections.all(), { 'rapid-reset': 2, 'ping-flood': 1 });
});

test('what is counted after a scrape is in the next', async () => {
  const protections = new Protections();
  const gauges = {
    connections: 0,
    detections: {},
    detectTimeouts: {},
    mirrors: {},
    quotas: [],
    ready: true,
    controlPlaneConnected: true,
    certificateSecondsLeft: 1,
    rootSecondsLeft: 1,
    checkedEndpoints: [],
    circuits: [],
    ejections: {},
    panics: [],
    version: '1.2.3',
    trustDomain: 'mesh.local',
  };
  const metrics = createMetrics(new EdgeRegistry(), () => ({ ...gauges, protections: protections.all() }));
  const samples = async () =>
    readPrometheusText((await metrics()).text)
      .get('tulle_http2_protections_total')
      ?.samples.map(({ labels, value }) => [labels.protection, value]);
  assert.deepEqual(await samples(), []);
  protections.count('rapid-reset');
  assert.deepEqual(await samples(), [['rapid-reset', 1]]);
  protections.count('rapid-reset');
  assert.deepEqual(await samples(), [['rapid-reset', 2]]);
});
