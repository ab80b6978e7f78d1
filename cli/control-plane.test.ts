import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commands } from './commands.ts';

/** Why the command line is not taken. */
async function refusal(...args: string[]): Promise<string> {
  try {
    await commands().parseAsync(['control-plane', ...args], { from: 'user' });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  throw new assert.AssertionError({ message: 'it was taken' });
}

test('what does not fit together is refused with what was meant, before anything is opened', async () => {
  const needs = 'a control plane needs --mesh FILE and --state DIR, or --kubernetes';
  assert.equal(await refusal(), needs);
  assert.equal(await refusal('--mesh', 'mesh.yaml'), needs);
  assert.equal(
    await refusal('--kubernetes', '--mesh', 'mesh.yaml'),
    '--kubernetes takes the mesh from the cluster: leave --mesh and --state out',
  );
  assert.equal(
    await refusal('--kubernetes', '--ca-cert', 'tls.crt'),
    'a given signer needs all of --ca-cert, --ca-key and --ca-roots',
  );
  assert.match(await refusal('--kubernetes', '--listen', '7400'), /^--listen "7400" is not an address/);
  assert.match(await refusal('--kubernetes', '--namespace', 'a/b'), /^--namespace "a\/b" is not a name/);
  assert.equal(
    await refusal('--kubernetes', '--gateway-service-type', 'Internal'),
    '--gateway-service-type "Internal" is none of its values; write LoadBalancer, NodePort, ClusterIP',
  );
  assert.match(await refusal('--kubernetes', '--gateway-replicas', '0'), /^--gateway-replicas "0"/);
  assert.match(
    await refusal('--kubernetes', '--gateway-replicas', '3', '--gateway-max-replicas', '2'),
    /^--gateway-max-replicas "2"/,
  );
  assert.match(await refusal('--kubernetes', '--lease', 'soon'), /^--lease "soon" is not a duration/);
});
