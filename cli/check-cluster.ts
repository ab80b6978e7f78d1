import { parse } from 'yaml';
import { VERSION } from '../protocol/version.ts';
import { checkInstalled, checkLeftovers, isInstalled } from './check-cluster/after-install.ts';
import { checkBeforeInstall } from './check-cluster/before-install.ts';
import { type ClusterFacts, schemasOf } from './check-cluster/facts.ts';
import { error, type Finding, warning } from './check-cluster/finding.ts';
import { readCluster } from './check-cluster/read-cluster.ts';
import { readChart } from './install/chart.ts';

export interface CheckClusterOptions {
  readonly context?: string;
  readonly installed?: boolean;
  readonly json?: boolean;
}

const MARKS = { ok: 'ok     ', warning: 'warning', error: 'ERROR  ' } as const;

/** `tulle check --cluster`: prints what was found, with a remedy for what is wrong; exits 1 on errors. */
export async function checkClusterCommand(options: CheckClusterOptions): Promise<void> {
  const facts = await readCluster(options.context);
  const findings = checkCluster(facts, options.installed === true, Date.now());
  const errors = findings.filter(({ result }) => result === 'error').length;
  if (options.json)
    console.log(JSON.stringify({ ok: errors === 0, installed: isInstalled(facts), findings }, null, 2));
  else {
    for (const finding of findings) console.log(showFinding(finding));
    console.log(`\n${conclusion(errors, isInstalled(facts))}`);
  }
  if (errors > 0) process.exitCode = 1;
}

/** All findings: of a cluster without the mesh, whether it can be installed; else, whether it works. */
export function checkCluster(facts: ClusterFacts, mustBeInstalled: boolean, nowMs: number): Finding[] {
  const findings = checkBeforeInstall(facts);
  if (isInstalled(facts))
    findings.push(...checkInstalled(facts, { version: VERSION, crds: expectedCrds(), nowMs }));
  else findings.push(...checkLeftovers(facts));
  if (mustBeInstalled && !isInstalled(facts)) {
    findings.push(
      error('mesh', 'it is not installed', 'Install it: tulle install | kubectl apply --server-side -f -'),
    );
  }
  if (facts.unread.length > 0) {
    const [check, remedy] = [
      'what could be read',
      'Ask as a user who may read them, like one with cluster-admin.',
    ];
    findings.push(warning(check, `some was not looked at: ${facts.unread.join(', ')}`, remedy));
  }
  return findings;
}

function expectedCrds(): Map<string, string> {
  const parsed = [...readChart().crds.values()].map((text) => parse(text));
  return new Map(parsed.map((crd) => [crd.metadata.name as string, schemasOf(crd)]));
}

export function showFinding({ check, result, message, remedy }: Finding): string {
  const told = `${MARKS[result]} ${check}: ${message}`;
  return remedy === undefined ? told : `${told}\n        ${remedy}`;
}

function conclusion(errors: number, installed: boolean): string {
  if (errors > 0) return `${errors} ${errors === 1 ? 'thing is' : 'things are'} wrong.`;
  return installed ? 'The mesh works.' : 'The mesh is not installed, and can be.';
}
