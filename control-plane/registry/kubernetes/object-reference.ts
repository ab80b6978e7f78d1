/** What names an object in an Event or in the status of another. */
export interface ObjectReference {
  readonly apiVersion: string;
  readonly kind: string;
  /** Absent: the object belongs to no namespace. */
  readonly namespace?: string;
  readonly name: string;
  readonly uid: string;
}

/** `HTTPRoute shop/orders`. */
export function referenceText({ kind, namespace, name }: ObjectReference): string {
  return `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
}
