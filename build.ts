import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, globSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { build, type Metafile, type Plugin } from 'esbuild';

/**
 * `node build.ts [--out DIR]` bundles the command line and the sidecar's mesh reader into dist/,
 * dependencies included. It is CommonJS: a start takes 15 ms less than by the loader of ES modules.
 */
const { values } = parseArgs({ options: { out: { type: 'string', default: 'dist' } } });
const root = import.meta.dirname;
const out = resolve(values.out);
const fresh = `${out}.new`;
const oldest = oldestNode();

/** Files that are loaded on their own, so that a process has in memory only what it runs. */
const APART: Readonly<Record<string, string>> = {
  './sidecar.ts': 'sidecar.js',
  './commands.ts': 'commands.js',
  './cluster-control-plane.ts': 'cluster-control-plane.js',
  '../sidecar/workers/supervisor.ts': 'supervisor.js',
  '../sidecar/workers/worker.ts': 'worker.js',
  ioredis: 'ioredis.js',
  pino: 'pino.js',
  'prom-client': 'prom-client.js',
};

/** The same, by whatever import: three commands talk to an API server, and the others would have to read its client too. */
const ALWAYS_APART: Readonly<Record<string, string>> = { '@kubernetes/client-node': 'kubernetes-client.js' };

/** What packages use where it is installed, and do without where it is not: native code, colours. */
const OPTIONAL: ReadonlySet<string> = new Set(['bufferutil', 'supports-color', 'utf-8-validate']);

/**
 * A shell runs the second line, for JavaScript it is a text and a comment: not every system's `env` can hand on
 * flags. 8 MiB: a load makes the young generation 32 MiB otherwise, which it never gives back (decision 015).
 */
const firstLines = `#!/bin/sh
':' //; exec node --max-semi-space-size=8 "$0" "$@"
`;

rmSync(fresh, { recursive: true, force: true });
const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: {
    main: 'cli/main.ts',
    sidecar: 'cli/sidecar.ts',
    commands: 'cli/commands.ts',
    'cluster-control-plane': 'cli/cluster-control-plane.ts',
    supervisor: 'sidecar/workers/supervisor.ts',
    worker: 'sidecar/workers/worker.ts',
    'read-mesh': 'sidecar/config/mesh-reader.ts',
    ioredis: 'ioredis',
    pino: 'pino',
    'prom-client': 'prom-client',
    'kubernetes-client': '@kubernetes/client-node',
  },
  outdir: fresh,
  bundle: true,
  plugins: [filesApart()],
  format: 'cjs',
  platform: 'node',
  target: `node${oldest}`,
  supported: { 'dynamic-import': false },
  // Names stay: without them a start is no faster, and a stack trace in a log says nothing.
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none',
  metafile: true,
  define: { 'import.meta.url': 'bundleUrl' },
  banner: { js: "const bundleUrl = require('node:url').pathToFileURL(__filename).href;" },
});
refuseOutside(metafile);
writeFileSync(join(fresh, 'package.json'), '{ "type": "commonjs" }\n');
writeFileSync(join(fresh, 'tulle.js'), `${firstLines}${starter('main.js')}`);
writeFileSync(join(fresh, 'mesh-reader.js'), starter('read-mesh.js'));
chmodSync(join(fresh, 'tulle.js'), 0o755);
// `tulle install` renders it.
cpSync(join(root, 'charts/tulle'), join(fresh, 'chart'), { recursive: true });
writeFileSync(join(fresh, 'licenses.txt'), licenses(metafile));
// What runs from the old bundle now finds either all of it or all of the new one.
rmSync(out, { recursive: true, force: true });
renameSync(fresh, out);

for (const args of [['check', 'docs/examples/mesh.yaml'], ['sidecar'], ['demo', '--help']]) tulle(args);
run(join(out, 'mesh-reader.js'), ['docs/examples/mesh.yaml']);
const starts = Array.from({ length: 5 }, () => tulle(['version'])).sort((a, b) => a - b);
const files = Object.values(metafile.outputs);
const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
console.log(`${values.out}/: ${files.length} files, ${Math.round(bytes / 1024)} KiB`);
console.log(`tulle version: ${starts[2]?.toFixed(0)} ms (middle of ${starts.length} starts)`);

/** The oldest major version of Node that package.json allows. */
function oldestNode(): number {
  const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    engines: { node: string };
  };
  const major = /^>=(\d+)$/.exec(engines.node)?.[1];
  if (major === undefined)
    throw new Error(`package.json: engines.node is "${engines.node}"; write it like >=24`);
  return Number(major);
}

/** Leaves `import()` of the files that stand apart to the time when they are needed. */
function filesApart(): Plugin {
  return {
    name: 'files-apart',
    setup({ onResolve }) {
      onResolve({ filter: /.*/ }, ({ kind, path, importer }) => {
        if (kind === 'entry-point' || importer.includes('node_modules')) return undefined;
        const file = ALWAYS_APART[path] ?? (kind === 'dynamic-import' ? APART[path] : undefined);
        return file === undefined ? undefined : { path: `./${file}`, external: true };
      });
    },
  };
}

/**
 * What a process starts with. It is written for any Node, so that an old one can say what is wrong; and
 * it keeps compiled code beside the bundle: a third of a start goes into compiling otherwise.
 */
function starter(file: string): string {
  return `'use strict';
if (Number.parseInt(process.versions.node, 10) < ${oldest}) {
  console.error('tulle: Node ${oldest} or newer is needed, and this is ' + process.version);
  process.exitCode = 1;
} else {
  require('node:module').enableCompileCache(require('node:path').join(__dirname, 'compile-cache'));
  require('./${file}');
}
`;
}

/** Throws an Error if the bundle needs a package from where it runs. */
function refuseOutside({ outputs }: Metafile): void {
  const imports = Object.values(outputs).flatMap((output) => output.imports);
  const ours = new Set(Object.values({ ...APART, ...ALWAYS_APART }).map((file) => `./${file}`));
  const outside = imports.filter(
    ({ external, path }) => external === true && !isBuiltin(path) && !ours.has(path) && !OPTIONAL.has(path),
  );
  if (outside.length > 0) throw new Error(`not in the bundle: ${outside.map(({ path }) => path).join(', ')}`);
}

/** The licences of what is bundled: most ask to travel with the code. */
function licenses({ inputs }: Metafile): string {
  const folders = Object.keys(inputs).map((input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0]);
  const packages = [...new Set(folders)].filter((folder) => folder !== undefined).sort();
  return packages.map((folder) => license(join(root, folder))).join(`\n${'-'.repeat(80)}\n\n`);
}

function license(folder: string): string {
  const about = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, string>;
  const [file] = globSync('{LICENSE,LICENCE,license}*', { cwd: folder }).sort();
  const text = file === undefined ? '' : readFileSync(join(folder, file), 'utf8').trim();
  return `${about.name} ${about.version} (${about.license})\n\n${text}\n`;
}

/** Runs the bundled command line; says how long it took, in ms. */
function tulle(args: readonly string[]): number {
  return run(join(out, 'tulle.js'), args);
}

function run(script: string, args: readonly string[]): number {
  const startMs = performance.now();
  spawnSync(process.execPath, [script, ...args], { cwd: root, stdio: 'ignore' });
  return performance.now() - startMs;
}
