import { type EdgeFigures, quantile } from './edge-figures.ts';
import { EDGES } from './topology.ts';

/** Colours by ANSI codes, or none. */
export interface Paint {
  green(text: string): string;
  red(text: string): string;
  yellow(text: string): string;
  dim(text: string): string;
  bold(text: string): string;
}

export function painter(colour: boolean): Paint {
  const code = (number: number) => (text: string) => (colour ? `\u001b[${number}m${text}\u001b[0m` : text);
  return { green: code(32), red: code(31), yellow: code(33), dim: code(2), bold: code(1) };
}

function latency(value: number | undefined): string {
  return value === undefined ? '-' : value < 10 ? value.toFixed(1) : value.toFixed(0);
}

/** The table of edges; `seconds` is the window of the figures. */
export function edgeTable(
  figures: ReadonlyMap<string, EdgeFigures>,
  seconds: number,
  paint: Paint,
): string[] {
  const header = `  ${'edge'.padEnd(24)}${'rps'.padStart(8)}${'success'.padStart(10)}${'p50 ms'.padStart(9)}${'p99 ms'.padStart(9)}${'retries'.padStart(9)}   mTLS`;
  const rows = EDGES.map(({ source, destination }) => {
    const edge = figures.get(`${source} ${destination}`);
    const name = `${source} -> ${destination}`.padEnd(24);
    if (edge === undefined || edge.requests === 0)
      return `  ${name}${paint.dim('no traffic yet'.padStart(18))}`;
    const success = (1 - edge.failures / edge.requests) * 100;
    const successText = `${success.toFixed(success === 100 ? 0 : 1)} %`.padStart(10);
    const painted =
      success >= 99.9
        ? paint.green(successText)
        : success >= 95
          ? paint.yellow(successText)
          : paint.red(successText);
    const secure =
      edge.mtls === edge.requests
        ? paint.green('yes')
        : edge.mtls > 0
          ? paint.yellow('partly')
          : paint.red('NO');
    const p50 = latency(quantile(edge.buckets, 0.5)).padStart(9);
    const p99 = latency(quantile(edge.buckets, 0.99)).padStart(9);
    return `  ${name}${(edge.requests / seconds).toFixed(1).padStart(8)}${painted}${p50}${p99}${String(edge.retries).padStart(9)}   ${secure}`;
  });
  return [paint.bold(header), ...rows];
}
