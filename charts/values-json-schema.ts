import * as z from 'zod';
import { valuesSchema } from '../cli/install/values-schema.ts';

/** Text of charts/tulle/values.schema.json; draft 7 is what every Helm 3 reads. */
export function valuesJsonSchema(): string {
  return `${JSON.stringify(z.toJSONSchema(valuesSchema, { target: 'draft-7', io: 'input' }), null, 2)}\n`;
}
