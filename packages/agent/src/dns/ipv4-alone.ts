/**
 * Names outside for a sandbox, out of which only IPv4 leads: nobody in there is told of an address of IPv6, and then waits at it.
 */
import { emptyAnswer, encodeAnswer } from './answer.ts';
import type { Forwarder } from './forwarder.ts';
import { Rcode, Type } from './message.ts';

export function ipv4Alone(forwarder: Pick<Forwarder, 'forward'>): Pick<Forwarder, 'forward'> {
  return {
    forward(packet, query, transport, reply) {
      if (query.type === Type.AAAA) reply(encodeAnswer(query, emptyAnswer(Rcode.NOERROR), transport));
      else forwarder.forward(packet, query, transport, reply);
    },
  };
}
