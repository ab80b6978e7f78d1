import { Command } from 'commander';
import { VERSION } from '../protocol/version.ts';
import { SIDECAR_FLAGS } from './sidecar-flags.ts';

/** Where Tulle runs: its own pods are told. */
const SYSTEM = process.env.POD_NAMESPACE ?? 'tulle-system';
const CONTROL_PLANE = `control-plane.${SYSTEM}.svc:7400`;

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
    .option('--mesh <mesh.yaml>', 'the mesh; followed as it changes')
    .option('--state <dir>', 'where the authority keeps its key')
    .option('--kubernetes', 'serve the cluster of this pod, or of KUBECONFIG, instead of --mesh and --state')
    .option(
      '--namespace <name>',
      'with --kubernetes: where it runs (default: POD_NAMESPACE, or tulle-system)',
    )
    .option('--trust-domain <name>', 'with --kubernetes: name of the mesh in certificates', 'cluster.local')
    .option(
      '--namespace-selector <labels>',
      'with --kubernetes: only these namespaces get the trust bundle, like mesh=blue',
    )
    .option(
      '--listen <host:port>',
      'where data planes connect (default: 127.0.0.1:7400, with --kubernetes *:7400)',
    )
    .option('--health <host:port>', 'with --kubernetes: /livez, /readyz and /metrics (default: *:4191)')
    .option('--ca-cert <file>', 'with --kubernetes: a certificate to sign with, followed by its chain')
    .option('--ca-key <file>', 'its key')
    .option('--ca-roots <file>', 'the roots that are trusted')
    .option('--lease <duration>', 'with --kubernetes: how long a leader that is gone stays the leader', '15s')
    .option('--stop-delay <duration>', 'with --kubernetes: how long it serves after SIGTERM', '3s')
    .option('--leaf-life <duration>', 'life of certificates', '24h')
    .option(
      '--quota-store <address>',
      'with --kubernetes: where quotas are counted: memory, redis://, redis+sentinel:// or redis+cluster:// (default: memory)',
    )
    .option(
      '--quota-parts <count>',
      'with --kubernetes and without Redis: so many replicas count apart, each its part of every quota',
      '1',
    )
    .option('--redis-password-file <file>', 'password of Redis; without it TULLE_REDIS_PASSWORD')
    .option(
      '--redis-sentinel-password-file <file>',
      'password of its Sentinels; without it TULLE_REDIS_SENTINEL_PASSWORD',
    )
    .option('--redis-cert-file <file>', 'certificate for a Redis that asks for one')
    .option('--redis-key-file <file>', 'its key')
    .option(
      '--redis-ca-file <file>',
      'who signs the certificates of rediss://; without it TULLE_REDIS_CA, as PEM',
    )
    .option('--no-gateways', 'with --kubernetes: provisions nothing for Gateways')
    .option(
      '--gateway-image <reference>',
      'with --kubernetes: image of the proxies of Gateways',
      `tulle:${VERSION}`,
    )
    .option('--gateway-image-pull-policy <policy>', 'Always, IfNotPresent or Never')
    .option(
      '--gateway-service-type <type>',
      'Service of each Gateway: LoadBalancer, NodePort or ClusterIP',
      'LoadBalancer',
    )
    .option('--gateway-replicas <count>', 'proxies of each Gateway', '2')
    .option('--gateway-cpu-request <quantity>', 'what each of them asks for, unless annotated', '100m')
    .option('--gateway-memory-request <quantity>', 'what each of them asks for, unless annotated', '128Mi')
    .option('--gateway-max-replicas <count>', 'with a HorizontalPodAutoscaler: up to so many')
    .option(
      '--gateway-control-plane <host:port>',
      'what proxies of Gateways are told (default: control-plane.NAMESPACE.svc:7400)',
    )
    .option('--log-level <level>', 'debug, info, warn or error', 'info')
    .action(async (options) => (await import('./control-plane.ts')).controlPlaneCommand(options));

  program
    .command('injector')
    .description('serve the admission webhook that puts the mesh into pods')
    .option('--image <reference>', 'image of the proxy', `tulle:${VERSION}`)
    .option('--image-pull-policy <policy>', 'Always, IfNotPresent or Never')
    .option('--listen <host:port>', 'where API servers call (default: *:8443)')
    .option('--health <host:port>', 'readiness, metrics (default: *:4191)')
    .option('--namespace <name>', 'where Tulle runs, and the certificate is kept', SYSTEM)
    .option('--service <name>', 'the Service that API servers call', 'injector')
    .option('--certificate-name <name...>', 'more names or addresses that the certificate holds for')
    .option('--control-plane <host:port>', 'what proxies are told', CONTROL_PLANE)
    .option(
      '--configuration <name>',
      'the webhook configurations to keep the certificate in',
      'tulle-injector',
    )
    .option('--cni', 'a CNI plugin captures the traffic: no init container does')
    .option('--proxy-cpu-request <quantity>', 'what proxies ask for, unless annotated', '50m')
    .option('--proxy-memory-request <quantity>', 'what proxies ask for, unless annotated', '96Mi')
    .option('--linger <duration>', 'how long it answers after SIGTERM, until API servers know; 0: not', '5s')
    .option('--log-level <level>', 'debug, info, warn or error', 'info')
    .action(async (options) => (await import('./injector.ts')).injectorCommand(options));

  program
    .command('inject')
    .description('put the mesh into the pods of manifests, and print them')
    .argument('<file>', 'YAML documents; -: standard input')
    .option('--image <reference>', 'image of the proxy', `tulle:${VERSION}`)
    .option('--control-plane <host:port>', 'what proxies are told', CONTROL_PLANE)
    .option('--kubernetes-version <version>', 'the oldest cluster that they are for', '1.30')
    .option('--cni', 'a CNI plugin captures the traffic: no init container does')
    .action(async (file, options) => (await import('./inject.ts')).injectCommand(file, options));

  program
    .command('uninject')
    .description('take out of manifests what inject put in, and print them')
    .argument('<file>', 'YAML documents; -: standard input')
    .action(async (file) => (await import('./uninject.ts')).uninjectCommand(file));

  program
    .command('sidecar-wait')
    .description('wait until the data plane of this pod is ready')
    .option('--health <port>', 'its health port', '4191')
    .option('--limit <duration>', 'how long to wait', '2m')
    .action(async (options) => (await import('./sidecar-wait.ts')).sidecarWaitCommand(options));

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
    .command('capture')
    .description(
      "redirect a pod's connections to its proxy (in this network namespace; never on a node itself)",
    )
    .option('--inbound-port <port>', 'where the proxy takes connections to the pod', '4143')
    .option('--outbound-port <port>', 'where the proxy takes connections out of the pod', '4140')
    .option('--proxy-uid <uid>', "the proxy's user, whose connections are not redirected", '2102')
    .option('--skip-inbound-ports <ports>', 'ports of the pod that are left alone, like 25,9000-9010', '')
    .option('--skip-outbound-ports <ports>', 'ports elsewhere that are left alone', '')
    .option('--skip-outbound-cidrs <cidrs>', 'addresses elsewhere that are left alone, like 10.0.0.0/8', '')
    .option('--dry-run', 'print the rules and change nothing')
    .action(async (options) => (await import('./capture.ts')).captureCommand(options));

  program
    .command('check')
    .description(
      'check a mesh.yaml, or a cluster before and after an installation, and tell all that is wrong',
    )
    .argument('[mesh.yaml]')
    .option('--cluster', 'check the cluster of KUBECONFIG instead of a file')
    .option('--context <name>', 'with --cluster: another context of KUBECONFIG')
    .option('--installed', 'with --cluster: a mesh that is not there is an error')
    .option('--json', 'problems as JSON')
    .action(async (file, options) => {
      if (options.cluster) await (await import('./check-cluster.ts')).checkClusterCommand(options);
      else if (file === undefined) throw new Error('write the mesh.yaml to check, or --cluster');
      else (await import('./check.ts')).checkCommand(file, options);
    });

  program
    .command('install')
    .description('print the manifests of the mesh, for kubectl apply --server-side -f -')
    .option('--set <name=value>', "set a value of the chart, in Helm's grammar; repeatable", collect, [])
    .option('--values <file>', 'values of the chart, laid over its own; repeatable', collect, [])
    .option('--profile <name>', 'ha (several zones) or dev (one of each)')
    .option('--crds <which>', 'CustomResourceDefinitions: with, without or only', 'with')
    .option(
      '--api-versions <group/version/kind>',
      'what the cluster serves, as for helm template; repeatable',
      collect,
      [],
    )
    .action(async (options) => (await import('./install.ts')).installCommand(options));

  program
    .command('explain')
    .description('tell what became of a request, and why')
    .argument('<request-id>')
    .requiredOption('--admin <host:port...>', 'admin ports of the data planes to ask')
    .action(async (id, options) => (await import('./explain.ts')).explainCommand(id, options));

  program
    .command('shop-service', { hidden: true })
    .description('one of the services of examples/shop')
    .argument('<name>')
    .option('--port <n>', 'where it listens', '8080')
    .option('--calls <url,...>', 'what each request calls', '')
    .option('--tag <text>', 'told in each answer', 'v1')
    .option('--slow <ms>', 'added to each answer', '0')
    .option('--fail <share>', 'share of requests answered 503, 0 to 1', '0')
    .action(async (name, options) => (await import('./shop/service.ts')).shopServiceCommand(name, options));

  program
    .command('shop-traffic', { hidden: true })
    .description('steady requests, and what became of them')
    .argument('<url>')
    .option('--rate <n>', 'requests a second', '20')
    .option('--count <n>', 'end after so many')
    .option('--wait <seconds>', 'so long it may take until the first is answered', '0')
    .action(async (url, options) => (await import('./shop/traffic.ts')).shopTrafficCommand(url, options));

  program
    .command('version')
    .description('print the version')
    .action(() => console.log(VERSION));
  return program;
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}
