/** The version of the package. */
import { packageVersion } from '@weft/proto';

export const VERSION: string = packageVersion(import.meta.url);
