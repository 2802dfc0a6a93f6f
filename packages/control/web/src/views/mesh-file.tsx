import type { MeshView } from '../../../src/dashboard/api.ts';
import { CopyButton } from '../parts/copy.tsx';
import { ScrollBox } from '../parts/scroll-box.tsx';

/** Each line with its number; numbers are drawn by the style sheet, so that a selection leaves them out. */
export function MeshFile({ mesh }: { readonly mesh: MeshView }) {
  const lines = mesh.yaml.replace(/\n$/, '').split('\n');
  return (
    <>
      <p class="row">
        <span class="soft">As of revision {mesh.revision}</span>
        <CopyButton text={mesh.yaml} what="the mesh file" />
      </p>
      <ScrollBox look="code numbered" label="Mesh file">
        {lines.map((line, index) => (
          <code key={index} class="line">
            {`${line}\n`}
          </code>
        ))}
      </ScrollBox>
    </>
  );
}
