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
import { grantServices } from '../admin/grant-services.ts';
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
  const edit = async ({ request, actor, signal }: Call<EditRequest>, edit: MeshEdit) => {
    return toWire(await editMesh(options, request.network, edit, orderOf(request.terms), actor, signal));
  };
  return {
    apply: async ({ request, actor, signal }) => {
      const mesh = meshFromWire(request.mesh);
      return toWire(await applyMesh(options, mesh, rulePlacesFromWire(request), orderOf(request.terms), actor, signal));
    },
    putService: (call) => {
      const entry = serviceFromWire(required(call.request.service, 'service'), 'service');
      return edit(call, { section: 'services', name: entry.name, entry });
    },
    deleteService: (call) => edit(call, { section: 'services', name: nameOf(call.request), entry: undefined }),
    putPolicy: (call) => {
      const entry = ruleFromWire(required(call.request.policy, 'policy'), 'policy');
      return edit(call, { section: 'policies', name: entry.name, entry });
    },
    deletePolicy: (call) => edit(call, { section: 'policies', name: nameOf(call.request), entry: undefined }),
    putAgent: (call) => {
      const entry = agentSettingsFromWire(required(call.request.agent, 'agent'), 'agent');
      return edit(call, { section: 'agents', name: entry.name, entry });
    },
    grantServices: async ({ request, actor, signal }) => {
      const {
        host: _,
        granted,
        ...changed
      } = await grantServices(options, request, orderOf(request.terms), actor, signal);
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
  return { dryRun, wait, expectedRevision, leaveBehind, timeoutMs: durationFromWire(timeout, 'terms.timeout') ?? 0 };
}

function toWire({ changes, hostReach, ...changed }: MeshChanged): { readonly result: pb.Outgoing<pb.ChangeResult> } {
  const reach = hostReach.map((one) => ({ ...one, verdict: actionCodec.toWire(one.verdict) }));
  return { result: { ...changed, changes: changesToWire(changes), hostReach: reach } };
}
