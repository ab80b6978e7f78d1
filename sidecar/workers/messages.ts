import type { ConfigView, Readiness } from '../listeners/admin-views.ts';
import type { Addresses } from '../options.ts';
import type { Explanation } from '../telemetry/explanation.ts';
import { readNumbers, type WorkerNumbers } from './worker-numbers.ts';

/*
 * What a supervisor and its workers say to each other. Both come from one program, but a worker that is started
 * again after an upgrade is of the new version, so nothing is taken unread.
 */

/** Certificate, key and roots that the supervisor got for all. */
export interface IdentityMessage {
  readonly type: 'identity';
  readonly chainPem: string;
  readonly keyPem: string;
  readonly bundlePem: string;
  /** Base64. */
  readonly ticketKeys: string;
}

/** What a worker can be asked for, and what it answers. */
export interface Questions {
  ready: Readiness;
  config: ConfigView;
  certs: object;
  numbers: WorkerNumbers;
  explain: Explanation | undefined;
  recent: Explanation[];
}

export type Question = keyof Questions;

export type ToWorker =
  | { readonly type: 'start'; readonly addresses: Addresses; readonly identity?: IdentityMessage }
  | IdentityMessage
  | { readonly type: 'ask'; readonly id: number; readonly question: Question; readonly argument: string }
  | { readonly type: 'drain' };

export type ToSupervisor =
  /** It hears from now on. */
  | { readonly type: 'hello' }
  /** It accepts connections. */
  | { readonly type: 'accepting' }
  /** It could not start. */
  | { readonly type: 'failed'; readonly message: string }
  /** `body` is JSON; without it, it could not be answered. */
  | { readonly type: 'answer'; readonly id: number; readonly body?: string };

/** Characters of an answer. 5000 edges, the most that a data plane counts, are 4 million. */
export const MAX_BODY = 32 * 1024 * 1024;
const MAX_TEXT = 1024 * 1024;
/** Characters of what is asked about. */
export const MAX_ARGUMENT = 4096;
const QUESTIONS: readonly Question[] = ['ready', 'config', 'certs', 'numbers', 'explain', 'recent'];

type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isText(value: unknown, most = MAX_TEXT): value is string {
  return typeof value === 'string' && value.length <= most;
}

/** What a supervisor sent; undefined if it makes no sense. */
export function readToWorker(message: unknown): ToWorker | undefined {
  if (!isFields(message)) return undefined;
  switch (message.type) {
    case 'start':
      return readStart(message);
    case 'identity':
      return readIdentityMessage(message);
    case 'ask': {
      const { id, question, argument } = message;
      const known = QUESTIONS.find((one) => one === question);
      if (!Number.isSafeInteger(id) || known === undefined || !isText(argument, MAX_ARGUMENT))
        return undefined;
      return { type: 'ask', id: id as number, question: known, argument };
    }
    case 'drain':
      return { type: 'drain' };
    default:
      return undefined;
  }
}

function readStart({ addresses, identity }: Fields): ToWorker | undefined {
  if (!isFields(addresses)) return undefined;
  const { inbound, outbound, gateway } = addresses;
  const given = Object.entries({ inbound, outbound, gateway }).filter(([, address]) => address !== undefined);
  if (!given.every(([, address]) => isText(address))) return undefined;
  const read = identity === undefined ? undefined : readIdentityMessage(identity);
  if (identity !== undefined && read === undefined) return undefined;
  return {
    type: 'start',
    addresses: Object.fromEntries(given) as Addresses, // each a text
    ...(read !== undefined && { identity: read }),
  };
}

function readIdentityMessage(message: unknown): IdentityMessage | undefined {
  if (!isFields(message)) return undefined;
  const { chainPem, keyPem, bundlePem, ticketKeys } = message;
  if (!isText(chainPem) || !isText(keyPem) || !isText(bundlePem) || !isText(ticketKeys)) return undefined;
  return { type: 'identity', chainPem, keyPem, bundlePem, ticketKeys };
}

/** What a worker sent; undefined if it makes no sense. */
export function readToSupervisor(message: unknown): ToSupervisor | undefined {
  if (!isFields(message)) return undefined;
  switch (message.type) {
    case 'hello':
    case 'accepting':
      return { type: message.type };
    case 'failed':
      return isText(message.message) ? { type: 'failed', message: message.message } : undefined;
    case 'answer': {
      const { id, body } = message;
      if (!Number.isSafeInteger(id)) return undefined;
      if (body === undefined) return { type: 'answer', id: id as number };
      return isText(body, MAX_BODY) ? { type: 'answer', id: id as number, body } : undefined;
    }
    default:
      return undefined;
  }
}

const isList = (value: unknown): value is unknown[] => Array.isArray(value);
const isTexts = (value: unknown): boolean => isList(value) && value.every((one) => typeof one === 'string');
const isExplanation = (value: unknown): boolean =>
  isFields(value) && typeof value.id === 'string' && typeof value.at === 'number' && isList(value.attempts);

/** Whether the fields that are merged are there; others are shown as they are. */
const ANSWERS: Readonly<Record<Question, (value: unknown) => boolean>> = {
  ready: (value) =>
    isFields(value) && typeof value.ready === 'boolean' && isTexts(value.reasons) && isTexts(value.degraded),
  config: (value) =>
    isFields(value) &&
    isList(value.services) &&
    value.services.every((one) => isFields(one) && typeof one.key === 'string'),
  certs: isFields,
  numbers: (value) => readNumbers(value) !== undefined,
  explain: (value) => value === null || isExplanation(value),
  recent: (value) => isList(value) && value.every(isExplanation),
};

/** The answer to a question; undefined if there is none, or it makes no sense. */
export function readAnswer<Q extends Question>(
  question: Q,
  body: string | undefined,
): { readonly value: Questions[Q] } | undefined {
  if (body === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(body);
    if (!ANSWERS[question](value)) return undefined;
    return { value: (value ?? undefined) as Questions[Q] }; // as ANSWERS looked at it
  } catch {
    return undefined;
  }
}
