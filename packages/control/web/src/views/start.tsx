/** What a fresh control shows: the commands that bring up the first service. */
import { CopyButton } from '../parts/copy.tsx';
import { Answered } from '../parts/notice.tsx';
import { ScrollBox } from '../parts/scroll-box.tsx';
import { useAnswer, useApp } from '../state/use.ts';

export function Start() {
  const app = useApp();
  const answer = useAnswer('start', (signal) => app.api.start(signal));
  return (
    <div class="start">
      <h1>Bring up the first service</h1>
      <p class="lead">
        {app.network.value === ''
          ? 'This control holds no network yet.'
          : `No agent has joined network ${app.network.value} yet.`}{' '}
        Paste these into a shell, one after the other; this page shows the service when it is there.
      </p>
      <Answered answer={answer}>
        {({ commands }) => (
          <ol class="commands">
            {commands.map(({ title, command }) => (
              <li key={title}>
                <h2>{title}</h2>
                <div class="command">
                  <ScrollBox look="" label={`Command: ${title}`}>
                    <code>{command}</code>
                  </ScrollBox>
                  <CopyButton text={command} what={`the command: ${title}`} />
                </div>
              </li>
            ))}
          </ol>
        )}
      </Answered>
    </div>
  );
}
