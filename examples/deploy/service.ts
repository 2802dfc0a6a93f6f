/** A host with one program, which says hello, and the agent beside it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const weft = join(import.meta.dirname, '..', '..', 'packages', 'agent', 'bin', 'weft.js');

export interface Running {
  /** Takes no new connection; those that are open go on. */
  stopListening(): void;
  /** Ends the agent too, and what it kept. */
  stop(): Promise<void>;
}

/** `token` lets the agent join. Resolves when the agent is ready. */
export async function runService({
  service,
  token,
  port,
}: {
  readonly service: string;
  readonly token: string;
  readonly port: number;
}): Promise<Running> {
  const program = createServer((socket) => {
    socket.on('error', () => {});
    socket.end('hello\n');
  });
  program.listen(0, '127.0.0.1');
  await once(program, 'listening');
  const address = program.address();
  const target = typeof address === 'object' && address !== null ? address.port : 0;

  const directory = mkdtempSync(join(tmpdir(), 'weft-deploy-'));
  const config = join(directory, 'weft.yaml');
  writeFileSync(config, `services: { ${service}: { targets: { ${port}: "127.0.0.1:${target}" } } }\n`);
  const up = ['up', '--data', join(directory, 'agent'), '--config', config];
  const agent = spawn(process.execPath, [weft, ...up], {
    // By the environment, so that the token stands in no process list.
    env: { ...process.env, WEFT_JOIN: token },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let ready = false;
  for await (const line of createInterface(agent.stdout)) {
    ready = line.startsWith('weft ready');
    if (ready) break;
  }
  if (!ready) throw new Error('weft up did not start');
  agent.stdout.resume();
  return {
    stopListening: () => program.close(),
    async stop() {
      const over = once(agent, 'exit');
      agent.kill();
      await over;
      rmSync(directory, { recursive: true });
    },
  };
}
