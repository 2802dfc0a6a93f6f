/** The two zones of one netmap: a question's labels and type in, an answer out. Immutable as the netmap is. */
import type { AddressRange } from '@weft/proto';
import type { Netmap } from '../words/netmap.ts';
import { type Answer, type AnswerRecord, emptyAnswer, TTL } from './answer.ts';
import { findForward, isOurs, ZONE } from './forward-zone.ts';
import { type Query, Rcode, Type } from './message.ts';
import type { Node } from './node.ts';
import { findReverse, indexAddresses, type ReverseIndex, reverseZone } from './reverse-zone.ts';

const FORWARD_LABELS = ZONE.split('.');
const typeNumbers: Readonly<Record<AnswerRecord['type'], number>> = {
  A: Type.A,
  AAAA: Type.AAAA,
  NS: Type.NS,
  PTR: Type.PTR,
  CNAME: 5,
  SOA: Type.SOA,
  SRV: Type.SRV,
  TXT: 16,
};

export class Zone {
  readonly #netmap: Netmap;
  readonly #range: AddressRange;
  #reverse: ReverseIndex | undefined;
  #turn = 0;

  /** `range`: where the netmap's addresses lie. */
  constructor(netmap: Netmap, range: AddressRange) {
    this.#netmap = netmap;
    this.#range = range;
  }

  /** The answer, or undefined when the name lies in no zone of ours. */
  answer({ labels, type }: Pick<Query, 'labels' | 'type'>): Answer | undefined {
    if (endsWith(labels, FORWARD_LABELS)) {
      const inner = labels.slice(0, -FORWARD_LABELS.length);
      // Before control has spoken once, nobody knows which services there are.
      if (this.#netmap.self !== undefined && !isOurs(this.#netmap, inner)) return undefined;
      return this.#answerIn(ZONE, inner, type, () => findForward(this.#netmap, inner));
    }
    const zoneLabels = reverseZone(labels, this.#range);
    if (zoneLabels !== undefined) {
      this.#reverse ??= indexAddresses(this.#netmap);
      const index = this.#reverse;
      const zone = labels.slice(-zoneLabels).join('.');
      return this.#answerIn(zone, labels.slice(0, -zoneLabels), type, () => findReverse(index, labels.slice(0, -2)));
    }
    // `redis.` alone: the search domain is what makes it redis.internal, and what is called how in here is nobody's
    // business out there. Without SOA, so that nothing remembers it.
    const [label] = labels;
    if (labels.length === 1 && label !== undefined && this.#netmap.services.has(label))
      return emptyAnswer(Rcode.NXDOMAIN);
    return undefined;
  }

  #answerIn(zone: string, inner: readonly string[], type: number, find: () => Node): Answer {
    // Before control has spoken once nothing is known; NXDOMAIN would be believed, SERVFAIL is asked again.
    if (this.#netmap.self === undefined) return emptyAnswer(Rcode.SERVFAIL);
    const soa = soaRecord(zone, this.#netmap.revision);
    const node = inner.length === 0 ? apex(zone, soa) : find();
    const negative = (rcode: number): Answer => ({ ...emptyAnswer(rcode, true), authorities: [soa] });
    switch (node.at) {
      case 'nothing':
        return negative(Rcode.NXDOMAIN);
      case 'empty':
        return negative(Rcode.NOERROR);
      case 'unserved':
        return type === Type.A || type === Type.SRV || type === Type.ANY
          ? emptyAnswer(Rcode.SERVFAIL)
          : negative(Rcode.NOERROR);
      case 'records': {
        const matching = selectType(node.records, type);
        if (matching.length === 0) return negative(Rcode.NOERROR);
        const rotates = node.rotates === true && matching.length > 1;
        const start = rotates ? this.#turn++ % matching.length : 0;
        return {
          rcode: Rcode.NOERROR,
          authoritative: true,
          answers: [...matching.slice(start), ...matching.slice(0, start)],
          authorities: [],
          additionals: node.additionals ?? [],
          rotates,
        };
      }
    }
  }
}

/** ANY gets one record set and no more, RFC 8482 section 4.1. */
function selectType(records: readonly AnswerRecord[], type: number): readonly AnswerRecord[] {
  const wanted = type === Type.ANY && records[0] !== undefined ? typeNumbers[records[0].type] : type;
  return records.filter((record) => typeNumbers[record.type] === wanted);
}

/** The zone's own name serves as its server's, as in the zones of RFC 6303: there is no other server to name. */
function apex(zone: string, soa: AnswerRecord): Node {
  return { at: 'records', records: [soa, { name: zone, type: 'NS', ttl: TTL, data: zone }] };
}

/** The minimum, 5 s, is also how long a missing name may be remembered, RFC 2308. */
function soaRecord(zone: string, revision: number): AnswerRecord {
  return {
    name: zone,
    type: 'SOA',
    ttl: TTL,
    data: {
      mname: zone,
      rname: `hostmaster.${ZONE}`,
      serial: revision >>> 0,
      refresh: 3600,
      retry: 600,
      expire: 86_400,
      minimum: TTL,
    },
  };
}

function endsWith(labels: readonly string[], zone: readonly string[]): boolean {
  const start = labels.length - zone.length;
  return start >= 0 && zone.every((label, index) => labels[start + index] === label);
}
