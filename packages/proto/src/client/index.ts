/** For programs that drive control. Neither control nor an agent loads it at its start. */
export * from './messages.ts';
