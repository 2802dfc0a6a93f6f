/** The calls that change a mesh, as a whole or by one entry. */
import { WIRE_LIMITS } from '@weft/proto';
import {
  actionCodec,
  agentSettingsFromWire,
  durationFromWire,
  meshFromWire,
  type pb,
  required,
  ruleFromWire,
  rulePlacesFromWire,
  serviceFromWire,
  WireError,
} from '@weft/proto/wire';
import {
  applyMesh,
  type ChangeMeshOptions,
  type ChangeOrder,
  editMesh,
  type MeshChanged,
} from '../admin/change-mesh.ts';
import { readAll } from '../admin/errors.ts';
import { grantServices, readGrant } from '../admin/grant-services.ts';
import { readNetworkName, readWait } from '../admin/request.ts';
import type { MeshEdit } from '../state/edits.ts';
import type { AdminCalls, Call } from './calls.ts';
import { changesToWire } from './history-listings.ts';

type MeshChanges = Pick<
  AdminCalls,
  'apply' | 'putService' | 'deleteService' | 'putPolicy' | 'deletePolicy' | 'putAgent' | 'grantServices'
>;

interface EditRequest {
  readonly network: string;
  readonly terms?: pb.ChangeTerms | null;
}

export function meshChanges(options: ChangeMeshOptions): MeshChanges {
  const edit = async ({ request, actor, signal }: Call<EditRequest>, readEdit: () => MeshEdit) => {
    const { network, edit, order } = readAll({
      network: () => readNetworkName(request.network),
      edit: readEdit,
      order: () => orderOf(request.terms),
    });
    return toWire(await editMesh(options, network, edit, order, actor, signal));
  };
  return {
    apply: async ({ request, actor, signal }) => {
      const { mesh, order, places } = readAll({
        mesh: () => meshFromWire(request.mesh),
        order: () => orderOf(request.terms),
        places: () => rulePlacesFromWire(request),
      });
      const source = { places, formerRevision: request.formerRevision };
      return toWire(await applyMesh(options, mesh, source, order, actor, signal));
    },
    putService: (call) =>
      edit(call, () => {
        const entry = serviceFromWire(required(call.request.service, 'service'), 'service');
        return { section: 'services', name: entry.name, entry };
      }),
    deleteService: (call) => edit(call, () => ({ section: 'services', name: nameOf(call.request), entry: undefined })),
    putPolicy: (call) =>
      edit(call, () => {
        const entry = ruleFromWire(required(call.request.policy, 'policy'), 'policy');
        return { section: 'policies', name: entry.name, entry };
      }),
    deletePolicy: (call) => edit(call, () => ({ section: 'policies', name: nameOf(call.request), entry: undefined })),
    putAgent: (call) =>
      edit(call, () => {
        const entry = agentSettingsFromWire(required(call.request.agent, 'agent'), 'agent');
        return { section: 'agents', name: entry.name, entry };
      }),
    grantServices: async ({ request, actor, signal }) => {
      const { network, grant, order } = readAll({
        network: () => readNetworkName(request.network),
        grant: () => readGrant(request),
        order: () => orderOf(request.terms),
      });
      const { host: _, granted, ...changed } = await grantServices(options, network, grant, order, actor, signal);
      return { ...toWire(changed), granted };
    },
  };
}

/** What no entry can be called is not there, whatever it is: only its length matters, since the answer names it. */
function nameOf({ name }: { readonly name: string }): string {
  if (name !== '' && name.length <= WIRE_LIMITS.name) return name;
  throw new WireError('wire-length', 'name', `expected 1 to ${WIRE_LIMITS.name} characters`);
}

function orderOf(terms: pb.ChangeTerms | null | undefined): ChangeOrder {
  const { dryRun = false, wait = false, expectedRevision = 0, leaveBehind = false, timeout } = terms ?? {};
  const waitMs = readWait(durationFromWire(timeout, 'terms.timeout') ?? 0);
  return { dryRun, wait, expectedRevision, leaveBehind, waitMs };
}

function toWire({ changes, hostReach, ...changed }: MeshChanged): { readonly result: pb.Outgoing<pb.ChangeResult> } {
  const reach = hostReach.map((one) => ({ ...one, verdict: actionCodec.toWire(one.verdict) }));
  return { result: { ...changed, changes: changesToWire(changes), hostReach: reach } };
}
