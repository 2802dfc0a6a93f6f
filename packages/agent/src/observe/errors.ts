/** What can go wrong when an agent shows its state, or is asked for it. */
export class StatusSocketError extends Error {
  override readonly name = 'StatusSocketError';
  readonly code: 'status-socket-in-use' | 'status-socket-failed' | 'status-unreadable';

  constructor(code: StatusSocketError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
