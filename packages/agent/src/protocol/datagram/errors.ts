import { CodedError } from '@weft/proto';

export type DatagramErrorCode =
  /** One item is larger than any packet of this path takes. */
  | 'oversized'
  /** A number handed in is outside its field. */
  | 'out-of-range'
  /** The target buffer cannot take the packet. */
  | 'target-too-small'
  /** The key has sealed as many packets as it may. */
  | 'exhausted'
  /** A peer's offer is not one. */
  | 'malformed-offer';

/** A mistake of the caller, or a peer's broken offer. What arrives in packets never throws: it is an outcome. */
export class DatagramError extends CodedError<DatagramErrorCode> {
  override readonly name = 'DatagramError';
}
