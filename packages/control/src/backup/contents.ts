/** What control is: these files. Records of flows are not among them: they tell what was, are many, and go after a day. */

import { statSync } from 'node:fs';

/** Control's data, copied by SQLite: the file alone lacks what stands in its log. */
export const DATABASE = 'control.db';
/** By which hosts know control; nothing starts without it, so that it is put in its place last. */
export const KEY = 'control.key';
/** Small texts. The order is that of a restore: of the first alone, control refuses to start. */
export const TEXTS = ['admin.token', 'read.token', 'control.crt', 'reports.json'] as const;
/** Without which there is no control. */
export const NEEDED: readonly string[] = [DATABASE, KEY];

/** Whether a file of control's directory belongs to the control there, whichever version wrote it; its lock does not. */
export function isControls(name: string): boolean {
  const others: readonly string[] = [KEY, 'flows', 'flows.clock', ...TEXTS];
  return others.includes(name) || name === DATABASE || /^control\.db[-.]/.test(name);
}

/** Whether who reads it could act as control, or as a member; also what a restore moved aside. */
export function isSecret(name: string): boolean {
  return [KEY, DATABASE, 'admin.token', 'read.token'].includes(name) || /^(control\.db[-.]|replaced-)/.test(name);
}

/**
 * Whose the directory is to be: root may copy and restore what another user's control keeps, as one that systemd gave a user of
 * its own; nobody else may.
 */
export function ownerOf(directory: string): number {
  const own = process.getuid?.() ?? -1;
  return own === 0 ? (statSync(directory, { throwIfNoEntry: false })?.uid ?? own) : own;
}

/** The first line of a backup. */
export const MAGIC = 'weft-control backup\n';
/** Of the form that this version writes, and reads. */
export const FORM = 1;
/** The header says a few names and numbers. */
export const MOST_HEADER_BYTES = 4_096;
/** SHA-256 of all before it, in hexadecimal, on the last line. */
export const TRAILER_BYTES = 65;

/** The second line, as JSON; then come the files, one after the other, and the sum. */
export interface Header {
  readonly form: number;
  /** Version of the weft-control that made it. */
  readonly writtenBy: string;
  /** Milliseconds since the Unix epoch. */
  readonly madeMs: number;
  /** Of the data. */
  readonly revision: number;
  readonly networks: number;
  readonly files: readonly { readonly name: string; readonly size: number }[];
}
