import { createHash } from 'node:crypto';
import { type EventsV1Event, V1MicroTime } from '@kubernetes/client-node';
import { formatProblem } from '../../protocol/problem.ts';
import type { ObjectProblem } from '../registry/kubernetes/object-problem.ts';

const CONTROLLER = 'tulle.dev/control-plane';
/** Of events.k8s.io/v1, in bytes. */
const MAX_NOTE = 1_024;
const MAX_NAME = 200;
/** Where Events about what belongs to no namespace are. */
const NO_NAMESPACE = 'default';

/** What is told of a problem, and where. */
export interface ObjectEvent {
  /** The same for the same problem, whoever tells it: it is told once. */
  readonly name: string;
  readonly namespace: string;
  readonly reason: string;
  readonly note: string;
}

export function objectEvent({ reference, problem, reason = 'Invalid' }: ObjectProblem): ObjectEvent {
  const note = shortened(formatProblem(problem));
  const own = reason === 'Invalid' && problem.field.startsWith('annotations.') ? 'InvalidAnnotation' : reason;
  const hash = createHash('sha256').update(`${reference.uid} ${own} ${note}`).digest('hex').slice(0, 16);
  return {
    name: `${reference.name.slice(0, MAX_NAME)}.${hash}`,
    namespace: reference.namespace ?? NO_NAMESPACE,
    reason: own,
    note,
  };
}

/** The Event object of a problem that is told for the first time. */
export function newEvent(told: ObjectEvent, { reference }: ObjectProblem, instance: string): EventsV1Event {
  const { apiVersion, kind, namespace, name, uid } = reference;
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: {
      name: told.name,
      namespace: told.namespace,
      labels: { 'app.kubernetes.io/managed-by': 'tulle' },
    },
    eventTime: new V1MicroTime(),
    type: 'Warning',
    reason: told.reason,
    action: 'Check',
    note: told.note,
    regarding: { apiVersion, kind, name, uid, ...(namespace !== undefined && { namespace }) },
    reportingController: CONTROLLER,
    reportingInstance: instance,
  };
}

/** A character that is cut in two is left out. */
function shortened(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= MAX_NOTE) return text;
  return `${new TextDecoder().decode(bytes.subarray(0, MAX_NOTE - 6)).replace(/\uFFFD$/, '')}...`;
}
