import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeAdminToken } from '@weft/proto';
import { AdminClient, adminService, bearerMetadata, callUnary, pinnedCredentials } from '@weft/proto/wire';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ServeOptions, startControl } from '../serve.ts';

const logger = pino({ level: 'silent' });
const any = { host: '127.0.0.1', port: 0 };
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'weft-metrics-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

function options(metrics: ServeOptions['metrics']): ServeOptions {
  return { directory, listen: any, dashboard: undefined, metrics, advertise: [], logLevel: 'silent' };
}

test('control that is asked to tells of itself: its calls, those it refuses, and its writes', async () => {
  const control = await startControl(options(any), { logger, now: Date.now });
  const token = readFileSync(control.adminTokenPath, 'utf8').trim();
  const client = new AdminClient(
    control.address,
    await pinnedCredentials(control.address, decodeAdminToken(token).pin),
  );
  const mesh = { network: 'prod', services: [{ name: 'web', kind: 2, ports: [{ protocol: 1, first: 1, last: 1 }] }] };
  await callUnary(client, adminService.apply, { mesh }, { metadata: bearerMetadata(token) });
  await expect(callUnary(client, adminService.apply, { mesh })).rejects.toThrow();

  const text = await (await fetch(`http://${control.metrics}/metrics`)).text();
  expect(text).toContain('weft_control_services{network="prod"} 1');
  expect(text).toContain('weft_control_rpc_total{method="AdminService/Apply",code="OK"} 1');
  expect(text).toContain('weft_control_rpc_total{method="AdminService/Apply",code="UNAUTHENTICATED"} 1');
  expect(Number(/^weft_control_store_write_seconds_count (\d+)$/m.exec(text)?.[1])).toBeGreaterThan(0);
  client.close();
  await control.close();
  await expect(fetch(`http://${control.metrics}/metrics`)).rejects.toThrow();
});

test('control that is not asked to serves none, and a port that is taken ends its start and nothing else', async () => {
  const control = await startControl(options(undefined), { logger, now: Date.now });
  expect(control.metrics).toBe(undefined);
  const port = Number(control.address.split(':')[1]);
  const other = mkdtempSync(join(tmpdir(), 'weft-metrics-'));
  const taken = { ...options({ host: '127.0.0.1', port }), directory: other };
  await expect(startControl(taken, { logger, now: Date.now })).rejects.toThrow(
    `cannot listen on 127.0.0.1:${port}: the port is taken by this program itself, by another of its options; choose another with --metrics`,
  );
  const again = await startControl({ ...taken, metrics: undefined }, { logger, now: Date.now });
  await again.close();
  rmSync(other, { recursive: true });
  await control.close();
});
