/** What is counted of one quota. Plain numbers: they are read when somebody scrapes. */
export class QuotaNumbers {
  admitted = 0;
  refused = 0;
  /** Of a dry run: requests that would have been refused. */
  dryRun = 0;
  /** Requests that were decided without the store, by `on-outage`; among the admitted and refused too. */
  outage = 0;
  /** Requests that waited for the store. */
  waited = 0;
  /** Messages to the store. */
  draws = 0;
  /** Requests that were counted as one with others, since there were too many subjects. */
  overflow = 0;
}
