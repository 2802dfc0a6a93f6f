/** The wire between a sandbox's two namespaces; perl/network.ts makes it. */

/** Of the agent's side, where names are answered. RFC 7335 keeps it for within one host. */
export const SANDBOX_HOST = '192.0.0.1';
/** Of the program. */
export const PROGRAM_HOST = '192.0.0.2';
/** Of the interface, on both sides. */
export const LINK = 'weft0';
