/**
 * Tokens as one string each. A join token is `weft1.` and base64url of JSON {a: addresses, p: pin, i: id, s: secret}; an
 * admin token is `weftadmin1.PIN.SECRET`. A pin is the SHA-256 of control's SubjectPublicKeyInfo. No error holds a secret.
 */
import { parseHostPort } from '../model/endpoint.ts';
import { TokenError } from '../model/errors.ts';
import { ADMIN_LIMITS } from '../model/limits.ts';

export interface JoinToken {
  /** Where control may be reached, HOST:PORT, in the order to try; 1 to 16. */
  readonly addresses: readonly string[];
  /** 32 bytes. */
  readonly pin: Uint8Array;
  /** Names the token in listings; no secret. */
  readonly id: string;
  /** 16 to 128 characters of base64url. */
  readonly secret: string;
}

export interface AdminToken {
  /** 32 bytes. */
  readonly pin: Uint8Array;
  /** 16 to 128 characters of base64url. */
  readonly secret: string;
}

const PIN_BYTES = 32;
const MAX_TOKEN = 8192;
const idForm = /^[A-Za-z0-9_-]{1,64}$/;
const secretForm = /^[A-Za-z0-9_-]{16,128}$/;

export function encodeJoinToken(token: JoinToken): string {
  const body = { a: token.addresses, p: Buffer.from(token.pin).toString('base64url'), i: token.id, s: token.secret };
  return `weft1.${Buffer.from(JSON.stringify(body)).toString('base64url')}`;
}

/** Reads a join token; white space around it is allowed. Throws TokenError. */
export function decodeJoinToken(text: string): JoinToken {
  const token = trimmed(text);
  if (token.startsWith('weftadmin1.'))
    throw new TokenError('token-kind', 'this is an admin token; expected a join token');
  if (!token.startsWith('weft1.')) throw new TokenError('token-kind', 'not a join token; expected weft1. and more');
  const body = parseBody(decodeBase64(token.slice('weft1.'.length)));
  const { a, p, i, s } = body;
  const wellFormed =
    Object.keys(body).length === 4 &&
    Array.isArray(a) &&
    a.length >= 1 &&
    a.length <= ADMIN_LIMITS.tokenAddresses &&
    a.every((address) => typeof address === 'string' && (parseHostPort(address)?.port ?? 0) > 0) &&
    typeof i === 'string' &&
    idForm.test(i) &&
    typeof s === 'string' &&
    secretForm.test(s);
  if (!wellFormed) throw damaged('its contents are not those of a join token');
  return { addresses: a, pin: decodePin(p), id: i, secret: s };
}

export function encodeAdminToken(token: AdminToken): string {
  return `weftadmin1.${Buffer.from(token.pin).toString('base64url')}.${token.secret}`;
}

/** Reads an admin token; white space around it is allowed. Throws TokenError. */
export function decodeAdminToken(text: string): AdminToken {
  const token = trimmed(text);
  if (token.startsWith('weft1.')) throw new TokenError('token-kind', 'this is a join token; expected an admin token');
  const [prefix, pin, secret, ...rest] = token.split('.');
  if (prefix !== 'weftadmin1') throw new TokenError('token-kind', 'not an admin token; expected weftadmin1. and more');
  if (rest.length > 0 || !secretForm.test(secret ?? '')) throw damaged('its secret part is missing or altered');
  return { pin: decodePin(pin), secret: secret ?? '' };
}

function trimmed(text: string): string {
  if (text.length > MAX_TOKEN)
    throw new TokenError('token-length', `longer than a token can be (${MAX_TOKEN} characters)`);
  return text.trim();
}

function parseBody(bytes: Buffer): Record<string, unknown> {
  let body: unknown;
  try {
    body = JSON.parse(bytes.toString('utf8'));
  } catch {
    // The parser's message quotes its input, secret and all: it is dropped on purpose.
    throw damaged('its contents cannot be read');
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw damaged('its contents cannot be read');
  return body as Record<string, unknown>;
}

function decodePin(text: unknown): Uint8Array {
  const pin = typeof text === 'string' ? decodeBase64(text) : undefined;
  if (pin?.length !== PIN_BYTES) throw damaged('its pin is not 32 bytes');
  return new Uint8Array(pin);
}

/** Buffer.from skips what it does not know; only text that encodes back to itself is accepted. */
function decodeBase64(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text) throw damaged('it holds characters that no token has, or was cut short');
  return bytes;
}

function damaged(why: string): TokenError {
  return new TokenError('token-damaged', `the token is damaged: ${why}; copy it again whole`);
}
