/** What we call of libsodium's raw build, which comes without types. */
declare module 'libsodium' {
  /** As emscripten exports it: pointers and lengths, each length of 64 bits as two numbers, the low one first. */
  export interface Sodium {
    readonly HEAPU8: Uint8Array;
    _malloc(length: number): number;
    /** c, clen_p, m, mlen (2), ad, adlen (2), nsec, npub, k. */
    _crypto_aead_chacha20poly1305_ietf_encrypt(...numbers: readonly number[]): number;
    /** m, mlen_p, nsec, c, clen (2), ad, adlen (2), npub, k. Answers other than 0 for a forgery. */
    _crypto_aead_chacha20poly1305_ietf_decrypt(...numbers: readonly number[]): number;
  }
  export default function instantiate(): Promise<Sodium>;
}
