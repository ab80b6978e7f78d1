import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { meshPair } from '../fixture/mesh-pair.ts';
import type { Target } from './calls.ts';
import { runGoClient, startGoServer } from './go-interop.ts';
import { CLIENT_CASES } from './interop-client.ts';
import { startInteropServer } from './interop-server.ts';

/**
 * gRPC's interoperability suite (https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md)
 * with clients and servers of two languages, once without anything between them, which shows what the
 * programs do by themselves, and once through both sidecars.
 *
 * Left out, since a proxy has no part in it or the programs do not have it:
 * - compute_engine_creds, service_account_creds, jwt_token_creds, oauth2_auth_token, per_rpc_creds,
 *   google_default_credentials, compute_engine_channel_credentials: they need accounts of a cloud, and are
 *   metadata to a proxy, which custom_metadata covers;
 * - client_compressed_unary, server_compressed_unary, client_compressed_streaming,
 *   server_compressed_streaming: Go's programs do not have them; a message's compression is inside of DATA;
 * - cacheable_unary: neither gRPC for Go nor grpc-js sends GET;
 * - orca_oob: its client must see one server at each address of a name, which a mesh does not promise.
 */
const CASES = [
  'empty_unary',
  'large_unary',
  'client_streaming',
  'server_streaming',
  'ping_pong',
  'empty_stream',
  'timeout_on_sleeping_server',
  'cancel_after_begin',
  'cancel_after_first_response',
  'status_code_and_message',
  'special_status_message',
  'custom_metadata',
  'unimplemented_method',
  'unimplemented_service',
  'rpc_soak',
  'channel_soak',
] as const;
/** Go's server tells no id, which this case asks for. */
const NEEDS_SERVER_ID = 'pick_first_unary';
/** Load reports in trailers: Go's programs alone have them. */
const NEEDS_ORCA = 'orca_per_rpc';

/** Of one case; ms. */
const LIMIT = { timeout: 40_000 };

const SERVERS = { Go: startGoServer, JavaScript: startInteropServer };
type Language = keyof typeof SERVERS;

/** How each language runs a case. */
const CLIENTS: Readonly<Record<Language, (target: Target, name: string) => Promise<void>>> = {
  Go: ({ address }, name) => runGoClient(address, name),
  JavaScript: (target, name) => {
    const run = CLIENT_CASES[name];
    assert.ok(run !== undefined, `there is no case ${name}`);
    return run(target);
  },
};

function casesOf(client: Language, server: Language): string[] {
  return [
    ...CASES,
    ...(server === 'JavaScript' ? [NEEDS_SERVER_ID] : []),
    ...(client === 'Go' && server === 'Go' ? [NEEDS_ORCA] : []),
  ];
}

/** Go's client sends the address that it calls as authority: a listener for the one service takes its calls. */
async function targetsThroughMesh(
  context: TestContext,
  server: Language,
): Promise<Readonly<Record<Language, Target>>> {
  const application = await SERVERS[server](context);
  const mesh = await meshPair(
    context,
    { name: 'interop', application, protocol: 'grpc' },
    { byAddress: true },
  );
  return {
    Go: { address: mesh.service },
    JavaScript: { address: mesh.outbound, authority: 'interop.shop' },
  };
}

for (const server of ['Go', 'JavaScript'] as const) {
  for (const client of ['Go', 'JavaScript'] as const) {
    test(`without a proxy: ${client}'s client and ${server}'s server`, async (context) => {
      const target = { address: await SERVERS[server](context) };
      for (const name of casesOf(client, server)) {
        await context.test(name, LIMIT, () => CLIENTS[client](target, name));
      }
    });

    test(`through both sidecars: ${client}'s client and ${server}'s server`, async (context) => {
      const target = (await targetsThroughMesh(context, server))[client];
      for (const name of casesOf(client, server)) {
        await context.test(name, LIMIT, () => CLIENTS[client](target, name));
      }
    });
  }
}
