import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import type { Stryker } from '@stryker-mutator/core';
import { checkout } from '../harness/host.ts';

type Result = Awaited<ReturnType<Stryker['runMutationTest']>>[number];

/**
 * Prints each survivor when it is found, so that a run that is stopped has told what it knew. Of a line where no test comes,
 * that is all: what could be changed in it is of no interest before one does.
 */
class Survivors {
  readonly #untested = new Set<string>();

  onMutantTested({ fileName, location, replacement, mutatorName, status }: Result): void {
    // Both from 1.
    const { start, end } = location;
    const place = `${relative(checkout, fileName)}:${start.line}`;
    if (status === 'NoCoverage' && !this.#untested.has(place)) {
      this.#untested.add(place);
      process.stdout.write(`no test  ${place}\n`);
    }
    if (status !== 'Survived') return;
    const lines = readFileSync(fileName, 'utf8')
      .split('\n')
      .slice(start.line - 1, end.line);
    const last = lines.length - 1;
    const was = lines.map((line, index) =>
      line.slice(index === 0 ? start.column - 1 : 0, index === last ? end.column - 1 : undefined),
    );
    const text = replacement?.split('\n').join('\n    ');
    process.stdout.write(`survived ${place} (${mutatorName})\n  - ${was.join('\n    ')}\n  + ${text}\n`);
  }
}

export const strykerPlugins = [{ kind: 'Reporter', name: 'survivors', injectableClass: Survivors }];
