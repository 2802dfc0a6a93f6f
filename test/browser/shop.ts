/** A small live network of real programs on this machine, with traffic in it: what the page's views are tested on. */
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { freePort } from '../../examples/demo/ports.ts';
import { createLocalLab, type Lab } from '../harness/host.ts';
import { freeRange } from '../harness/range.ts';
import { SETTLED_MS, until } from '../harness/until.ts';
import { Agent, Control } from '../harness/weft.ts';
import { tokenOf } from './operator.ts';

/** Web may not reach the store's second port. */
const MESH = ({ store, admin, web }: ShopPorts): string => `
network: prod
services:
  web:    { kind: web, ports: [${web}], public: { port: ${web}, hosts: [shop.example.com] } }
  store:  { kind: private, ports: [${store}, ${admin}] }
  mailer: { kind: worker }
policies:
  - { name: no-admin-ui, action: deny, from: [web], to: [store], ports: [${admin}] }
`;

export interface ShopPorts {
  readonly web: number;
  readonly store: number;
  readonly admin: number;
}

interface Running {
  readonly agent: Agent;
  readonly vips: ReadonlyMap<string, string>;
}

export class Shop implements AsyncDisposable {
  readonly control: Control;
  readonly dashboard: string;
  readonly ports: ShopPorts;
  readonly gateway: string;
  readonly #lab: Lab;
  readonly #cleanup: AsyncDisposableStack;
  readonly #agents = new Map<string, Running>();
  #calls: NodeJS.Timeout | undefined;

  private constructor(parts: {
    control: Control;
    dashboard: string;
    ports: ShopPorts;
    gateway: string;
    lab: Lab;
    cleanup: AsyncDisposableStack;
  }) {
    this.control = parts.control;
    this.dashboard = parts.dashboard;
    this.ports = parts.ports;
    this.gateway = parts.gateway;
    this.#lab = parts.lab;
    this.#cleanup = parts.cleanup;
  }

  static async open(): Promise<Shop> {
    const cleanup = new AsyncDisposableStack();
    try {
      const lab = cleanup.use(createLocalLab());
      const echo = net.createServer((socket) => void socket.on('error', () => socket.destroy()).pipe(socket));
      cleanup.defer(() => void echo.close());
      const pages = http.createServer((_request, response) => response.end('shop'));
      cleanup.defer(() => void pages.close());
      for (const server of [echo, pages]) {
        server.listen(0, '127.0.0.1');
        await once(server, 'listening');
      }
      const ports = { web: await freePort(), store: await freePort(), admin: await freePort() };
      const dashboard = await freePort();
      const control = await Control.start(await lab.host('main'), { control: await freePort(), dashboard });
      const gateway = `127.0.0.1:${await freePort()}`;
      const shop = new Shop({ control, dashboard: `http://127.0.0.1:${dashboard}`, ports, gateway, lab, cleanup });
      await control.apply(MESH(ports));
      const [store, web] = [echo, pages].map((server) => (server.address() as net.AddressInfo).port);
      const targets = `{ ${ports.store}: "127.0.0.1:${store}", ${ports.admin}: "127.0.0.1:${store}" }`;
      await shop.#join('data-1', ['--services', 'store'], `services: { store: { targets: ${targets} } }`);
      await shop.#join(
        'web-1',
        ['--services', 'web'],
        `services: { web: { targets: { ${ports.web}: "127.0.0.1:${web}" } } }`,
      );
      await shop.#join('jobs-1', ['--services', 'mailer'], 'services: { mailer: {} }');
      await shop.#join('edge-1', ['--gateway'], `gateway: { http: "${gateway}" }`);
      for (const target of [`store:${ports.store}`, `web:${ports.web}`]) {
        await until(
          `${target} answers`,
          () => control.ok('explain', 'mailer', target, '--json'),
          (answer) => JSON.parse(answer).break_point === 'none',
          SETTLED_MS,
        );
      }
      return shop;
    } catch (error) {
      await cleanup.disposeAsync();
      throw error;
    }
  }

  token(role: 'admin' | 'read'): string {
    return tokenOf(this.control, role);
  }

  /** The mesh with more policies, each a line of its own. */
  async apply(policies: string): Promise<void> {
    await this.control.apply(MESH(this.ports) + policies, '--wait');
  }

  agent(host: string): Agent {
    return this.#running(host).agent;
  }

  /** Calls from here on, some a second, some of them denied. */
  startTraffic(): void {
    this.#calls ??= setInterval(() => {
      void this.call('web-1', 'store', this.ports.store).catch(() => undefined);
      void this.call('jobs-1', 'store', this.ports.store).catch(() => undefined);
      void this.call('web-1', 'store', this.ports.admin).catch(() => undefined);
      void this.visit().catch(() => undefined);
    }, 100);
  }

  stopTraffic(): void {
    clearInterval(this.#calls);
    this.#calls = undefined;
  }

  /** Says hello to a service as a program on that host does, and answers what came back. */
  call(host: string, service: string, port: number): Promise<string> {
    const address = this.#running(host).vips.get(service);
    return new Promise((resolve, reject) => {
      if (address === undefined) throw new Error(`${host} knows no ${service}`);
      const socket = net.connect({ host: address, port });
      socket.setTimeout(6_000, () => socket.destroy(new Error('no answer')));
      socket.on('data', (data) => socket.destroy() && resolve(data.toString()));
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('closed')));
      socket.write('hello');
    });
  }

  /** The shop's page as the internet sees it. */
  async visit(): Promise<number> {
    const [host, port] = this.gateway.split(':');
    const request = http.get({ host, port, headers: { host: 'shop.example.com' }, timeout: 6_000 });
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    response.resume();
    return response.statusCode ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stopTraffic();
    await this.#cleanup.disposeAsync();
  }

  async #join(name: string, scope: readonly string[], config: string): Promise<void> {
    const host = await this.#lab.host(name);
    const token = await this.control.ok('token', 'create', '--network', 'prod', '--host', name, ...scope);
    const shared = {
      tunnel: await freePort(),
      dns: await freePort(),
      range: freeRange(),
    };
    const agent = await Agent.start(host, { token, config, shared });
    const told = await agent.status<{
      readonly names: readonly { readonly name: string; readonly address: string }[];
    }>();
    const vips = new Map(told.names.map((one) => [one.name.replace('.internal', ''), one.address]));
    this.#agents.set(name, { agent, vips });
  }

  #running(host: string): Running {
    const running = this.#agents.get(host);
    if (running === undefined) throw new Error(`there is no ${host}`);
    return running;
  }
}
