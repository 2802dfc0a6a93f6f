export { ConduitDuplex } from './duplex.ts';
export { IngressError } from './errors.ts';
export { createGateway } from './server.ts';
export type {
  Gateway,
  GatewayCounters,
  GatewayLimits,
  GatewayOptions,
  IngressOpened,
  OpenIngress,
} from './types.ts';
