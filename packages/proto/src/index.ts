/** What both programs share that knows no wire: the model, the policy, and what needs Node. */
export { VERSION } from '#version';
export * from './model/index.ts';
export * from './node/file-limit.ts';
export * from './node/fingerprint.ts';
export { hostInterfaces, isOnThisHost, isOwnAddress } from './node/interfaces.ts';
export * from './node/port-taker.ts';
export * from './node/service-manager.ts';
export * from './node/state-directory.ts';
export * from './node/system-error.ts';
export * from './node/token.ts';
