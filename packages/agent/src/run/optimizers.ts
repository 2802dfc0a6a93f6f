/**
 * Keeps V8 from optimizing code until the answered function is called. What runs while a program starts does not run again,
 * and compiling it leaves some 7 MiB behind that the allocator does not give back, and pages of the compilers themselves.
 * Code that is interpreted meanwhile is optimized as soon as it runs on after that.
 */
import { setFlagsFromString } from 'node:v8';

/** Some versions of V8 are built without Maglev for other processors, and would say on stderr that there is none. */
const COMPILERS = ['x64', 'arm64'].includes(process.arch) ? ['opt', 'maglev'] : ['opt'];

/** Holds for all threads of the process. */
export function holdOptimizers(): () => void {
  for (const compiler of COMPILERS) setFlagsFromString(`--no-${compiler}`);
  let held = true;
  return () => {
    if (!held) return;
    held = false;
    for (const compiler of COMPILERS) setFlagsFromString(`--${compiler}`);
  };
}
