/** wireguard-go, in user space, with the MTU that wg-quick would choose. */
import { rmSync } from 'node:fs';
import type { Host, NamespaceLab } from '../../harness/host.ts';
import type { Process } from '../../harness/process.ts';
import { until } from '../../harness/until.ts';
import { TUN_ADDRESSES } from '../stage.ts';
import type { Peer } from '../types.ts';
import { askVersion } from '../versions.ts';
import { writeOn } from './proxy.ts';
import { tunMissing, tunPath } from './tun.ts';

const PORT = 51_820;
const SOCKETS = '/var/run/wireguard';

interface End {
  readonly host: Host;
  readonly device: string;
  readonly address: string;
  readonly keyFile: string;
  readonly publicKey: string;
}

/** Sockets of all devices stand in one folder of the machine, whatever host they are on: names have to differ. */
async function planEnd(host: Host, letter: string, address: string): Promise<End> {
  const secretKey = (await host.check(['wg', 'genkey'])).trim();
  return {
    host,
    device: `wgb${process.pid}${letter}`,
    address,
    keyFile: writeOn(host, 'wireguard.key', `${secretKey}\n`),
    publicKey: (await host.check(['wg', 'pubkey'], { input: `${secretKey}\n` })).trim(),
  };
}

async function startEnd(made: NamespaceLab, program: string, own: End, other: End): Promise<Process> {
  const { host, device, address, keyFile } = own;
  const process = made.startAsRoot(host, [program, '-f', device]);
  const peer = ['peer', other.publicKey, 'allowed-ips', `${other.address}/32`];
  const endpoint = ['endpoint', `${other.host.address}:${PORT}`];
  const argv = ['wg', 'set', device, 'listen-port', `${PORT}`, 'private-key', keyFile, ...peer, ...endpoint];
  // The device takes settings once its socket is there.
  await until('wireguard-go takes its settings', async () => {
    const { code, stderr } = await made.startAsRoot(host, argv).finished();
    if (code !== 0) throw new Error(`${stderr}${process.stderr}`);
    return true;
  });
  for (const step of [
    ['address', 'add', `${address}/24`, 'dev', device],
    ['link', 'set', device, 'mtu', '1420', 'up'],
  ]) {
    const { code, stderr } = await made.startAsRoot(host, ['ip', ...step]).finished();
    if (code !== 0) throw new Error(`ip ${step.join(' ')}: ${stderr}`);
  }
  return process;
}

export const wireguard: Peer = {
  name: 'wireguard-go',
  version: (stage) => askVersion(stage.client, [stage.program('wireguard-go'), '--version']),
  missing: (stage) => tunMissing(stage, 'wireguard-go', 'wg'),
  async start(stage) {
    const { made } = stage;
    if (made === undefined) throw new Error('wireguard-go needs made hosts');
    const server = await planEnd(stage.server, 's', TUN_ADDRESSES.wireguard);
    const client = await planEnd(stage.client, 'c', '10.215.7.2');
    for (const { device } of [server, client]) {
      stage.leftovers.defer(() => rmSync(`${SOCKETS}/${device}.sock`, { force: true }));
    }
    const program = stage.program('wireguard-go');
    const processes = [await startEnd(made, program, server, client), await startEnd(made, program, client, server)];
    return tunPath(stage, server.address, processes);
  },
};
