import type { Problem } from '../../../protocol/problem.ts';
import type { BackendTlsFault } from './checked-backend-tls.ts';
import type { Fault } from './checked-listener.ts';
import type { ClientCertificateFault } from './client-certificate.ts';
import type { ObjectReference } from './object-reference.ts';

/** Something wrong in an object of the cluster: for an Event, for its status, for the log. */
export interface ObjectProblem {
  readonly reference: ObjectReference;
  readonly problem: Problem;
  /** Of a route or policy: the reason of its condition, in the Gateway API's words. */
  readonly reason?: ConditionReason;
  /** Of a route: which of its parentRefs it is about; absent: all. */
  readonly parent?: number;
}

export type ConditionReason =
  | 'BackendNotFound'
  | 'RefNotPermitted'
  | 'InvalidKind'
  | 'NoMatchingParent'
  | 'NotAllowedByListeners'
  | 'NoMatchingListenerHostname'
  | Fault['reason']
  | BackendTlsFault['reason']
  | ClientCertificateFault['reason']
  | 'UnsupportedValue'
  | 'TargetNotFound'
  | 'Invalid';
