/** Columns to values. Every one is checked for its type: a table edited by hand is reported, not believed. */
import type { SQLOutputValue } from 'node:sqlite';
import { type AgentRole, isAgentRole } from '@weft/proto';

export type Row = Record<string, SQLOutputValue>;

export function text(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== 'string') throw new TypeError(`column ${column} does not hold text`);
  return value;
}

export function integer(row: Row, column: string): number {
  const value = row[column];
  if (typeof value !== 'number' || !Number.isSafeInteger(value))
    throw new TypeError(`column ${column} holds no integer`);
  return value;
}

export function flag(row: Row, column: string): boolean {
  return integer(row, column) !== 0;
}

export function bytes(row: Row, column: string): Uint8Array {
  const value = row[column];
  if (!(value instanceof Uint8Array)) throw new TypeError(`column ${column} does not hold bytes`);
  return value;
}

export function names(row: Row, column: string): string[] {
  const value: unknown = JSON.parse(text(row, column));
  if (!Array.isArray(value) || !value.every((name) => typeof name === 'string')) {
    throw new TypeError(`column ${column} holds no list of names`);
  }
  return value;
}

export function roles(row: Row, column: string): AgentRole[] {
  const words = names(row, column);
  if (!words.every(isAgentRole)) throw new TypeError(`column ${column} holds a role that this version does not know`);
  return words;
}
