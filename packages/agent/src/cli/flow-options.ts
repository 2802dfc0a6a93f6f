/** The filters of `weft flows` by a name that the command knows no more about: each is an option under the field's own word. */
import { FLOW_TEXT_FILTERS } from '@weft/proto/model';

/** The caller and the service are --from and --to, which take more than a name. */
export type PlainFilter = Exclude<(typeof FLOW_TEXT_FILTERS)[number], 'source' | 'service'>;

export const PLAIN_FILTERS = FLOW_TEXT_FILTERS.filter(
  (name): name is PlainFilter => name !== 'source' && name !== 'service',
);
