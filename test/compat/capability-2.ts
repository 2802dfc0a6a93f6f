/**
 * Prints what capability 2 says otherwise than 1, byte for byte, as base64. Run in a checkout of 8e1db6b, it made
 * test/fixtures/capability-2.json, which stays as it is; see capability-1.ts.
 */
import { agentService, flowBatchToWire } from '@weft/proto/wire';
import { encodeGreeting } from '../../packages/agent/src/tunnel/greeting.ts';
import { records } from './capability-1.ts';

const key = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
const { join, connect } = agentService;
const capability = 2;

/** Of each, its own outcome and one that this version does not know. */
export const told = records.slice(0, 1).map((record) => ({ ...record, outcome: 'other' as const }));

const samples: Readonly<Record<string, readonly Uint8Array[]>> = {
  joinRequest: [
    join.requestSerialize({
      ...{ tokenId: 'tk_1', tokenSecret: 'secret', identityKey: key(3), tunnelKey: key(1), proof: new Uint8Array(64) },
      ...{ host: 'data-1', services: ['redis'], roles: [1], version: '0.1.0', capability },
    }),
  ],
  joinResponse: [join.responseSerialize({ agentId: 'ag_1', network: 'prod', host: 'data-1', capability })],
  ofAgent: [
    connect.requestSerialize({
      hello: {
        ...{ agentId: 'ag_1', signature: new Uint8Array(64), version: '0.1.0', timeline: 't1', revision: 7 },
        ...{ receipt: key(9).subarray(0, 16), run: key(4).subarray(0, 8), capability },
      },
    }),
    connect.requestSerialize({ flows: flowBatchToWire(told, 5, 6) }),
  ],
  ofControl: [connect.responseSerialize({ challenge: { nonce: key(5), acknowledgesFlows: true, capability } })],
  greeting: [encodeGreeting({ index: 7, packetLimit: 1_400 })],
};

if (process.argv[1] === import.meta.filename) {
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  const written = Object.entries(samples).map(([name, each]) => [name, each.map(text)]);
  process.stdout.write(`${JSON.stringify(Object.fromEntries(written), null, 2)}\n`);
}
