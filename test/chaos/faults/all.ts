import { expireCertificates, killControlPlane, killControlPlanes } from './control-planes.ts';
import { fillDisk } from './disk.ts';
import type { Fault } from './fault.ts';
import { freezeApplication, freezeControlPlane, freezeSidecar } from './freeze.ts';
import { killApplication, killEntry, killService, killSidecar } from './kill.ts';
import {
  garbleLink,
  halfOpenLink,
  lateLink,
  narrowLink,
  refuseLink,
  resetLink,
  silentControlPlane,
  silentLink,
} from './links.ts';
import { loseNames } from './names.ts';
import { cutRedis, freezeRedis, killRedis, lateRedis, silentRedis } from './redis.ts';

/** Every fault there is. A new one changes the schedules of all seeds. */
export const FAULTS: readonly Fault[] = [
  killApplication,
  killSidecar,
  killEntry,
  killService,
  freezeApplication,
  freezeSidecar,
  resetLink,
  refuseLink,
  halfOpenLink,
  silentLink,
  lateLink,
  narrowLink,
  garbleLink,
  loseNames,
  killControlPlane,
  killControlPlanes,
  freezeControlPlane,
  silentControlPlane,
  fillDisk,
  expireCertificates,
  killRedis,
  freezeRedis,
  silentRedis,
  cutRedis,
  lateRedis,
];
