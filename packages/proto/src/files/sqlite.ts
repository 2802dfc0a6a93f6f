/** node:sqlite, which Node before 26 calls experimental. */
import type sqlite from 'node:sqlite';
import { quietly } from '../house/quietly.ts';

export const { DatabaseSync } = quietly(() => process.getBuiltinModule('node:sqlite'));
export type DatabaseSync = sqlite.DatabaseSync;
