import { type Fault, pause } from './fault.ts';

/** No name is resolved: neither those of the endpoints of one service, nor those of the control planes. Open connections go on. */
export const loseNames: Fault = {
  name: 'lose-names',
  aim: 'names',
  lastsMs: [1_000, 5_000],
  async strike(mesh, target, lastsMs) {
    const before = mesh.lostLookups;
    const healed = mesh.impair(
      'lose-names',
      mesh.endpointsOf(target).map(({ name }) => name),
    );
    mesh.tellNames(true);
    await pause(lastsMs);
    mesh.tellNames(false);
    healed();
    const lost = mesh.lostLookups - before;
    return lost === 0 ? '' : `${lost} names were not resolved`;
  },
};
