/**
 * Of the Perl programs: the numbers of system calls, by the names of the kernel's headers (of x86_64 asm/unistd_64.h, of aarch64
 * asm-generic/unistd.h).
 */

/** Of x86_64, then of aarch64. */
export const CALL_NUMBERS = {
  add_key: [248, 217],
  capset: [126, 91],
  close: [3, 57],
  close_range: [436, 436],
  exit_group: [231, 94],
  io_uring_setup: [425, 425],
  ioctl: [16, 29],
  keyctl: [250, 219],
  mount: [165, 40],
  mount_setattr: [442, 442],
  prctl: [157, 167],
  prlimit64: [302, 261],
  recvmsg: [47, 212],
  request_key: [249, 218],
  rt_sigprocmask: [14, 135],
  sendmsg: [46, 211],
  sethostname: [170, 161],
  setitimer: [38, 103],
  setns: [308, 268],
  signalfd4: [289, 74],
  socket: [41, 198],
  umount2: [166, 39],
  unshare: [272, 97],
  wait4: [61, 260],
} as const satisfies Record<string, readonly [number, number]>;

const of = (at: 0 | 1): string =>
  Object.entries(CALL_NUMBERS)
    .map(([name, numbers]) => `${name} => ${numbers[at]}`)
    .join(', ');

/** Where `$arm` says which. */
export const NUMBERS = `my %number = $arm ? (${of(1)}) : (${of(0)});`;
