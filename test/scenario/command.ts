/** A command of the command line, as it ends. */
import { run } from '../../packages/agent/src/cli/program.ts';

export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** In a home where nothing is, so that no token is found but one that `env` names. */
export async function weft(env: Readonly<Record<string, string>>, ...args: readonly string[]): Promise<Ended> {
  let [out, err] = ['', ''];
  const terminal = {
    out: (text: string) => {
      out += text;
    },
    err: (text: string) => {
      err += text;
    },
    ...{ outColors: false, errColors: false, env: { HOME: '/nonexistent', ...env }, now: Date.now },
    bytes: () => ({ input: process.stdin, output: process.stdout }),
  };
  const code = await run(args, terminal, new AbortController().signal);
  return { code, out, err };
}
