/** What is told of a service whose programs' own ports are published (`ports: auto`), where they are not, or not all. */
import { MAX_OPENED_PORTS, type Problem } from '@weft/proto';
import type { Problems } from '../words/problems.ts';

export interface PublishedPorts {
  readonly service: string;
  /** The agent file says that it runs here, and no program of it is in a sandbox. */
  readonly outside: boolean;
  /** How many single ports its programs in sandboxes have opened beside the declared ones. */
  readonly opened: number;
  /** The same of all instances of the network, each as far as it is published. */
  readonly everywhere: number;
}

export class AutoPorts {
  readonly #problems: Problems;
  #standing: readonly Problem[] = [];

  constructor(problems: Problems) {
    this.#problems = problems;
  }

  /** All that run here now. */
  tell(published: readonly PublishedPorts[]): void {
    const next = published.flatMap(problemsOf);
    for (const { code, subject } of this.#standing)
      if (!next.some((one) => one.code === code && one.subject === subject)) this.#problems.clear(code, subject);
    for (const problem of next) this.#problems.raise(problem);
    this.#standing = next;
  }
}

function problemsOf({ service, outside, opened, everywhere }: PublishedPorts): Problem[] {
  const problems: Problem[] = [];
  if (outside)
    problems.push({
      code: 'ports-not-published',
      subject: service,
      message:
        `the mesh has ports: auto for ${service}, which publishes what its programs open in sandboxes; outside of one nobody can tell its ports from ` +
        `those of other programs, so only declared ports are served here: run it by weft run --service ${service}, or declare its ports`,
    });
  if (opened > MAX_OPENED_PORTS)
    problems.push({
      code: 'too-many-ports',
      subject: service,
      message:
        `programs of ${service} in sandboxes listen on ${opened} ports beside the declared ones, and one host publishes ${MAX_OPENED_PORTS} of a service: ` +
        'those above, by transport and number, are not called; declare the ports that matter',
    });
  else if (everywhere > MAX_OPENED_PORTS)
    problems.push({
      code: 'too-many-ports',
      subject: service,
      message:
        `programs of ${service} listen on ${everywhere} different ports beside the declared ones, on all hosts, and ${MAX_OPENED_PORTS} of a service are published: ` +
        'each host has the same part of them, and the others are called by the own address of an instance alone; declare the ports that matter',
    });
  return problems;
}
