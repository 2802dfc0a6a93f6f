/** What an agent signs, exactly as agent.proto documents it. */

/** "weft join v1\0" token_id "\0" identity_key tunnel_key: an agent's proof that both keys are its own. */
export function joinProofMessage(tokenId: string, identityKey: Uint8Array, tunnelKey: Uint8Array): Uint8Array {
  return concat('weft join v1\0', tokenId, '\0', identityKey, tunnelKey);
}

/** "weft hello v1\0" nonce pin agent_id: the pin makes the signature useless at another control. */
export function helloMessage(nonce: Uint8Array, pin: Uint8Array, agentId: string): Uint8Array {
  return concat('weft hello v1\0', nonce, pin, agentId);
}

function concat(...parts: readonly (string | Uint8Array)[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part))));
}
