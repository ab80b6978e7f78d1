import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkAims } from './aims.ts';
import { type Cell, summarize } from './cell.ts';
import type { Figures } from './figures.ts';
import type { Sample } from './measure.ts';
import { reportTable } from './report.ts';
import { scenarios } from './scenarios.ts';
import type { LoadSample } from './work/saturation.ts';

const load: LoadSample = {
  requests: 1000,
  requestsPerSecond: 500,
  cpuMicrosPerRequest: 20,
  proxyShare: 0.9,
  otherShare: 0.01,
  p50Ms: 1,
  p99Ms: 2,
  p999Ms: 3,
  errors: 0,
  loaded: { rss: 70e6, uss: 30e6 },
};

function sample(cpu: number, p99Ms = 2): Sample {
  return {
    acceptMs: 60,
    coldStartMs: 80,
    idle: { rss: 50e6, uss: 18e6 },
    load: { ...load, cpuMicrosPerRequest: cpu, p99Ms },
  };
}

function cell(peer: string, rounds: Cell['rounds'], scenario = '100b'): Cell {
  return { scenario, peer, rounds, failures: rounds.includes(undefined) ? ['it fell over\nbadly'] : [] };
}

const circumstances = {
  date: '2026-01-01',
  commit: 'abc',
  processor: 'any',
  kernel: '6.1',
  proxyCore: 1,
  loadCore: 0,
  rounds: 3,
  seconds: 5,
  connections: 64,
  versions: ['Envoy 1'],
};

const cells = [
  cell('tulle', [sample(10), sample(18), sample(12, 9)]),
  cell('envoy', [sample(20), sample(36), undefined]),
];
const summaries = cells.flatMap((one) => summarize(one, cells) ?? []);

test('the ratio to Envoy pairs the rounds, and leaves out those that only one of both has', () => {
  assert.deepEqual(summaries[0]?.load?.cpuOfEnvoy, { median: 0.5, min: 0.5, max: 0.5 });
  assert.deepEqual(summaries[0]?.load?.cpuMicrosPerRequest, { median: 12, min: 10, max: 18 });
});

test('a cell whose rounds all failed has no summary, and a peer without Envoy beside it no ratio', () => {
  const alone = cell('nginx', [sample(9)], 'mtls');
  assert.equal(summarize(cell('tulle', [undefined]), cells), undefined);
  assert.equal(summarize(alone, [alone])?.load?.cpuOfEnvoy, undefined);
});

test('aims compare medians, say what is missed, and leave out what was not measured', () => {
  const aims = checkAims(summaries, []);
  assert.deepEqual(
    aims.map(({ text, holds }) => [text, holds]),
    [
      ["100b: CPU, of Envoy's", true],
      ["100b: p99, against Envoy's", true],
    ],
  );
  const start = cell(
    'tulle',
    [{ acceptMs: 101, coldStartMs: 120, idle: { rss: 60e6, uss: 20.1e6 } }],
    'start',
  );
  const missed = checkAims(
    [start].flatMap((one) => summarize(one, [start]) ?? []),
    [],
  );
  assert.deepEqual(
    missed.map(({ text, holds }) => [text, holds]),
    [
      ['idle RSS', true],
      ['idle USS', false],
      ['cold start to accept', false],
    ],
  );
});

test('the report shows every cell, the aims, failed rounds and peers that are missing', () => {
  const missing = new Map([['haproxy', 'not found']]);
  const run = {
    circumstances,
    scenarios,
    cells,
    summaries,
    decisions: [],
    aims: checkAims(summaries, []),
    missing,
  };
  const text = reportTable(run);
  assert.match(
    text,
    /\| 100b +\| tulle +\| req +\| +500 \| +12\.0 \(10\.0\.\.18\.0\) \| +0\.50 \(0\.50\.\.0\.50\) \|/,
  );
  assert.match(text, /100b: CPU, of Envoy's +\| holds +\| +0\.50 x \| +<= 0\.60 x \|/);
  assert.match(text, /- 100b, envoy: a round failed: it fell over badly/);
  assert.match(text, /- haproxy was not measured: not found/);
  const rows = text.split('\n\n')[0]?.split('\n') ?? [];
  assert.equal(new Set(rows.map((row) => row.length)).size, 1, 'columns line up');
});

function withFigures(scenario: string, peer: string, ...rounds: Figures[]): Cell {
  return { ...cell(peer, [], scenario), rounds: rounds.map((figures) => ({ ...sample(1), figures })) };
}

test('figures have medians over the rounds that have them, and a table of their own', () => {
  const overload = withFigures(
    'overload',
    'tulle',
    { goodputShare: 0.8 },
    { goodputShare: 1, adminMaxMs: 7 },
  );
  const figures = [overload].flatMap((one) => summarize(one, [one]) ?? []);
  assert.deepEqual(figures[0]?.figures, {
    goodputShare: { median: 0.9, min: 0.8, max: 1 },
    adminMaxMs: { median: 7, min: 7, max: 7 },
  });
  const run = { circumstances, scenarios, cells: [], summaries: figures, aims: [], missing: new Map() };
  const decisions = [{ routes: 100, p50Ns: 190.4, p99Ns: 290 }];
  const text = reportTable({ ...run, decisions });
  assert.match(text, /\| scenario \| peer +\| +of peak, full core \| +admin max ms \|/);
  assert.match(text, /\| overload \| tulle \| +0\.90 \(0\.80\.\.1\.00\) \| 7\.00 \(7\.00\.\.7\.00\) \|/);
  assert.match(text, /route decision alone \| +100 \| +190 \| +290 \|/);
});

test('each aim holds exactly at its limit, and is missed beyond it on its own side', () => {
  const summed = (cells: Cell[]) => cells.flatMap((one) => summarize(one, cells) ?? []);
  const aimsOf = (goodputShare: number, added: number, kib: number, tcp: number, ns: number) => {
    const all = [
      withFigures('overload', 'tulle', { goodputShare }),
      withFigures('half-load', 'tulle', { addedP99Ms: added }),
      withFigures('half-load', 'envoy', { addedP99Ms: 2 }),
      withFigures('idle-connections', 'tulle', { connectionRss: kib }),
      withFigures('idle-connections-tls', 'tulle', { connectionRss: kib * 5 }),
      cell('tulle', [sample(tcp)], 'tcp'),
      cell('haproxy', [sample(90)], 'tcp'),
    ];
    const aims = checkAims(summed(all), [{ routes: 10_000, p50Ns: 1, p99Ns: ns }]);
    return aims.map(({ text, holds }) => [text.split(/[:,]/, 1)[0], holds]);
  };
  const names = [
    'tcp',
    'route decision at 10',
    'half-load',
    'overload',
    'an idle connection',
    'an idle connection by TLS',
  ];
  assert.deepEqual(
    aimsOf(0.9, 2, 8, 100, 5000),
    names.map((name) => [name, true]),
  );
  assert.deepEqual(
    aimsOf(0.89, 2.1, 8.1, 101, 5001),
    names.map((name) => [name, false]),
  );
});

test('HTTP/2 and gRPC may cost what Envoy costs, and no more', () => {
  const all = ['h2', 'h2-16k', 'h2-mesh', 'grpc', 'grpc-stream'].flatMap((scenario, index) => [
    cell('tulle', [sample(20 + index)], scenario),
    cell('envoy', [sample(22)], scenario),
  ]);
  const aims = checkAims(
    all.flatMap((one) => summarize(one, all) ?? []),
    [],
  );
  assert.deepEqual(
    aims.map(({ holds }) => holds),
    [true, true, true, false, false],
  );
});
