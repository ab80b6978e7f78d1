import { type GatewayResource, versioned } from '../../../protocol/resources.ts';
import { routeKey } from '../../../protocol/route.ts';
import { atGateway } from '../../../protocol/route-policy.ts';
import { allListeners } from './checked-gateway.ts';
import { isServed, toldListener } from './checked-listener.ts';
import type { Known } from './known-objects.ts';
import { provisionedName } from './provisioned-name.ts';
import { byPrecedence } from './service-routes.ts';

/** A Gateway of a class of ours, and the routes that are attached to it. */
export function gatewayResource(
  key: string,
  { gateways, routes, policies }: Known,
): GatewayResource | undefined {
  const gateway = gateways.gateway(key);
  if (gateway === undefined) return undefined;
  const { namespace, name } = gateway.document;
  const certificate = gateway.clientCertificate?.certificate;
  const policy = policies.ofGateway(key);
  const attached = routes.attachedTo(`gateway ${key}`).sort(byPrecedence);
  return versioned<Omit<GatewayResource, 'version'>>({
    kind: 'gateway',
    key,
    identity: `${namespace}/${provisionedName(name)}`,
    ...(certificate !== undefined && { clientCertificate: certificate }),
    listeners: allListeners(gateway)
      .filter(isServed)
      .map((checked) => ({
        ...toldListener(checked),
        routes: attached
          .filter(({ listeners }) => listeners.has(`${key} ${checked.key}`))
          .map(({ route }) => routeKey(route)),
      })),
    routes: attached.map(({ route }) => atGateway(route, policy)),
  });
}
