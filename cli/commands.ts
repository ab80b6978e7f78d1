import { Command } from 'commander';
import { VERSION } from '../protocol/version.ts';
import { SIDECAR_FLAGS } from './sidecar-flags.ts';

/** The commands and their help. `tulle sidecar` itself is started by main.ts. */
export function commands(): Command {
  const program = new Command('tulle')
    .description('A service mesh that explains itself')
    .version(VERSION)
    .showHelpAfterError('(tulle --help lists the commands)');

  program
    .command('demo')
    .description('run a whole small mesh on this machine, and watch it')
    .option('--seconds <n>', 'end by itself after so many seconds')
    .option('--rps <n>', 'requests a second into the gateway, 1 to 500', '100')
    .option('--json', 'print a summary as JSON at the end, and nothing else')
    .option('--no-color', 'plain text')
    .action(async (options) => (await import('./demo.ts')).demoCommand(options));

  const sidecar = program
    .command('sidecar')
    .description('run a data plane: beside a workload, or at the edge');
  for (const { name, argument, description, initial } of SIDECAR_FLAGS) {
    sidecar.option(argument === undefined ? `--${name}` : `--${name} ${argument}`, description, initial);
  }

  program
    .command('control-plane')
    .description('serve registry, certificates and policy to data planes')
    .requiredOption('--mesh <mesh.yaml>', 'the mesh; followed as it changes')
    .requiredOption('--state <dir>', 'where the authority keeps its key')
    .option('--listen <host:port>', 'where data planes connect', '127.0.0.1:7400')
    .option('--leaf-life <duration>', 'life of certificates', '24h')
    .option('--log-level <level>', 'debug, info, warn or error', 'info')
    .action(async (options) => (await import('./control-plane.ts')).controlPlaneCommand(options));

  program
    .command('token')
    .description('make a join token for a workload')
    .argument('<namespace/serviceaccount>')
    .requiredOption('--state <dir>', "the control plane's state")
    .option('--ttl <duration>', 'how long it may be used', '1h')
    .action(async (workload, options) => (await import('./token.ts')).tokenCommand(workload, options));

  program
    .command('identity')
    .description('write certificate, key and bundle files, for data planes without a control plane')
    .argument('<namespace/serviceaccount>')
    .requiredOption(
      '--out <dir>',
      'where to write cert.pem, key.pem and bundle.pem; one authority is kept there',
    )
    .option('--trust-domain <name>', 'name of the mesh in certificates', 'mesh.local')
    .action(async (workload, options) => (await import('./identity.ts')).identityCommand(workload, options));

  program
    .command('check')
    .description('check a mesh.yaml and tell all that is wrong')
    .argument('<mesh.yaml>')
    .option('--json', 'problems as JSON')
    .action(async (file, options) => (await import('./check.ts')).checkCommand(file, options));

  program
    .command('explain')
    .description('tell what became of a request, and why')
    .argument('<request-id>')
    .requiredOption('--admin <host:port...>', 'admin ports of the data planes to ask')
    .action(async (id, options) => (await import('./explain.ts')).explainCommand(id, options));

  program
    .command('version')
    .description('print the version')
    .action(() => console.log(VERSION));
  return program;
}
