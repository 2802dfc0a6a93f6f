/** The calls that change a mesh, as a whole or by one entry. */
import { WIRE_LIMITS } from '@weft/proto';
import {
  type AdminHandlers,
  agentSettingsFromWire,
  durationFromWire,
  meshFromWire,
  type pb,
  required,
  ruleFromWire,
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
import type { MeshEdit } from '../state/edits.ts';
import type { CallActors } from './admin-auth.ts';
import { type Call, unary } from './handler.ts';
import { changesToWire } from './history-listings.ts';

export interface MeshChangesOptions extends ChangeMeshOptions {
  readonly actors: CallActors;
}

type MeshChanges = Pick<
  AdminHandlers,
  'apply' | 'putService' | 'deleteService' | 'putPolicy' | 'deletePolicy' | 'putAgent'
>;

interface EditRequest {
  readonly network: string;
  readonly terms?: pb.ChangeTerms | null;
}

export function meshChanges(options: MeshChangesOptions): MeshChanges {
  const { actors, logger } = options;
  const answer = unary(logger);
  const edit = async ({ request, metadata, signal }: Call<EditRequest>, edit: MeshEdit) => {
    const by = actors.of(metadata);
    return toWire(await editMesh(options, request.network, edit, orderOf(request.terms), by, signal));
  };
  return {
    apply: answer(async ({ request, metadata, signal }) => {
      const mesh = meshFromWire(request.mesh);
      return toWire(await applyMesh(options, mesh, orderOf(request.terms), actors.of(metadata), signal));
    }),
    putService: answer((call) => {
      const entry = serviceFromWire(required(call.request.service, 'service'), 'service');
      return edit(call, { section: 'services', name: entry.name, entry });
    }),
    deleteService: answer((call) => edit(call, { section: 'services', name: nameOf(call.request), entry: undefined })),
    putPolicy: answer((call) => {
      const entry = ruleFromWire(required(call.request.policy, 'policy'), 'policy');
      return edit(call, { section: 'policies', name: entry.name, entry });
    }),
    deletePolicy: answer((call) => edit(call, { section: 'policies', name: nameOf(call.request), entry: undefined })),
    putAgent: answer((call) => {
      const entry = agentSettingsFromWire(required(call.request.agent, 'agent'), 'agent');
      return edit(call, { section: 'agents', name: entry.name, entry });
    }),
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

function toWire({ changes, ...changed }: MeshChanged): { readonly result: pb.Outgoing<pb.ChangeResult> } {
  return { result: { ...changed, changes: changesToWire(changes) } };
}
