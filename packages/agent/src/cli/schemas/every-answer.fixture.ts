import { CAPABILITY, type FlowRecord, type Rule } from '@weft/proto';
import {
  type AdminHandlers,
  actionCodec,
  breakPointCodec,
  durationToWire,
  flowToWire,
  meshToWire,
  openFlowToWire,
  rolesToWire,
  ruleToWire,
  serviceToWire,
  timestampToWire,
} from '@weft/proto/wire';
import { parseMeshFile } from '../../config/mesh-file.ts';
import type { LocalQuestion, PingAnswer } from '../../observe/local-question.ts';
import { NOW } from '../command-line.fixture.ts';

export const MESH = `network: prod
services:
  web: { kind: web, ports: [3000], public: { port: 3000, hosts: [shop.example.com], responseTimeout: 90s } }
  redis: { kind: private, ports: [6379, auto], description: jobs }
policies: [{ name: in, action: deny, from: [web], to: [redis] }]
`;
const time = timestampToWire(NOW);
const changes = [{ operation: 1, subject: 'service redis', detail: 'ports' }];
const hostReach = [{ hosts: ['a'], hostCount: 1, to: ['redis:6379'], toCount: 1, verdict: 2, rule: 'in' }];
const warnings = [{ field: 'policies[0].to', message: 'selects nothing' }];
const result = { revision: 4, changes, hostReach, warnings };

/** A control that has something to say to every command, about a host of this name. */
export function everyAnswer(host = 'build-3'): Partial<AdminHandlers> {
  const told = { revision: 4, hosts: [host] };
  const flow: FlowRecord = {
    ...{ id: '0123456789abcdef', startedMs: NOW, durationMs: 5, source: 'web', sourceHost: host, service: 'redis' },
    ...{ instance: 'redis/0', destinationHost: `${host}-4`, port: 6379, protocol: 'tcp', verdict: 'deny', rule: 'in' },
    ...{
      revision: 4,
      outcome: 'denied',
      bytesSent: 1,
      bytesReceived: 0,
      zone: host,
      user: 'www-data',
      unit: 'web.service',
      program: '/usr/bin/node',
      detail: 'policy in denies',
    },
  };
  const peers = [{ host: `${host}-4`, tunnels: 1, roundTrip: durationToWire(0.3), pathSize: 1_252 }];
  const notListening = [{ protocol: 1, first: 6379, last: 6379 }];
  const { mesh } = parseMeshFile('mesh.yaml', MESH);
  const services = mesh.services.map((service) => ({
    service: serviceToWire(service),
    instances: [{ host, healthy: true, opened: notListening }, { notListening }],
  }));

  return {
    createToken: (_call, answer) => answer(null, { token: 'weft1.abc', tokenId: 'tk1', expireTime: time }),
    listTokens: (_call, answer) =>
      answer(null, {
        tokens: [{ tokenId: 'tk1', services: ['web', host], host, roles: rolesToWire(['gateway']), expireTime: time }],
      }),
    replaceToken: (_call, answer) =>
      answer(null, { ...told, token: 'weft1.abc', tokenId: 'tk2', expireTime: time, stragglers: [`${host}-4`] }),
    revokeToken: (_call, answer) => answer(null, { ...told, narrowed: [`${host}-5`], stragglers: [`${host}-4`] }),
    renameAgent: (_call, answer) => answer(null, { ...told, formerHost: host, leftOver: [`policy ${host}`] }),
    revokeAgent: (_call, answer) => answer(null, { ...told, agentId: 'a1', joinedAlike: [`${host}-4`] }),
    grantServices: (_call, answer) => answer(null, { result, granted: ['redis'] }),
    apply: (_call, answer) => answer(null, { result }),
    getMesh: (_call, answer) => answer(null, { mesh: meshToWire(mesh), revision: 4 }),
    listRevisions: (_call, answer) =>
      answer(null, {
        revisions: [
          { revision: 4, applyTime: time, changes: [...changes, { operation: 2, subject: `policy ${host}` }] },
        ],
      }),
    listAudit: (_call, answer) =>
      answer(null, {
        entries: [{ sequence: 1, time, actor: { kind: 1 }, action: 'apply', subject: `agent ${host}`, detail: host }],
      }),
    getStatus: (_call, answer) =>
      answer(null, {
        ...{ version: '0.1.0', capability: CAPABILITY, startTime: time, time, olderData: { ...told, sinceTime: time } },
        problems: [{ code: 'data-not-written', message: 'the disk is full', sinceTime: time }],
        networks: [{ network: host, revision: 4, behind: [`${host}-4`], behindCount: 1 }],
      }),
    deleteNetwork: (_call, answer) => answer(null, told),
    listServices: (_call, answer) => answer(null, { services }),
    listAgents: (_call, answer) =>
      answer(null, {
        agents: [
          { agentId: 'a2', host: `${host}-4` },
          {
            ...{
              agentId: 'a1',
              host,
              services: ['web', host],
              tags: [host],
              addresses: ['127.80.0.3'],
              lastSeenTime: time,
              roles: rolesToWire(['gateway']),
              rights: [
                { source: 1, tokenId: 'tk1', services: ['web'], roles: rolesToWire(['gateway']), sinceTime: time },
                { source: 2, services: [host] },
                { source: 99 },
              ],
            },
            observedHost: '198.51.100.7',
            addressHint: 'behind NAT',
            telemetry: { sendTime: time, interval: durationToWire(5_000), peers },
            report: {
              endpoints: ['10.0.0.3:7410'],
              instances: [{ service: 'web', notListening }],
              sandboxes: [
                { service: 'web', user: 'www-data', pid: 7, startTime: time, ports: notListening, egress: true },
              ],
              problems: [{ code: 'port-taken', subject: 'redis:6379', message: 'taken' }],
            },
          },
        ],
      }),
    listFlows: (_call, answer) => answer(null, { flows: [flowToWire(flow)] }),
    listOpenFlows: (_call, answer) =>
      answer(null, {
        hosts: [{ host, state: 1, flows: [openFlowToWire({ ...flow, ageMs: 5, idleMs: 5 }, NOW)] }],
      }),
    explain: (_call, answer) =>
      answer(null, {
        ...{ verdict: actionCodec.toWire('deny'), rule: 'in', revision: 4, reason: 'policy in denies' },
        ...{
          breakPoint: breakPointCodec.toWire('denied'),
          steps: ['looked'],
          refusedHosts: [host],
          untriedHosts: [host],
        },
        decidingRule: ruleToWire(mesh.policies[0] as Rule),
        decidingRuleOrigin: { rule: 'in', file: 'mesh.yaml', line: 5, revision: 4, setTime: time, actor: { kind: 1 } },
        remedy: {
          denies: ['in'],
          deniesCount: 1,
          deniesOrigins: [{ rule: 'in' }],
          rule: ruleToWire(mesh.policies[0] as Rule),
        },
      }),
  };
}

const ping: PingAnswer = {
  path: { roundTripUs: 700, address: '10.0.0.9:7410', dialled: true, accepted: 0, pathSize: 1_252 },
};
/** The same of an agent, by question. */
export const LOCAL: Partial<Record<LocalQuestion['ask'], object>> = {
  ping,
  reload: { file: 'weft.yaml', changes: [{ key: 'zone', before: null, after: 'eu' }], problems: [] },
};
