import type { TestContext } from 'node:test';
import { DEFAULT_SETTINGS } from '../../protocol/default-settings.ts';
import type { TrafficSettings } from '../../protocol/traffic-policy.ts';
import { answeringHost } from '../../test/fixture/answering-host.ts';
import { leapingClock } from '../../test/fixture/leaping-clock.ts';
import { headOf } from '../../test/fixture/request-exchange.ts';
import { Cluster } from '../balancing/cluster.ts';
import type { ListenerKind } from '../exchange.ts';
import { composeChain, type Filter } from '../filters/filter.ts';
import { RetryBudget } from '../filters/retry-budget.ts';
import type { Downstream } from '../http/downstream.ts';
import type { Field } from '../http/field.ts';
import { DEFAULT_LIMITS } from '../http/limits.ts';
import { HTTP_2, HTTP_11, type MessageHead } from '../http/message-head.ts';
import type { OutgoingRequest, ResponseHandler, Upstream, UpstreamFailure } from '../http/upstream.ts';
import { fieldLines } from '../http1/field-lines.ts';
import type { Plan } from '../routing/plan.ts';
import type { Transport } from '../transport/transport.ts';
import { plainConnector } from '../upstream/connector.ts';
import type { ConnectionWaiter } from '../upstream/pool-use.ts';
import { Relay } from './relay.ts';

const NO_TRANSPORT = undefined as unknown as Transport; // nothing here reads or writes one

/** One attempt at an endpoint, whose server does what a test says. */
export class ScriptedCall implements Upstream {
  readonly transport = NO_TRANSPORT;
  readonly endpoint: string;
  readonly version: number;
  readonly requests: number;
  answered = false;
  state: 'waits' | 'connected' | 'sent' | 'headed' | 'over' = 'waits';
  /** How it ended, '' before. */
  how = '';
  /** It has said that it did not begin. */
  refused = false;
  request: OutgoingRequest | undefined = undefined;
  body = '';
  bodyEnded = false;
  /** What `requestData` says. */
  takesMore = true;
  private readonly waiter: ConnectionWaiter;
  private handler: ResponseHandler | undefined = undefined;

  constructor(endpoint: string, version: number, waiter: ConnectionWaiter, requests = 1) {
    this.endpoint = endpoint;
    this.version = version;
    this.waiter = waiter;
    this.requests = requests;
  }

  // --- what the test says ---

  connect(): void {
    this.state = 'connected';
    this.waiter.onConnection(this);
  }

  connectFails(code: 'connect-failed' | 'pool-full' = 'connect-failed'): void {
    this.finish('connect-failed');
    this.waiter.onConnectFailed({ code, detail: `connect to ${this.endpoint}: ECONNREFUSED` });
  }

  head(status: number, ...lines: string[]): void {
    this.answered = true;
    this.state = 'headed';
    const fields = lines.map((line) => `${line}\r\n`).join('');
    this.handler?.onResponse(headOf('response', `HTTP/1.1 ${status} X\r\n${fields}\r\n`));
  }

  data(text: string): void {
    const bytes = Buffer.from(text);
    this.handler?.onResponseData(bytes, 0, bytes.length);
  }

  end(trailers?: readonly Field[]): void {
    const { handler } = this;
    this.finish('answered');
    handler?.onResponseEnd(trailers);
  }

  answer(status: number, ...lines: string[]): void {
    this.head(status, ...lines);
    if (this.state === 'headed') this.end();
  }

  fail(how: Partial<UpstreamFailure> = {}): void {
    const { handler } = this;
    this.finish('failed');
    this.refused = how.refused === true;
    handler?.onResponseFailed({
      problem: undefined,
      error: undefined,
      refused: false,
      resetCode: -1,
      ...how,
    });
  }

  writable(): void {
    this.takesMore = true;
    this.handler?.onRequestWritable();
  }

  private finish(how: string): void {
    if (this.state === 'over') throw new Error(`${this.endpoint} was over (${this.how}), and is ${how} now`);
    this.state = 'over';
    this.how = how;
    this.handler = undefined;
  }

  /** The waiter gave up. */
  cancelled(): void {
    this.finish('cancelled');
  }

  isOf(waiter: ConnectionWaiter): boolean {
    return this.waiter === waiter;
  }

  // --- what the relay does ---

  send(request: OutgoingRequest, handler: ResponseHandler): void {
    if (this.state !== 'connected') throw new Error(`sent on one that is ${this.state}`);
    this.state = 'sent';
    this.request = request;
    this.handler = handler;
  }

  requestData(_source: Transport | undefined, bytes: Buffer, start: number, end: number): boolean {
    if (this.state !== 'sent' && this.state !== 'headed')
      throw new Error(`data for one that is ${this.state}`);
    if (this.bodyEnded) throw new Error('data after its end');
    this.body += bytes.toString('latin1', start, end);
    return this.takesMore;
  }

  requestEnd(): void {
    if (this.bodyEnded) throw new Error('the request ends twice');
    this.bodyEnded = true;
  }

  abandon(): void {
    if (this.state !== 'over') this.finish('abandoned');
  }

  discard(): void {
    if (this.state !== 'over') this.finish('discarded');
  }

  flush(): void {}
  pauseResponse(): void {}
  resumeResponse(): void {}
  halfClose(): void {}
  endTunnel(): void {}
}

/** A client that keeps what it is answered. */
class ScriptedClient implements Downstream {
  readonly transport = NO_TRANSPORT;
  readonly reading = false;
  readonly readsBody = false;
  readonly version: number;
  /** Of each response. */
  readonly answers: { status: number; text: string; body: string; ended: boolean }[] = [];
  aborted = false;
  paused = false;

  constructor(version: number) {
    this.version = version;
  }

  get answer() {
    return this.answers.at(-1);
  }

  pauseRequest(): void {
    this.paused = true;
  }

  resumeRequest(): void {
    this.paused = false;
  }

  informational(): void {}

  respond(head: MessageHead, added: string): void {
    this.begin(head.status, fieldLines(head) + added);
  }

  respondLocally(status: number, fields: string, body: string): void {
    this.begin(status, fields);
    this.answers.push({ ...(this.answers.pop() as (typeof this.answers)[number]), body, ended: true }); // begin() pushed one
  }

  private begin(status: number, text: string): void {
    this.answers.push({ status, text, body: '', ended: false });
  }

  responseData(_source: Transport | undefined, bytes: Buffer, start: number, end: number): boolean {
    const { answer } = this;
    if (answer === undefined || answer.ended) throw new Error('data without a response');
    answer.body += bytes.toString('latin1', start, end);
    return true;
  }

  flush(): boolean {
    return true;
  }

  responseEnd(): void {
    const { answer } = this;
    if (answer === undefined || answer.ended) throw new Error('the end of no response');
    answer.ended = true;
  }

  abort(): void {
    this.aborted = true;
  }

  tunnel(): void {}
  endTunnel(): void {}
}

interface Script {
  readonly settings?: Partial<TrafficSettings>;
  readonly timeoutMs?: number;
  readonly tryTimeoutMs?: number;
  readonly endpoints?: readonly string[];
  readonly kind?: ListenerKind;
  /** Of the caller and of endpoints. */
  readonly version?: number;
  readonly filters?: readonly Filter[];
  /** The configuration comes later. */
  readonly waits?: boolean;
  /** Whether the next attempt has a connection at once. */
  pooled?(): boolean;
}

/** A relay between a client and servers that do what a test says, in a time that goes as it says. */
export function scriptedRelay(context: TestContext, script: Script = {}) {
  const { settings, timeoutMs = 0, tryTimeoutMs = 0, endpoints = ['a:1', 'b:1', 'c:1'] } = script;
  const { kind = 'outbound', version = HTTP_11, filters = [] } = script;
  context.mock.timers.reset();
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const clock = leapingClock(context);
  const whole: TrafficSettings = { ...DEFAULT_SETTINGS, balance: { strategy: 'round-robin' }, ...settings };
  const cluster = new Cluster('t/app', whole, {
    connectorFor: () => plainConnector('127.0.0.1:1'),
    engineLimits: DEFAULT_LIMITS,
    wheel: clock.wheel,
    connectMs: 1000,
  });
  cluster.update(
    endpoints.map((address) => ({ address, weight: 1, ready: true })),
    whole,
    version === HTTP_2 ? 'http2' : 'http',
  );
  const calls: ScriptedCall[] = [];
  for (const endpoint of cluster.endpoints)
    Object.assign(endpoint, {
      acquire(waiter: ConnectionWaiter, of: number) {
        const call = new ScriptedCall(endpoint.address, of, waiter);
        calls.push(call);
        if (script.pooled?.() !== true) return undefined;
        call.state = 'connected';
        return call;
      },
      cancel(waiter: ConnectionWaiter) {
        for (const call of calls) if (call.state === 'waits' && call.isOf(waiter)) call.cancelled();
      },
    });
  const retryBudget = new RetryBudget();
  retryBudget.limit(whole.retryBudget.ratio, whole.retryBudget.perSecond);
  const plan: Plan = {
    ...{ route: '', why: 'the test', service: 't/app', settings: whole, retryBudget },
    ...{ chain: composeChain(filters), timeoutMs, tryTimeoutMs },
    backend: () => cluster,
  };
  let known = script.waits !== true;
  let configured = (): void => {};
  const word = {
    wait(proceed: () => void) {
      configured = proceed;
      return () => {};
    },
  };
  const asks = { plan: () => (known ? plan : word), tellsAll: kind !== 'gateway' };
  const host = { ...answeringHost(clock.wheel), kind, ...asks };
  const client = new ScriptedClient(version);
  const relay = new Relay(host, client, headOf('request', 'GET / HTTP/1.1\r\nHost: app\r\n\r\n'));
  context.after(() => cluster.close());
  return {
    relay,
    cluster,
    client,
    calls,
    retryBudget,
    configured(): void {
      known = true;
      configured();
    },
    /** The newest attempt. */
    get last(): ScriptedCall {
      const call = calls.at(-1);
      if (call === undefined) throw new Error('there was no attempt');
      return call;
    },
    /** A request with this body, or of so many bytes that are still to come. */
    request(method = 'GET', body: string | number = '', ...lines: string[]): void {
      const bytes = typeof body === 'number' ? body : body.length;
      const length = method === 'GET' ? '' : `Content-Length: ${bytes}\r\n`;
      const more = lines.map((line) => `${line}\r\n`).join('');
      relay.onRequest(headOf('request', `${method} / HTTP/1.1\r\nHost: app\r\n${length}${more}\r\n`));
      if (typeof body === 'number') return;
      if (body !== '') this.data(body);
      relay.onRequestEnd(undefined);
    },
    data(text: string): void {
      const bytes = Buffer.from(text, 'latin1');
      relay.onRequestData(bytes, 0, bytes.length);
    },
    /** So many ms pass; all that is due happens. */
    pass(ms: number): void {
      clock.leap(ms);
      context.mock.timers.tick(ms);
    },
    /** What is counted of requests under way. */
    counted: () => ({
      requests: cluster.use.requests,
      inFlight: cluster.endpoints.reduce((sum, { inFlight }) => sum + inFlight, 0),
    }),
  };
}
