import { useSignal } from '@preact/signals';
import type { CreateTokenResponseJson } from '@weft/proto/messages';
import { AGENT_ROLE_WORDS, AGENT_ROLES, type AgentRole } from '@weft/proto/model';
import { CopyButton } from '../parts/copy.tsx';
import { Dialog } from '../parts/dialog.tsx';
import { Choice, Field, Tick } from '../parts/field.tsx';
import { Problem, Warning } from '../parts/notice.tsx';
import { ScrollBox } from '../parts/scroll-box.tsx';
import { At } from '../parts/time.tsx';
import { messageOf } from '../state/app.ts';
import { timeMs } from '../state/calls.ts';
import { roleName } from '../state/tokens.ts';
import { useApp } from '../state/use.ts';

const LIFETIMES: readonly (readonly [string, string])[] = [
  ['900', '15 minutes'],
  ['3600', 'an hour'],
  ['86400', 'a day'],
  ['604800', 'a week'],
  ['2592000', '30 days'],
];

export function CreateToken({ onClose }: { readonly onClose: () => void }) {
  const created = useSignal<CreateTokenResponseJson | undefined>(undefined);
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
  readonly onCreated: (token: CreateTokenResponseJson) => void;
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
        await app.api.call('createToken', {
          network: app.network.value,
          services: services.value.split(/[\s,]+/).filter((name) => name !== ''),
          host: host.value.trim(),
          roles: roles.value.map(roleName),
          reusable: reusable.value,
          ephemeral: ephemeral.value,
          ttl: `${ttl.value}s`,
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

function Created({ token, onClose }: { readonly token: CreateTokenResponseJson; readonly onClose: () => void }) {
  return (
    <div class="stack">
      <p>
        It is shown this once. It is good until <At atMs={timeMs(token.expireTime)} />.
      </p>
      <div class="command">
        <ScrollBox look="" label="Token">
          <code>{token.token}</code>
        </ScrollBox>
        <CopyButton text={token.token ?? ''} what="the token" />
      </div>
      {token.warnings?.map(({ field, message }) => (
        <Warning key={field}>{message}</Warning>
      ))}
      <p>
        On the host: <code>weft up --join TOKEN</code>
      </p>
      <button type="button" class="button primary" onClick={onClose}>
        Done
      </button>
    </div>
  );
}
