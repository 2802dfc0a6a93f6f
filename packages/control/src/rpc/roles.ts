/** What each role may call. Every call that is not named here, and so every new one, takes the admin token. */
import { adminService } from '@weft/proto/wire';

export const ADMIN_PREFIX = '/weft.v1.AdminService/';

/** Those marked "Read token." in admin.proto; a test holds the two together. */
const READ_CALLS = [
  'getMesh',
  'getStatus',
  'listServices',
  'listAgents',
  'watchNetwork',
  'explain',
  'listFlows',
  'watchFlows',
  'listOpenFlows',
  'countFlows',
  'listTraffic',
  'listReach',
  'listRevisions',
] as const satisfies readonly (keyof typeof adminService)[];

/** Paths of the calls that the read token is enough for. */
export const READ_PATHS: ReadonlySet<string> = new Set(READ_CALLS.map((name) => adminService[name].path));

/** Paths of all calls of the admin service. */
export const ADMIN_PATHS: ReadonlySet<string> = new Set(Object.values(adminService).map(({ path }) => path));
