import type { EndpointLoad } from './endpoint-load.ts';

/**
 * Draws an index in proportion to weight in constant time (alias method: M. D. Vose, "A linear algorithm
 * for generating random numbers with a given distribution", 1991). The table is kept while the array is
 * the same one: see `Balancer.pick`.
 */
export class WeightedDraw {
  /** All weights are the same: the table is not needed. */
  uniform = true;
  /** Mean of the weights. */
  mean = 1;
  private of: readonly EndpointLoad[] | undefined = undefined;
  private keep = new Float64Array(0);
  private alias = new Int32Array(0);
  private readonly random: () => number;

  constructor(random: () => number) {
    this.random = random;
  }

  /** Makes `draw` draw from `endpoints`, of which there is at least one. */
  prepare(endpoints: readonly EndpointLoad[]): void {
    if (endpoints !== this.of) this.build(endpoints);
  }

  draw(): number {
    const at = this.random() * this.keep.length;
    const index = Math.floor(at);
    return at - index < (this.keep[index] as number) ? index : (this.alias[index] as number); // both below the length
  }

  /** One that is not `avoid` where there is one; `avoid` may be none of them. */
  drawOther(endpoints: readonly EndpointLoad[], avoid: EndpointLoad | undefined): number {
    let index = this.draw();
    for (let again = 0; again < 8 && endpoints[index] === avoid; again++) index = this.draw();
    return endpoints[index] === avoid ? (index + 1) % endpoints.length : index;
  }

  private build(endpoints: readonly EndpointLoad[]): void {
    this.of = endpoints;
    const count = endpoints.length;
    let total = 0;
    for (const { weight } of endpoints) total += weight;
    const first = endpoints[0]?.weight ?? 1;
    this.uniform = total <= 0 || endpoints.every(({ weight }) => weight === first);
    this.mean = total > 0 ? total / count : 1;
    this.keep = new Float64Array(count).fill(1);
    this.alias = new Int32Array(count);
    if (!this.uniform) this.fill(endpoints);
  }

  private fill(endpoints: readonly EndpointLoad[]): void {
    const { keep, alias, mean } = this;
    const small: number[] = [];
    const large: number[] = [];
    for (const [index, { weight }] of endpoints.entries()) {
      keep[index] = weight / mean;
      (weight < mean ? small : large).push(index);
    }
    for (;;) {
      const less = small.pop();
      const more = large.at(-1);
      if (less === undefined || more === undefined) break;
      alias[less] = more;
      const left = (keep[more] as number) - (1 - (keep[less] as number)); // indices of the array
      keep[more] = left;
      if (left < 1) {
        large.pop();
        small.push(more);
      }
    }
    // What remains is whole but for rounding.
    for (const index of large) keep[index] = 1;
  }
}
