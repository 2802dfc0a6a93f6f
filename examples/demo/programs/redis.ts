/** A Redis: the machine's own where there is one, else what the demo needs of one. On loopback only. Prints "ready PORT". */
import { spawn } from 'node:child_process';
import net, { type AddressInfo, type Socket } from 'node:net';
import { freePort } from '../ports.ts';

const port = await freePort();
const options = ['--port', port, '--bind', '127.0.0.1', '--protected-mode', 'no', '--save', '', '--dir', '/tmp'];
const server = spawn('redis-server', options.map(String), { stdio: ['ignore', 'pipe', 'inherit'] });
server.on('error', serve);
server.on('exit', (code) => process.exit(code ?? 1));
server.stdout.setEncoding('utf8').on('data', (text: string) => {
  if (text.includes('Ready to accept connections')) console.log(`ready ${port}`);
});
process.once('SIGTERM', () => {
  if (!server.kill()) process.exit(0);
});

function serve(): void {
  const values = new Map<string, string>();
  const own = net.createServer((socket) => talk(socket, values));
  own.listen(port, '127.0.0.1', () => console.log(`ready ${(own.address() as AddressInfo).port}`));
}

function talk(socket: Socket, values: Map<string, string>): void {
  let held = '';
  socket.setEncoding('latin1').on('data', (text: string) => {
    held += text;
    for (let next = take(held); next !== undefined; next = take(held)) {
      held = held.slice(next.length);
      socket.write(answer(next.words, values), 'latin1');
    }
  });
  socket.on('error', () => socket.destroy());
}

/** The first command: a line of words, or `*2 $4 INCR $6 visits`, each on a line of its own. */
function take(held: string): { readonly words: readonly string[]; readonly length: number } | undefined {
  const lines = held.split('\r\n');
  const [head = ''] = lines;
  const count = head.startsWith('*') ? 1 + 2 * Number(head.slice(1)) : 1;
  if (lines.length <= count) return undefined;
  const said = lines.slice(0, count);
  const words = head.startsWith('*') ? said.filter((_, at) => at > 0 && at % 2 === 0) : head.split(' ');
  return { words, length: said.join('\r\n').length + 2 };
}

function answer([name = '', key = '', value = '']: readonly string[], values: Map<string, string>): string {
  switch (name.toLowerCase()) {
    case 'ping':
      return '+PONG\r\n';
    case 'set':
      values.set(key, value);
      return '+OK\r\n';
    case 'get': {
      const found = values.get(key);
      return found === undefined ? '$-1\r\n' : `$${found.length}\r\n${found}\r\n`;
    }
    case 'incr': {
      const more = Number(values.get(key) ?? 0) + 1;
      values.set(key, String(more));
      return `:${more}\r\n`;
    }
    default:
      return `-ERR unknown command '${name}'\r\n`;
  }
}
