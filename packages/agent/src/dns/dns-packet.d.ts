/** The part of dns-packet 5.6 that the agent and its tests use; the package ships no types. */
declare module 'dns-packet' {
  export interface SoaData {
    mname: string;
    rname: string;
    serial: number;
    refresh: number;
    retry: number;
    expire: number;
    minimum: number;
  }

  export interface SrvData {
    priority?: number;
    weight?: number;
    port: number;
    target: string;
  }

  export type ResourceRecord = { name: string; ttl: number; class?: string } & (
    | { type: 'A' | 'AAAA' | 'NS' | 'PTR' | 'CNAME'; data: string }
    | { type: 'SOA'; data: SoaData }
    | { type: 'SRV'; data: SrvData }
    | { type: 'TXT'; data: string | Buffer | readonly (string | Buffer)[] }
  );

  export interface OptRecord {
    name: '.';
    type: 'OPT';
    udpPayloadSize: number;
    extendedRcode?: number;
    ednsVersion?: number;
    flags?: number;
    options?: readonly { code: number; data: Buffer }[];
  }

  export interface Question {
    name: string;
    type: string;
    class?: string;
  }

  export interface Packet {
    type: 'query' | 'response';
    id?: number;
    flags?: number;
    questions?: readonly Question[];
    answers?: readonly (ResourceRecord | OptRecord)[];
    authorities?: readonly ResourceRecord[];
    additionals?: readonly (ResourceRecord | OptRecord)[];
  }

  export interface DecodedPacket {
    id: number;
    type: 'query' | 'response';
    opcode: string;
    rcode: string;
    flags: number;
    flag_qr: boolean;
    flag_aa: boolean;
    flag_tc: boolean;
    flag_rd: boolean;
    flag_ra: boolean;
    questions: Question[];
    answers: ResourceRecord[];
    authorities: ResourceRecord[];
    additionals: (ResourceRecord | OptRecord)[];
  }

  interface DnsPacket {
    readonly answer: {
      /** One record in wire form. Names are written in full. */
      encode(record: ResourceRecord | OptRecord): Buffer;
    };
    encode(packet: Packet): Buffer;
    /** Throws on malformed bytes. */
    decode(bytes: Buffer): DecodedPacket;
  }

  const dnsPacket: DnsPacket;
  export default dnsPacket;
}
