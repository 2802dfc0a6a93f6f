/**
 * A flow cut at its source is cut at its destination too, by the same change of policy, and the destination tells of it. A reset
 * that overtook that change would be recorded there as the caller's own. So what was asked of the peer is held silent for this
 * long, milliseconds, before it is reset. No byte is taken from either side meanwhile; what waits for the peer's credit already may leave.
 */
const LINGER_MS = 250;

/** Lets go of what the peer has of a flow, once it may have heard of what cut the flow here. */
export function afterCut(letGo: () => void): void {
  setTimeout(letGo, LINGER_MS).unref();
}
