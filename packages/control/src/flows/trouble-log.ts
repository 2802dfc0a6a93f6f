/** How each trouble with what is kept on disk is told in the log. */
import type { Logger } from 'pino';
import type { StoreTrouble } from './segments.ts';

type Tell = (logger: Logger, where: { readonly path: string; readonly reason: string }) => void;

export const TELL: Readonly<Record<StoreTrouble['event'], Tell>> = {
  'flows-segment-damaged': (logger, { path, reason }) =>
    logger.error({ event: 'flows-segment-damaged', path, reason }, 'a segment of flows is damaged; it was set aside'),
  'flows-segment-newer': (logger, { path, reason }) =>
    logger.warn(
      { event: 'flows-segment-newer', path, reason },
      'a segment of flows is of a newer version; it is left as it is',
    ),
  'flows-segment-unreadable': (logger, { path, reason }) =>
    logger.error(
      { event: 'flows-segment-unreadable', path, reason },
      'a segment of flows cannot be read; it is left out',
    ),
  'flows-segment-short': (logger, { path, reason }) =>
    logger.error(
      { event: 'flows-segment-short', path, reason },
      'a segment of flows lacks records; what it holds is kept',
    ),
  'flows-segment-gone': (logger, { path, reason }) =>
    logger.error({ event: 'flows-segment-gone', path, reason }, 'a segment of flows is gone; the others go on'),
  'flows-clock-ahead': (logger, { path, reason }) =>
    logger.warn({ event: 'flows-clock-ahead', path, reason }, 'flows are not thrown away yet'),
  'flows-not-written': (logger, { path, reason }) =>
    logger.error({ event: 'flows-not-written', path, reason }, 'flow records could not be written'),
};
