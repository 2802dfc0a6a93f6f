/** How many connections the dashboard holds, and for how long one that asks nothing. */
import { fileLimit, reservedFiles } from '@weft/proto';
import type { AdmissionLimits } from '@weft/proto/bounds';

/** Fewer where there are few files for them. */
const MOST = Math.min(256, Math.ceil(reservedFiles(fileLimit()) / 2));
export const CONNECTIONS: AdmissionLimits = { most: MOST, mostOfOne: Math.ceil(MOST / 4) };

/** For the server's own options. */
export const CONNECTION_TIMES = {
  /** For a whole request to come. */
  requestTimeout: 10_000,
  /** Between two requests. */
  keepAliveTimeout: 5_000,
  /** In which nothing moves, such as an answer that is not read; a stream moves every two seconds. */
  connectionTimeout: 60_000,
} as const;
