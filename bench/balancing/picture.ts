import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Outcome, SCENARIOS, STRATEGIES, simulate } from './simulation.ts';

/**
 * Draws docs/balancing.svg and prints its table: `node bench/balancing/picture.ts`. The same each time.
 */
const WIDTH = 860;
const ROW = 20;
const LEFT = 130;
const RIGHT = 250;
/** p99 in ms at the ends of the axis, which is logarithmic. */
const FROM = 10;
const TO = 100_000;
const COLOURS = ['#0f766e', '#2563eb', '#a16207', '#6b7280', '#7c3aed', '#be185d'];

const place = (ms: number): number =>
  (Math.log(Math.min(TO, Math.max(FROM, ms)) / FROM) / Math.log(TO / FROM)) * (WIDTH - LEFT - RIGHT);

function words({ p50Ms, p99Ms, failedPercent, most }: Outcome): string {
  const failed = failedPercent > 0 ? `, ${failedPercent.toFixed(1)} % fail` : '';
  return `${p99Ms.toFixed(0)} ms (median ${p50Ms.toFixed(0)})${failed}, most ${most.toFixed(2)}`;
}

const rows: string[] = [];
const table = [
  '| scenario | strategy | median | p99 | fail | most |',
  '| --- | --- | --- | --- | --- | --- |',
];
let y = 34;
for (const scenario of SCENARIOS) {
  rows.push(`<text x="12" y="${y + 6}" font-weight="bold">${scenario}</text>`);
  y += ROW;
  for (const [index, strategy] of STRATEGIES.entries()) {
    const outcome = simulate(strategy, scenario);
    const { p50Ms, p99Ms, failedPercent, most } = outcome;
    const width = Math.max(2, place(p99Ms));
    rows.push(
      `<text x="${LEFT - 8}" y="${y + 6}" text-anchor="end">${strategy}</text>`,
      `<rect x="${LEFT}" y="${y - 6}" width="${width.toFixed(1)}" height="14" fill="${COLOURS[index]}"/>`,
      `<text x="${(LEFT + width + 6).toFixed(1)}" y="${y + 6}">${words(outcome)}</text>`,
    );
    table.push(
      `| ${scenario} | \`${strategy}\` | ${p50Ms.toFixed(1)} ms | ${p99Ms.toFixed(1)} ms | ${failedPercent.toFixed(1)} % | ${most.toFixed(2)} |`,
    );
    y += ROW;
  }
  y += ROW / 2;
}
const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" font-family="sans-serif" font-size="12">
<title>99th percentile of latency by strategy and scenario</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="12" y="18">99th percentile of latency (logarithmic) of ten endpoints at 60 % load, by strategy</text>
${rows.join('\n')}
</svg>
`;
writeFileSync(join(import.meta.dirname, '../../docs/balancing.svg'), svg);
console.log(table.join('\n'));
