/** What gives memory back that Node has no word for. */
import { memoryReturner } from '@weft/proto/house';
import { nativeCalls } from './known.ts';

/** As `memoryReturner`; undefined too where this thread has no native calls, as with --no-native. */
export function wantedMemoryReturner(): ReturnType<typeof memoryReturner> {
  return nativeCalls() === undefined ? undefined : memoryReturner();
}
