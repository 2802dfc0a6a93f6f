/** What control was told: the mesh file, its revisions, and what it would mean for a call. */
import { Answered, Empty } from '../parts/notice.tsx';
import { useAnswer, useApp } from '../state/use.ts';
import { MeshFile } from './mesh-file.tsx';
import { listRevisions, Revisions } from './revisions.tsx';
import { WhatIf } from './what-if.tsx';

export function PolicyView() {
  const app = useApp();
  const network = app.network.value;
  const revision = app.live.network.value?.revision ?? 0;
  const mesh = useAnswer(`${network} ${revision}`, (signal) =>
    app.api.call('getMesh', { network, asFile: true }, signal),
  );
  const revisions = useAnswer(`${network} ${revision}`, (signal) => listRevisions(app.api, network, signal));
  return (
    <>
      <h1>Policy</h1>
      <section>
        <h2>What if</h2>
        <WhatIf />
      </section>
      <div class="columns">
        <section>
          <h2>Mesh file</h2>
          <Answered answer={mesh}>
            {({ file, revision }) => <MeshFile text={file ?? ''} revision={revision ?? '0'} />}
          </Answered>
        </section>
        <section>
          <h2>Revisions</h2>
          <Answered answer={revisions}>
            {(list) =>
              list.length === 0 ? (
                <Empty title="Nothing was applied yet.">
                  <p>
                    <code>weft apply -f mesh.yaml</code> makes a revision.
                  </p>
                </Empty>
              ) : (
                <Revisions revisions={list} />
              )
            }
          </Answered>
        </section>
      </div>
    </>
  );
}
