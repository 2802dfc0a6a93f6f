/** What a program calls. */
import type { Protocol } from '@weft/proto';

export interface Call {
  readonly service: string;
  /** The one instance asked for; undefined leaves the choice. */
  readonly ordinal: number | undefined;
  readonly port: number;
  readonly protocol: Protocol;
}
