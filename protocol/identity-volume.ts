export const IDENTITY_VOLUME = 'tulle-identity';
export const IDENTITY_FOLDER = '/var/run/tulle';
export const TOKEN_FILE = `${IDENTITY_FOLDER}/token/token`;
export const BUNDLE_FILE = `${IDENTITY_FOLDER}/trust/bundle.pem`;

/**
 * The volume of a proxy's pod: the token that proves its service account to the control plane, and the roots that prove
 * the control plane to it. In a namespace that was labelled a moment ago the ConfigMap may not be there yet: the kubelet
 * waits for it, and says so in an event.
 */
export function identityVolume() {
  return {
    name: IDENTITY_VOLUME,
    projected: {
      sources: [
        { serviceAccountToken: { audience: 'tulle', expirationSeconds: 3600, path: 'token/token' } },
        { configMap: { name: 'tulle-trust', items: [{ key: 'bundle.pem', path: 'trust/bundle.pem' }] } },
      ],
    },
  };
}
