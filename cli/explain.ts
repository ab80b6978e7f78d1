import { request } from 'undici';
import { addressOption } from './flags.ts';

/** Asks data planes what they know of a request, and prints it in words. */
export async function explainCommand(id: string, options: { admin: string[] }): Promise<void> {
  let known = 0;
  for (const admin of options.admin) {
    const address = addressOption('--admin', admin);
    const { statusCode, body } = await request(`http://${address}/explain/${encodeURIComponent(id)}`, {
      headers: { accept: 'text/plain' },
      headersTimeout: 5000,
    }).catch((error: Error) => {
      throw new Error(`--admin ${address} does not answer: ${error.message}`);
    });
    const text = await body.text();
    if (statusCode !== 200) continue;
    known++;
    console.log(options.admin.length > 1 ? `${address}\n${text}` : text);
  }
  if (known === 0)
    throw new Error(
      `no data plane that was asked remembers request "${id}"; each keeps its newest requests only`,
    );
}
