/** What can go wrong when an agent shows its state. */
export class StatusSocketError extends Error {
  readonly code: 'status-socket-in-use' | 'status-socket-failed';

  constructor(code: StatusSocketError['code'], message: string, options?: { cause: unknown }) {
    super(message, options);
    this.name = 'StatusSocketError';
    this.code = code;
  }
}
