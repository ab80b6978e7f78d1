import { scriptIn } from './kubectl.ts';

/** What became of one request. */
export interface Answer {
  /** 0: there was no answer. */
  readonly status: number;
  /** Of Tulle's reasons, or of what failed without an answer, like ECONNRESET; else ''. */
  readonly reason: string;
  readonly text: string;
}

/** Runs in the pod, and prints the answers as JSON. */
const SCRIPT = `
  import { request } from 'node:http';
  const [urls, headers, together] = PARAMETERS;
  const ask = (url) => new Promise((resolve) => {
    const failed = ({ code, message }) => resolve({ status: 0, reason: code ?? message, text: message });
    const asking = request(url, { headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part) => { text += part; }).on('error', failed);
      response.on('end', () => resolve({ status: response.statusCode, reason: response.headers['tulle-reason'] ?? '', text }));
    });
    asking.on('error', failed).end();
  });
  const answers = [];
  if (together) answers.push(...(await Promise.all(urls.map(ask))));
  else for (const url of urls) answers.push(await ask(url));
  console.log(JSON.stringify(answers));
  process.exit();
`;

/** Asks URLs from the application's container of a pod, one after the other, and returns what was answered. */
export function askFrom(
  namespace: string,
  pod: string,
  urls: readonly string[],
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer[]> {
  return run(namespace, pod, [urls, headers, false]);
}

/** The same all at once. */
export function askTogetherFrom(namespace: string, pod: string, urls: readonly string[]): Promise<Answer[]> {
  return run(namespace, pod, [urls, {}, true]);
}

async function run(namespace: string, pod: string, parameters: readonly unknown[]): Promise<Answer[]> {
  const script = SCRIPT.replace('PARAMETERS', () => JSON.stringify(parameters));
  return JSON.parse(await scriptIn(namespace, pod, 'app', script)) as Answer[];
}

/** The name of the pod of the shop's program that gave an answer. */
export function podOf({ text }: Answer): string {
  return (JSON.parse(text) as { pod: string }).pod;
}
