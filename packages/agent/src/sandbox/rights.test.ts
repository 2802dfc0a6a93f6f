import { userInfo } from 'node:os';
import { expect, test } from 'vitest';
import type { AgentService } from '../config/agent-file.ts';
import type { Netmap } from '../words/netmap.ts';
import { SandboxRights } from './rights.ts';

const netmap = {
  self: { network: 'prod', host: 'front', services: ['web'] },
  services: new Map([['web', {}]]),
} as unknown as Netmap;
const NOBODY = 65_534;
/** Of the user of that match, where the agent is another's. */
const refusal = (match: AgentService['match'], uid = NOBODY, agent = 4_711) =>
  new SandboxRights({
    services: new Map([['web', { name: 'web', targets: [], match } as AgentService]]),
    uid: agent,
  }).refusal(netmap, 'web', uid);

test('another user than the agent’s may where the agent file names that user, and asks for nothing beside', () => {
  expect(refusal({ user: 'nobody' })).toBeUndefined();
  expect(refusal(undefined)).toMatch(/^user nobody may run nothing as web on host front: only the agent's own user/);
  expect(refusal({ user: userInfo({ encoding: 'utf8' }).username }, 1)).toMatch(/only the agent's own user/);
  for (const more of [{ unit: 'web.service' }, { cgroup: '/web' }, { command: '/usr/bin/web' }])
    expect(refusal({ user: 'nobody', ...more })).toMatch(
      new RegExp(
        `asks for more than the user \\(${Object.keys(more)[0]}\\).*match: { user: nobody } there alone, then weft reload`,
      ),
    );
  expect(refusal({ unit: 'web.service' })).toMatch(/only the agent's own user/);
});

test('the agent’s own user may, root may not', () => {
  expect(refusal(undefined, NOBODY, NOBODY)).toBeUndefined();
  expect(refusal({ user: 'root' }, 0, 0)).toMatch(/^root may run nothing in a sandbox.*setpriv/);
});
