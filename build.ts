import { chmodSync, rmSync, statSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { build } from 'esbuild';

/**
 * Bundles the command line and the sidecar's mesh reader into dist/, dependencies included. Commands are
 * chunks of their own, so that each start loads only what it runs.
 */
rmSync('dist', { recursive: true, force: true });
const result = await build({
  entryPoints: { tulle: 'cli/bin.ts', 'mesh-reader': 'sidecar/config/mesh-reader.ts' },
  outdir: 'dist',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node26',
  minify: true,
  keepNames: true,
  legalComments: 'none',
  metafile: true,
  chunkNames: '[name]-[hash]',
  // Some dependencies are CommonJS and ask for require at run time.
  banner: { js: "import { createRequire as tulleRequire } from 'node:module'; const require = tulleRequire(import.meta.url);" },
});
chmodSync('dist/tulle.js', 0o755);
// Started once, each entry leaves its compiled code for the starts to come.
for (const args of [['dist/tulle.js', 'version'], ['dist/tulle.js', 'check', 'docs/examples/mesh.yaml'], ['dist/tulle.js', 'sidecar'], ['dist/mesh-reader.js', 'docs/examples/mesh.yaml']]) {
  spawnSync(process.execPath, args, { stdio: 'ignore', env: { ...process.env, NODE_COMPILE_CACHE: 'dist/compile-cache' } });
}
const files = Object.keys(result.metafile.outputs);
const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0);
console.log(`dist/: ${files.length} files, ${Math.round(bytes / 1024)} KiB`);
