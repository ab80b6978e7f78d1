/** What a scenario finds beyond its load: each has a name, and the words and unit that the report shows. */
export const figureTitles = {
  connectionRss: 'RSS KiB/conn',
  connectionUss: 'USS KiB/conn',
  rate: 'offered req/s',
  directP99Ms: 'p99 ms without proxy',
  throughP99Ms: 'p99 ms with proxy',
  addedP50Ms: 'p50 ms added',
  addedP99Ms: 'p99 ms added',
  peak: 'peak 200/s',
  goodput: '200/s at twice the peak',
  goodputShare: 'of peak, full core',
  coreShare: 'core',
  admittedP99Ms: 'p99 ms of 200s',
  unavailableShare: '503s, share of offered',
  unsentShare: 'not taken, share of offered',
  failedShare: 'failed, share of offered',
  otherShare: 'core used by others',
  adminP50Ms: 'admin p50 ms',
  adminMaxMs: 'admin max ms',
} as const;

export type FigureName = keyof typeof figureTitles;

/** The figures of one round, as far as there are any. */
export type Figures = Partial<Record<FigureName, number>>;
