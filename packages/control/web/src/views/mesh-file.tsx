import { CopyButton } from '../parts/copy.tsx';
import { ScrollBox } from '../parts/scroll-box.tsx';

/** Each line with its number; numbers are drawn by the style sheet, so that a selection leaves them out. */
export function MeshFile({ text, revision }: { readonly text: string; readonly revision: string }) {
  const lines = text.replace(/\n$/, '').split('\n');
  return (
    <>
      <p class="row">
        <span class="soft">As of revision {revision}</span>
        <CopyButton text={text} what="the mesh file" />
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
