import type { TrafficSettings } from '../../protocol/traffic-policy.ts';

const HIDDEN = '***';

/** Settings as they are shown: what they write into headers, or wait for in one, may be a credential. */
export function shownSettings<T extends Partial<TrafficSettings>>(settings: T): T {
  const { rewrites, directResponse, faults } = settings;
  return {
    ...settings,
    ...(rewrites !== undefined && {
      rewrites: rewrites.map((one) => (one.what === 'path' ? one : { ...one, replacement: HIDDEN })),
    }),
    ...(directResponse !== undefined && {
      directResponse: {
        ...directResponse,
        headers: directResponse.headers.map(([name]) => [name, HIDDEN] as const),
      },
    }),
    ...(faults !== undefined && {
      faults: faults.map((one) =>
        one.header?.value === undefined ? one : { ...one, header: { ...one.header, value: HIDDEN } },
      ),
    }),
  };
}
