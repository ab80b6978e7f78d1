import { spawnSync } from 'node:child_process';
import { chmodSync, globSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { build, type Metafile, type Plugin } from 'esbuild';

/**
 * `node build.ts [--out DIR]` bundles the command line and the sidecar's mesh reader into dist/,
 * dependencies included. Commands are chunks of their own, so that each start loads only what it runs.
 */
const { values } = parseArgs({ options: { out: { type: 'string', default: 'dist' } } });
const root = import.meta.dirname;
const out = resolve(values.out);
const fresh = `${out}.new`;
const oldest = oldestNode();

rmSync(fresh, { recursive: true, force: true });
const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: { 'start-tulle': 'cli/bin.ts', 'start-mesh-reader': 'sidecar/config/mesh-reader.ts' },
  outdir: fresh,
  bundle: true,
  plugins: [namedExportsOfLazyPackages()],
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: `node${oldest}`,
  // Names stay: without them a start is no faster, and a stack trace in a log says nothing.
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none',
  metafile: true,
  chunkNames: '[name]-[hash]',
  // Some dependencies are CommonJS and ask for require at run time.
  banner: {
    js: "import { createRequire as tulleRequire } from 'node:module'; const require = tulleRequire(import.meta.url);",
  },
});
refuseOutside(metafile);
writeFileSync(join(fresh, 'tulle.js'), `#!/usr/bin/env node\n${starter('start-tulle.js')}`);
writeFileSync(join(fresh, 'mesh-reader.js'), starter('start-mesh-reader.js'));
chmodSync(join(fresh, 'tulle.js'), 0o755);
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

/**
 * `await import('pino')` of a CommonJS package: in chunks of its own esbuild gives it a default export
 * only, where Node gives its names too. The names are asked of Node, and exported by a module between.
 */
function namedExportsOfLazyPackages(): Plugin {
  return {
    name: 'named-exports-of-lazy-packages',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^[^./]/ }, ({ kind, path, importer }) => {
        const isOurs = kind === 'dynamic-import' && !importer.includes('node_modules') && !isBuiltin(path);
        return isOurs ? { path, namespace: 'lazy' } : undefined;
      });
      onLoad({ filter: /.*/, namespace: 'lazy' }, async ({ path }) => {
        const names = Object.keys((await import(path)) as object).filter((name) => /^\w+$/.test(name));
        return { contents: `export { ${names.join(', ')} } from '${path}';`, resolveDir: root };
      });
    },
  };
}

/**
 * What a process starts with. It is written for any Node, so that an old one can say what is wrong; and
 * it keeps compiled code beside the bundle: a third of a start goes into compiling otherwise.
 */
function starter(chunk: string): string {
  return `import module from 'node:module';
import { fileURLToPath } from 'node:url';
if (Number.parseInt(process.versions.node, 10) < ${oldest}) {
  console.error('tulle: Node ${oldest} or newer is needed, and this is ' + process.version);
  process.exitCode = 1;
} else {
  module.enableCompileCache(fileURLToPath(new URL('./compile-cache', import.meta.url)));
  await import('./${chunk}');
}
`;
}

/** Throws an Error if the bundle needs a package from where it runs. */
function refuseOutside({ outputs }: Metafile): void {
  const imports = Object.values(outputs).flatMap((output) => output.imports);
  const outside = imports.filter(({ external, path }) => external === true && !isBuiltin(path));
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
