import { ConnectError } from '@connectrpc/connect';
import { ERROR_DOMAIN, type ErrorDetails } from '../model/problem.ts';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from './messages.ts';

/** What an error of a call carries, as far as control told it. Its message and its `code` say in words what is wrong. */
export function errorDetails(error: unknown): ErrorDetails {
  const carried = ConnectError.from(error);
  const info = carried.findDetails(ErrorInfoSchema).find(({ domain }) => domain === ERROR_DOMAIN);
  const [wait] = carried.findDetails(RetryInfoSchema).flatMap(({ retryDelay }) => retryDelay ?? []);
  return {
    reason: info?.reason ?? '',
    metadata: info?.metadata ?? {},
    fields: carried
      .findDetails(BadRequestSchema)
      .flatMap(({ fieldViolations }) => fieldViolations)
      .map(({ field, description }) => ({ field, message: description })),
    ...(wait === undefined ? {} : { retryMs: Number(wait.seconds) * 1_000 + wait.nanos / 1e6 }),
  };
}
