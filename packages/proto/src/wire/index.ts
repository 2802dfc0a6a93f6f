import { weft } from '#generated';
export const x = weft.v1.Ack.encode({ timeline: 'a', index: 1, revision: 2 }).finish();
