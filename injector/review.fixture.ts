/** An AdmissionReview as an API server sends it. */
export function reviewOf(object: unknown, more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: '705ab4f5-6393-11e8-b7cc-42010a800002',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      operation: 'CREATE',
      namespace: 'shop',
      userInfo: { username: 'x' },
      object,
      oldObject: null,
      dryRun: false,
      options: null,
      ...more,
    },
  };
}
