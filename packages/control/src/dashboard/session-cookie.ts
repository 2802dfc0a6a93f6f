/** The cookie that a session is known by. */
import type { FastifyReply, FastifyRequest } from 'fastify';

export class SessionCookie {
  readonly #name: string;

  /**
   * Cookies ignore ports: two controls that are reached at localhost, each by its own tunnel, would overwrite each other's if
   * they did not differ in name. `pin` is that of control's certificate, and no secret.
   */
  constructor(pin: Uint8Array) {
    this.#name = `weft_session_${Buffer.from(pin.subarray(0, 4)).toString('hex')}`;
  }

  read({ cookies }: FastifyRequest): string | undefined {
    return cookies[this.#name];
  }

  /** Strict: not even a link from another site arrives signed in. Secure where this very port speaks TLS. */
  set(request: FastifyRequest, reply: FastifyReply, secret: string): void {
    reply.setCookie(this.#name, secret, optionsFor(request));
  }

  clear(request: FastifyRequest, reply: FastifyReply): void {
    reply.clearCookie(this.#name, optionsFor(request));
  }
}

function optionsFor({ socket }: FastifyRequest) {
  return { path: '/', httpOnly: true, sameSite: 'strict', secure: 'encrypted' in socket } as const;
}
