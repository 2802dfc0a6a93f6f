/** How many of all there are passed the filters above a list; told to a screen reader as it changes. */
import { counted, number } from '../state/format.ts';

interface FoundCountProps {
  readonly found: number;
  readonly all: number;
  /** Of one of them, such as `service`. */
  readonly word: string;
}

export function FoundCount({ found, all, word }: FoundCountProps) {
  return (
    <p class="count" role="status">
      {found === all ? counted(all, word) : `${number(found)} of ${counted(all, word)}`}
    </p>
  );
}
