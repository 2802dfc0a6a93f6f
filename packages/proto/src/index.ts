export * from './model/address.ts';
export * from './model/flow.ts';
export * from './model/mesh.ts';
export * from './model/netmap.ts';
export * from './model/ports.ts';
export * from './model/report.ts';
export * from './policy/types.ts';
