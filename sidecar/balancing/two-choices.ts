import type { EndpointLoad } from './endpoint-load.ts';
import { WeightedDraw } from './weighted-draw.ts';

/**
 * Draws the two endpoints of which the cheaper is taken. Equal weights: two different ones. Unequal: each
 * by weight, perhaps the same twice, so that a share follows the weight when nothing is busy: weight as a
 * part of the cost would starve the lighter of two idle endpoints, and two different ones of two would
 * make weight mean nothing.
 */
export class TwoChoices {
  /** Indices drawn last. */
  first = 0;
  second = 0;
  /** Mean weight of the endpoints drawn from. */
  mean = 1;
  private readonly random: () => number;
  private readonly weighted: WeightedDraw;

  constructor(random: () => number) {
    this.random = random;
    this.weighted = new WeightedDraw(random);
  }

  /** Needs two endpoints or more. `avoid` is drawn only if there is no other. */
  draw(endpoints: readonly EndpointLoad[], avoid: EndpointLoad | undefined): void {
    const { weighted } = this;
    weighted.prepare(endpoints);
    this.mean = weighted.mean;
    if (!weighted.uniform) {
      this.first = weighted.drawOther(endpoints, avoid);
      this.second = weighted.drawOther(endpoints, avoid);
      return;
    }
    const count = endpoints.length;
    let first = Math.floor(this.random() * count);
    if (endpoints[first] === avoid) first = (first + 1) % count;
    let second = Math.floor(this.random() * (count - 1));
    if (second >= first) second++;
    if (endpoints[second] === avoid) {
      second = (second + 1) % count;
      if (second === first && count > 2) second = (second + 1) % count;
    }
    this.first = first;
    this.second = second;
  }
}
