import { mkdtemp } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import type { AgentStatus } from '../observe/agent-status.ts';
import type { LocalQuestion } from '../observe/local-question.ts';
import { NOW } from './command-line.fixture.ts';

/** What an agent says on its status socket, and where that differs. */
export function agentStatus(overrides: object = {}): object {
  const status: AgentStatus = {
    version: '0.1.0',
    startedMs: NOW,
    network: 'prod',
    host: 'build-3',
    agentId: 'a1',
    fingerprint: 'SHA256:00',
    state: 'connected',
    staleSince: null,
    control: { address: '127.0.0.1:7400', addresses: ['127.0.0.1:7400'], cause: '' },
    revision: 12,
    dns: '127.0.0.1:7453',
    names: [
      { name: 'redis.internal', kind: 'private', address: '127.80.0.7', ports: ['6379'], instances: 2, healthy: 1 },
    ],
    instances: [{ service: 'web', healthy: false, notListening: [{ protocol: 'tcp', first: 3000, last: 3000 }] }],
    targets: [],
    listeners: { ports: 4 },
    tunnel: {
      ...{ address: '0.0.0.0:7410', endpoints: [], open: 2, bytesSent: 0, bytesReceived: 0 },
      ...{ handshakesFailed: 0, violations: 0, datagramsDropped: 0 },
      peers: [{ host: 'build-9', tunnels: 2, roundTripUs: 1_240, bytesSent: 0, bytesReceived: 0, pathSize: 1_252 }],
      unreachable: [],
    },
    gateway: '',
    flows: { open: 1, recorded: 5, dropped: 0, recent: [] },
    workers: [3, 1].map((open) => ({
      flows: { open, recorded: 9 },
      tunnel: { open: 1, bytesSent: 0, bytesReceived: 0 },
    })),
    problems: [{ code: 'port-taken', subject: 'redis:6379/tcp', message: 'taken; free it' }],
  };
  return { ...status, ...overrides };
}

/** Directories of agents that answer so, each gone with its test; some questions by another answer. */
export function localAgents(directory: string) {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  return async (
    overrides: object = {},
    answers: Partial<Record<LocalQuestion['ask'], object>> = {},
  ): Promise<string> => {
    const data = await mkdtemp(join(directory, 'a'));
    const server = createServer((socket) => {
      socket.once('data', (question) => {
        const { ask } = JSON.parse(String(question)) as LocalQuestion;
        socket.end(`${JSON.stringify(answers[ask] ?? agentStatus(overrides))}\n`);
      });
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(join(data, 'agent.sock'), resolve));
    return data;
  };
}
