import type { KeptDocument } from './kept-objects.ts';

/** What is read of a Gateway or, of its listeners, of a ListenerSet; the API server has checked their shape. */
export interface GatewaySpec {
  readonly gatewayClassName?: string;
  readonly listeners?: readonly Listener[];
  /** The ListenerSets that it takes. */
  readonly allowedListeners?: { readonly namespaces?: AllowedNamespaces };
  readonly addresses?: readonly { readonly type?: string; readonly value?: string }[];
  readonly infrastructure?: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly parametersRef?: { readonly group?: string; readonly kind?: string; readonly name?: string };
  };
  readonly tls?: {
    readonly frontend?: {
      readonly default?: FrontendTls;
      readonly perPort?: readonly { readonly port?: number; readonly tls?: FrontendTls }[];
    };
    readonly backend?: { readonly clientCertificateRef?: CertificateRef };
  };
}

interface FrontendTls {
  /** What clients' certificates are checked by. */
  readonly validation?: FrontendValidation;
}

export interface FrontendValidation {
  readonly caCertificateRefs?: readonly CertificateRef[];
  readonly mode?: string;
}

export interface Listener {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
  readonly hostname?: string;
  readonly tls?: {
    readonly mode?: string;
    readonly certificateRefs?: readonly CertificateRef[];
  };
  readonly allowedRoutes?: AllowedRoutes;
}

export interface CertificateRef {
  readonly group?: string;
  readonly kind?: string;
  readonly name: string;
  readonly namespace?: string;
}

interface AllowedRoutes {
  readonly namespaces?: AllowedNamespaces;
  readonly kinds?: readonly { readonly group?: string; readonly kind?: string }[];
}

export interface AllowedNamespaces {
  readonly from?: string;
  readonly selector?: LabelSelector;
}

export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

/** The spec of a Gateway, or the listeners of a ListenerSet. */
export function gatewaySpec({ document }: KeptDocument): GatewaySpec {
  return (document.spec ?? {}) as GatewaySpec; // the API server checked it
}

/** The certificate that a Gateway presents to backends that speak TLS. */
export function clientCertificateRef(kept: KeptDocument): CertificateRef | undefined {
  return gatewaySpec(kept).tls?.backend?.clientCertificateRef;
}

/** How the clients of a listener are checked, and the field that says so; undefined: it does not ask who they are. */
export function frontendValidation(
  { tls }: GatewaySpec,
  listener: Listener,
): { readonly validation: FrontendValidation; readonly field: string } | undefined {
  const { frontend } = tls ?? {};
  if (frontend === undefined || !endsTls(listener)) return undefined;
  const index = frontend.perPort?.findIndex(({ port }) => port === listener.port) ?? -1;
  const own = frontend.perPort?.[index];
  const { validation } = (own === undefined ? frontend.default : own.tls) ?? {};
  const field = `spec.tls.frontend.${own === undefined ? 'default' : `perPort[${index}].tls`}.validation`;
  return validation && { validation, field };
}

/** An empty hostname means the same as none: every host. */
export function hostnameOf({ hostname = '' }: Listener): string | undefined {
  return hostname === '' ? undefined : hostname.toLowerCase();
}

/** Whether a listener ends TLS, for which it needs a certificate. */
export function endsTls({ protocol, tls }: Listener): boolean {
  return protocol === 'HTTPS' || (protocol === 'TLS' && tls?.mode !== 'Passthrough');
}
