/** What names may take of the files that are kept for them and others. */
import { fileLimit, reservedFiles } from '@weft/proto';

/** Questions under way, each with up to three sockets, and as many connections: fewer where the reserve of files is small. */
export const MOST_AT_ONCE = Math.min(256, Math.ceil(reservedFiles(fileLimit()) / 4));
