/** A kernel that answers otherwise than this one. */
import type { Netlink } from './netlink-calls.ts';

/** Numbers for experiments (RFC 3692): no kernel lists sockets of such a protocol. */
export const UNKNOWN_PROTOCOL = 253;
const UDP = 17;
const SOCK_DIAG_BY_FAMILY = 20;
/** In a question, behind nlmsghdr and the family. */
const PROTOCOL_AT = 17;

/** `change`: what becomes of each answer. */
export function changed(netlink: Netlink, change: (answer: DataView, length: number) => number): Netlink {
  return {
    ...netlink,
    receive() {
      const length = netlink.receive();
      return length <= 0 ? length : change(netlink.answer, length);
    },
  };
}

/** As of a kernel without udp_diag: asked for datagrams it says what it says of any protocol that it has nothing to list by. */
export function withoutDatagrams(netlink: Netlink, isSo: () => boolean = () => true): Netlink {
  return {
    ...netlink,
    send(length) {
      if (isSo() && netlink.asked.getUint8(PROTOCOL_AT) === UDP) netlink.asked.setUint8(PROTOCOL_AT, UNKNOWN_PROTOCOL);
      return netlink.send(length);
    },
  };
}

/** Tells of the first socket of each list so many times more. */
export function repeating(netlink: Netlink, times: () => number): Netlink {
  let again = 0;
  let first: Uint8Array = new Uint8Array();
  return {
    ...netlink,
    send(length) {
      again = times();
      first = new Uint8Array();
      return netlink.send(length);
    },
    receive() {
      if (again > 0 && first.length > 0) {
        again -= 1;
        new Uint8Array(netlink.answer.buffer).set(first);
        return first.length;
      }
      const length = netlink.receive();
      const isSocket = length > 0 && netlink.answer.getUint16(4, true) === SOCK_DIAG_BY_FAMILY;
      if (isSocket && first.length === 0)
        first = new Uint8Array(netlink.answer.buffer).slice(0, netlink.answer.getUint32(0, true));
      return length;
    },
  };
}
