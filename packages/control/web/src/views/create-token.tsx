import { useSignal } from '@preact/signals';
import { AGENT_ROLE_WORDS, AGENT_ROLES, type AgentRole } from '@weft/proto/model';
import type { CreatedToken } from '../../../src/dashboard/api.ts';
import { CopyButton } from '../parts/copy.tsx';
import { Dialog } from '../parts/dialog.tsx';
import { Choice, Field, Tick } from '../parts/field.tsx';
import { Problem } from '../parts/notice.tsx';
import { ScrollBox } from '../parts/scroll-box.tsx';
import { At } from '../parts/time.tsx';
import { messageOf } from '../state/app.ts';
import { useApp } from '../state/use.ts';

const LIFETIMES: readonly (readonly [string, string])[] = [
  ['900', '15 minutes'],
  ['3600', 'an hour'],
  ['86400', 'a day'],
  ['604800', 'a week'],
  ['2592000', '30 days'],
];

export function CreateToken({ onClose }: { readonly onClose: () => void }) {
  const created = useSignal<CreatedToken | undefined>(undefined);
  return (
    <Dialog title={created.value === undefined ? 'Create a token' : 'Your token'} onClose={onClose}>
      {created.value === undefined ? (
        <Order onCreated={(token) => (created.value = token)} onClose={onClose} />
      ) : (
        <Created token={created.value} onClose={onClose} />
      )}
    </Dialog>
  );
}

interface OrderProps {
  readonly onCreated: (token: CreatedToken) => void;
  readonly onClose: () => void;
}

function Order({ onCreated, onClose }: OrderProps) {
  const app = useApp();
  const services = useSignal('');
  const host = useSignal('');
  const ttl = useSignal('3600');
  const roles = useSignal<readonly AgentRole[]>([]);
  const reusable = useSignal(false);
  const ephemeral = useSignal(false);
  const problem = useSignal('');
  const create = async (): Promise<void> => {
    problem.value = '';
    try {
      onCreated(
        await app.api.createToken({
          network: app.network.value,
          services: services.value.split(/[\s,]+/).filter((name) => name !== ''),
          host: host.value.trim(),
          roles: roles.value,
          reusable: reusable.value,
          ephemeral: ephemeral.value,
          ttlSeconds: Number(ttl.value),
        }),
      );
    } catch (error) {
      problem.value = messageOf(error);
    }
  };
  return (
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void create();
      }}
    >
      <Field
        label="Services that it lets run"
        value={services.value}
        placeholder="redis, web"
        hint="Names, with commas between them. Empty: the host calls, and runs none."
        onValue={(value) => (services.value = value)}
      />
      <Field
        label="Host"
        value={host.value}
        placeholder="any"
        hint="Only a host of this name may join with it."
        onValue={(value) => (host.value = value)}
      />
      <Choice label="Good for" value={ttl.value} options={LIFETIMES} onValue={(value) => (ttl.value = value)} />
      {AGENT_ROLE_WORDS.map((role) => (
        <Tick
          key={role}
          checked={roles.value.includes(role)}
          onChecked={(checked) => {
            roles.value = checked ? [...roles.value, role] : roles.value.filter((other) => other !== role);
          }}
        >
          May {AGENT_ROLES[role].may}
        </Tick>
      ))}
      <Tick checked={reusable.value} onChecked={(checked) => (reusable.value = checked)}>
        Lets more than one host join
      </Tick>
      <Tick checked={ephemeral.value} onChecked={(checked) => (ephemeral.value = checked)}>
        Hosts that join with it are forgotten when they go
      </Tick>
      {problem.value === '' ? null : <Problem>{problem.value}</Problem>}
      <div class="row">
        <button type="submit" class="button primary">
          Create
        </button>
        <button type="button" class="button" onClick={onClose}>
          Cancel
        </button>
      </div>
    </form>
  );
}

function Created({ token, onClose }: { readonly token: CreatedToken; readonly onClose: () => void }) {
  return (
    <div class="stack">
      <p>
        It is shown this once. It is good until <At atMs={token.expiresMs} />.
      </p>
      <div class="command">
        <ScrollBox look="" label="Token">
          <code>{token.token}</code>
        </ScrollBox>
        <CopyButton text={token.token} what="the token" />
      </div>
      <p>
        On the host: <code>weft up --join TOKEN</code>
      </p>
      <button type="button" class="button primary" onClick={onClose}>
        Done
      </button>
    </div>
  );
}
