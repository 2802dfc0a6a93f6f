import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import type { Stryker } from '@stryker-mutator/core';
import { checkout } from '../harness/host.ts';

type Result = Awaited<ReturnType<Stryker['runMutationTest']>>[number];

/** Prints each survivor when it is found, so that a run that is stopped has told what it knew. */
class Survivors {
  onMutantTested({ fileName, location, replacement, mutatorName, status }: Result): void {
    if (status !== 'Survived' && status !== 'NoCoverage') return;
    // Both from 1.
    const { start, end } = location;
    const lines = readFileSync(fileName, 'utf8')
      .split('\n')
      .slice(start.line - 1, end.line);
    const last = lines.length - 1;
    const was = lines.map((line, index) =>
      line.slice(index === 0 ? start.column - 1 : 0, index === last ? end.column - 1 : undefined),
    );
    const untested = status === 'NoCoverage' ? ', where no test comes' : '';
    process.stdout.write(
      `survived ${relative(checkout, fileName)}:${start.line} (${mutatorName}${untested})\n` +
        `  - ${was.join('\n    ')}\n  + ${replacement?.split('\n').join('\n    ')}\n`,
    );
  }
}

export const strykerPlugins = [{ kind: 'Reporter', name: 'survivors', injectableClass: Survivors }];
