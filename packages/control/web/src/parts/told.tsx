/** Text that an agent or a caller made up: shown without what would move or turn what stands around it. */
import { printable } from '../state/format.ts';

export function Told({ text }: { readonly text: string }) {
  return <bdi>{printable(text)}</bdi>;
}
