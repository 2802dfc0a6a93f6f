/** The commands that bring up a first service: in place of a view that would be empty, or above a mesh that nobody joined. */
import type { StartNetwork } from '../../../src/dashboard/api.ts';
import { CopyButton } from '../parts/copy.tsx';
import { Answered } from '../parts/notice.tsx';
import { ScrollBox } from '../parts/scroll-box.tsx';
import { counted } from '../state/format.ts';
import { useAnswer, useApp } from '../state/use.ts';

export function Start() {
  const app = useApp();
  return (
    <div class="start">
      <h1>Bring up the first service</h1>
      <p class="lead">
        {app.network.value === ''
          ? 'This control holds no network yet.'
          : `No agent has joined network ${app.network.value} yet.`}{' '}
        Paste these into a shell on control's host, one after the other; this page shows the service when it is there.
      </p>
      <Commands heading="h2" />
    </div>
  );
}

/** The mesh is there to be looked at, and nothing in it runs. */
export function NobodyJoined() {
  const app = useApp();
  return (
    <section class="start start-beside" aria-labelledby="nobody-joined">
      <h2 id="nobody-joined">No agent has joined network {app.network.value} yet</h2>
      <p>
        It declares {counted(app.live.services.value.size, 'service')}, and none of them runs. Paste these into a shell
        on control's host, one after the other.
      </p>
      <Commands heading="h3" />
    </section>
  );
}

/** What a command is titled with, one step below what stands above it. */
interface Titled {
  readonly heading: 'h2' | 'h3';
}

function Commands({ heading }: Titled) {
  const app = useApp();
  const network = app.network.value;
  // Each command changes what is left to do, and the revision with it.
  const revision = app.live.network.value?.revision ?? 0;
  const answer = useAnswer(`start ${network} ${revision}`, (signal) => app.api.start(signal));
  return (
    <Answered answer={answer}>
      {({ networks }) => {
        const found = network === '' ? networks[0] : networks.find(({ name }) => name === network);
        return found === undefined ? (
          <p role="status">An agent has joined; it shows here in a moment.</p>
        ) : (
          <List heading={heading} commands={found.commands} />
        );
      }}
    </Answered>
  );
}

function List({ heading: Heading, commands }: Titled & Pick<StartNetwork, 'commands'>) {
  return (
    <ol class="commands">
      {commands.map(({ title, command }) => (
        <li key={title}>
          <Heading>{title}</Heading>
          <div class="command">
            <ScrollBox look="" label={`Command: ${title}`}>
              <code>{command}</code>
            </ScrollBox>
            <CopyButton text={command} what={`the command: ${title}`} />
          </div>
        </li>
      ))}
    </ol>
  );
}
