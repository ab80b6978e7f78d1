const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * The service that a host name means: `orders`, `orders.shop`, `orders.shop.svc`,
 * `orders.shop.svc.cluster.local`. `host` is lower case without port; anything else: undefined.
 */
export function serviceKeyOfHost(host: string, ownNamespace: string): string | undefined {
  const labels = host.split('.');
  const [name = '', namespace = ownNamespace, ...rest] = labels;
  const suffix = rest.join('.');
  if (suffix !== '' && suffix !== 'svc' && suffix !== 'svc.cluster.local') return undefined;
  if (!LABEL.test(name) || !LABEL.test(namespace)) return undefined;
  return `${namespace}/${name}`;
}
