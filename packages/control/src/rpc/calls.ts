/** The calls of the admin service as functions of their requests, whichever way they come: by gRPC, or as JSON over HTTP. */
import type { adminService, pb, ServerStreamMethod, UnaryMethod } from '@weft/proto/wire';
import type { Actor } from '../audit/types.ts';

export interface Call<Request> {
  readonly request: Request;
  readonly actor: Actor;
  /** The host, and the port if it is one of gRPC's, that the caller reached this server by. */
  readonly authority: string;
  /** Aborts when the caller cancels, goes away, or runs into its deadline. */
  readonly signal: AbortSignal;
}

export type Answer<Response> = pb.Outgoing<Response> | Promise<pb.Outgoing<Response>>;

/** A message is written when the promise resolves; awaiting it is what keeps a slow reader from filling memory. */
export type Write<Response> = (message: pb.Outgoing<Response>) => Promise<void>;

/** Of a call that answers once. */
export const unwritten: Write<unknown> = () =>
  Promise.reject(new Error('a call that answers once wrote as streams do'));

/** What they throw, failureOf knows, or it is control's own fault. */
export type AdminCalls = {
  readonly [Name in keyof typeof adminService]: (typeof adminService)[Name] extends UnaryMethod<
    infer Request,
    infer Response
  >
    ? (call: Call<Request>) => Answer<Response>
    : (typeof adminService)[Name] extends ServerStreamMethod<infer Request, infer Response>
      ? (call: Call<Request> & { readonly write: Write<Response> }) => Promise<void>
      : never;
};

/** One of them, for what serves all alike. One that answers once has no use for `write`, and one that streams answers nothing else. */
export type AnyCall = (call: Call<unknown> & { readonly write: Write<unknown> }) => Promise<unknown> | unknown;
