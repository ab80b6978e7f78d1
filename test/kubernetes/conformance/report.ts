import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

/** What is read of a report of the suite (gateway.networking.k8s.io/v1 ConformanceReport). */
export interface Report {
  readonly gatewayAPIVersion: string;
  readonly gatewayAPIChannel: string;
  readonly profiles: readonly {
    readonly name: string;
    readonly core: Outcome;
    readonly extended?: Outcome & {
      readonly supportedFeatures?: readonly string[];
      readonly unsupportedFeatures?: readonly string[];
    };
  }[];
}

interface Outcome {
  readonly result: string;
  readonly statistics: { readonly Passed: number; readonly Failed: number; readonly Skipped: number };
  readonly failedTests?: readonly string[];
  readonly skippedTests?: readonly string[];
}

const FOLDER = join(import.meta.dirname, '../../../docs/conformance');

/** A report that is kept in docs/conformance. */
export function recorded(name: string): Report {
  return parse(readFileSync(join(FOLDER, `${name}.yaml`), 'utf8')) as Report;
}

/** What a report says, without when and by whom. */
export function statisticsOf({ gatewayAPIVersion, gatewayAPIChannel, profiles }: Report): object {
  const sorted = [...profiles].sort((a, b) => (a.name < b.name ? -1 : 1));
  return { gatewayAPIVersion, gatewayAPIChannel, profiles: sorted };
}
