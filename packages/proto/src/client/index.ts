/** For programs that drive control: its calls with types, and what most of them need around these. Loaded at no start. */
export { Code, ConnectError } from '@connectrpc/connect';
export { pages } from '../model/pages.ts';
export type { ErrorDetails } from '../model/problem.ts';
export * from './connect.ts';
export * from './errors.ts';
export * from './messages.ts';
export * from './watch.ts';
