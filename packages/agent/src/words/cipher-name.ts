/** The two AEADs as Noise protocol names spell them: AES-256-GCM and ChaCha20-Poly1305. */
export type CipherName = 'AESGCM' | 'ChaChaPoly';
