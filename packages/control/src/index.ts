export { main } from './main.ts';
export { type Control, type ServeOptions, type Surroundings, startControl } from './serve.ts';
