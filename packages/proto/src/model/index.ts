/** The words of Weft as plain values and functions, for any place that runs JavaScript: both programs and the page. */

export * from '../policy/compile.ts';
export * from '../policy/rule-index.ts';
export * from '../policy/types.ts';
export * from './address.ts';
export * from './agent-role.ts';
export * from './change.ts';
export * from './endpoint.ts';
export * from './errors.ts';
export * from './explain.ts';
export * from './flow.ts';
export * from './flow-filter.ts';
export * from './join-token.ts';
export * from './limits.ts';
export * from './mesh.ts';
export * from './names.ts';
export * from './netmap.ts';
export * from './outcome.ts';
export * from './ports.ts';
export * from './problem.ts';
export * from './report.ts';
export * from './selector.ts';
export * from './telemetry.ts';
export * from './validate.ts';
export { checkService } from './validate-service.ts';
export * from './values.ts';
