/**
 * A thread that sleeps much and works shortly has its turn sooner where it asks for short slices: since Linux 6.12 the scheduler takes those of whoever
 * asked for less first (EEVDF, sched_setattr(2)), and gives it no more of the core for that. Kernels of before take no notice.
 */
import { getPriority } from 'node:os';
import { nodeFfi } from '@weft/proto/house';

interface Ffi {
  dlopen(
    path: null,
    definitions: unknown,
  ): { readonly functions: { syscall(number: bigint, thread: number, attributes: bigint, flags: number): bigint } };
  getRawPointer(memory: ArrayBuffer): bigint;
}

const SCHED_SETATTR: Readonly<Partial<Record<NodeJS.Architecture, bigint>>> = { x64: 314n, arm64: 274n };
/** The least that the kernel takes. */
const SLICE_NS = 100_000n;
/** struct sched_attr of include/uapi/linux/sched/types.h, as of its first version. */
const ATTR = { bytes: 48, flags: 8, nice: 16, runtime: 24 };
const SCHED_FLAG_KEEP_POLICY = 0x08n;

/** Of the thread that calls, where `nativeCalls` are known to work. False where it has what it had. */
export function askShortSlices(): boolean {
  const number = SCHED_SETATTR[process.arch];
  try {
    const ffi = nodeFfi<Ffi>();
    if (number === undefined || ffi === undefined) return false;
    const definition = { arguments: ['i64', 'i32', 'u64', 'u32'], return: 'i64' };
    const { syscall } = ffi.dlopen(null, { syscall: definition }).functions;
    const attributes = new DataView(new ArrayBuffer(ATTR.bytes));
    attributes.setUint32(0, ATTR.bytes, true);
    attributes.setBigUint64(ATTR.flags, SCHED_FLAG_KEEP_POLICY, true);
    // Given anew, for it cannot be left out; the same needs no right.
    attributes.setInt32(ATTR.nice, getPriority(), true);
    attributes.setBigUint64(ATTR.runtime, SLICE_NS, true);
    return syscall(number, 0, ffi.getRawPointer(attributes.buffer), 0) === 0n;
  } catch {
    return false;
  }
}
