import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readPrometheusText } from '../../test/fixture/prometheus-text.ts';
import type { Question, Questions } from './messages.ts';
import { numbersOf } from './numbers.fixture.ts';
import { SharedView, type ViewedWorker } from './shared-view.ts';

/** A worker that says what a test has it say; what is missing, it does not answer. */
class SayingWorker implements ViewedWorker {
  readonly number: number;
  accepting = true;
  restarts = 0;
  away = 'it is starting';
  says: Partial<Questions>;

  constructor(number: number, says: Partial<Questions>) {
    this.number = number;
    this.says = says;
  }

  async ask<Q extends Question>(question: Q): Promise<{ value: Questions[Q] } | undefined> {
    return question in this.says ? { value: this.says[question] as Questions[Q] } : undefined;
  }
}

const READY = { ready: true, reasons: [], degraded: [] };

async function scraped(view: SharedView): Promise<(name: string, worker?: string) => number | undefined> {
  const families = readPrometheusText((await view.sources().metrics()).text);
  return (name, worker) =>
    families.get(name)?.samples.find(({ labels }) => worker === undefined || labels.worker === worker)?.value;
}

test('metrics are the sum of all, with what each process uses', async () => {
  const workers = [
    new SayingWorker(1, { numbers: numbersOf(3, 2) }),
    new SayingWorker(2, { numbers: numbersOf(4, 5) }),
  ];
  const value = await scraped(new SharedView(workers, () => undefined));
  assert.equal(value('istio_requests_total'), 7);
  assert.equal(value('tulle_connections_active'), 7);
  assert.equal(value('tulle_worker_connections_active', '2'), 5);
  assert.equal(value('tulle_workers'), 2);
  assert.equal(value('tulle_workers_answering'), 2);
  assert.equal(value('tulle_ready'), 1);
  for (const worker of ['supervisor', '1', '2'])
    assert.ok((value('process_resident_memory_bytes', worker) ?? 0) > 0, worker);
});

test('a counter never falls: not when a worker is silent, not when it ends, not when the next one starts', async () => {
  const [first, second] = [new SayingWorker(1, {}), new SayingWorker(2, { numbers: numbersOf(10) })];
  first.says = { numbers: numbersOf(5) };
  const view = new SharedView([first, second], () => undefined);
  const requests = async () => (await scraped(view))('istio_requests_total');
  assert.equal(await requests(), 15);
  first.says = {};
  const silent = await scraped(view);
  assert.equal(silent('istio_requests_total'), 15);
  assert.equal(silent('tulle_workers_answering'), 1);
  assert.equal(silent('tulle_ready'), 0, 'it accepts and does not answer');
  view.keepCounters(first);
  first.accepting = false;
  const gone = await scraped(view);
  assert.equal(gone('istio_requests_total'), 15);
  assert.equal(gone('tulle_ready'), 1, 'the other one takes all');
  first.accepting = true;
  first.restarts = 1;
  first.says = { numbers: numbersOf(1) };
  const again = await scraped(view);
  assert.equal(again('istio_requests_total'), 16);
  assert.equal(again('tulle_worker_restarts_total', '1'), 1);
  view.keepCounters(first);
  view.keepCounters(second);
  first.says = {};
  second.says = {};
  assert.equal(await requests(), 16);
});

test('readiness names the worker, and what the supervisor knows besides', async () => {
  const [first, second] = [new SayingWorker(1, { ready: READY }), new SayingWorker(2, {})];
  let error: string | undefined = 'the authority is away';
  const identity = { current: () => undefined, onChange: () => () => {}, lastError: () => error, close() {} };
  const view = new SharedView([first, second], () => identity);
  const ready = () => view.sources().ready();
  assert.deepEqual(await ready(), {
    ready: false,
    reasons: ['no certificate yet: the authority is away', 'worker 2: does not answer'],
    degraded: [],
  });
  error = undefined;
  second.accepting = false;
  assert.deepEqual(await ready(), { ready: true, reasons: [], degraded: ['worker 2: it is starting'] });
  view.draining = true;
  assert.equal((await ready()).ready, false);
});

test('certificates of the first are shown; that another has other ones is said', async () => {
  const certs = (serial: string) => ({ identity: 'spiffe://a', chain: [{ serial }] });
  const workers = [1, 2, 3].map((number) => new SayingWorker(number, { certs: certs('01') }));
  const view = new SharedView(workers, () => undefined);
  assert.deepEqual(await view.sources().certs(), certs('01'));
  (workers[2] as SayingWorker).says = { certs: certs('02') }; // of three
  assert.deepEqual(await view.sources().certs(), {
    ...certs('01'),
    note: 'this is of worker 1; other ones have 3',
  });
  for (const worker of workers) worker.says = {};
  assert.deepEqual(await view.sources().certs(), { identity: null, error: 'no worker answers' });
});
