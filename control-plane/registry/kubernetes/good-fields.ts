import type { SettingsWithProblems } from '../../../protocol/annotations/parse.ts';
import { DEFAULT_SETTINGS } from '../../../protocol/default-settings.ts';
import { type Problem, showValue } from '../../../protocol/problem.ts';
import type { TrafficSettings } from '../../../protocol/traffic-policy.ts';

/** Texts of annotations or of a policy's fields, by name. */
export type Fields = Readonly<Record<string, string>>;

/** How fields are read, and the name of the field that a problem is about. */
export interface FieldReader {
  read(fields: Fields, base: TrafficSettings): SettingsWithProblems;
  fieldOf(problem: Problem): string;
}

/**
 * Of what is written, what can be used: in place of a wrong value stands the last good one of the same object
 * (`lastGood`), or nothing, so that what is more general holds. The last good values are known for as long as
 * this control plane has run.
 */
export function goodFields(
  written: Fields,
  lastGood: Fields,
  reader: FieldReader,
): { fields: Fields; problems: Problem[] } {
  const { problems } = reader.read(written, DEFAULT_SETTINGS);
  const fields: Record<string, string> = { ...written };
  const told = problems.map((problem) => {
    const field = reader.fieldOf(problem);
    if (problem.severity !== 'error' || fields[field] === undefined) return problem;
    const good = lastGood[field];
    if (good === undefined) {
      delete fields[field];
      return problem;
    }
    fields[field] = good;
    return {
      ...problem,
      meant: `${problem.meant}; until then the last good value, ${showValue(good)}, holds`,
    };
  });
  return { fields, problems: told };
}
