/** Ports that programs have opened and that cannot be listened on here: one problem of a service, however many its programs open. */
import { entryOf } from '@weft/proto';
import type { Problems } from '../words/problems.ts';
import type { ListenerProblem } from './bind-problems.ts';
import { type ListenerSpec, listenerKey } from './listener-spec.ts';

/** Of the service. */
function opened(subject: string) {
  return { code: 'opened-not-listened', subject };
}

export class OpenedProblems {
  readonly #problems: Pick<Problems, 'raise' | 'clear'>;
  /** By service, then by the key of the listener, in the order that they came to fail. */
  readonly #failing = new Map<string, Map<string, ListenerProblem>>();

  constructor(problems: Pick<Problems, 'raise' | 'clear'>) {
    this.#problems = problems;
  }

  /** Undefined: it is listened on, or wanted no more. */
  tell(spec: ListenerSpec, problem: ListenerProblem | undefined): void {
    const { service } = spec;
    const failing = entryOf(this.#failing, service, () => new Map<string, ListenerProblem>());
    if (problem === undefined) failing.delete(listenerKey(spec));
    else failing.set(listenerKey(spec), problem);
    const [first] = failing.values();
    if (first === undefined) {
      this.#failing.delete(service);
      const { code, subject } = opened(service);
      this.#problems.clear(code, subject);
      return;
    }
    this.#problems.raise({
      ...opened(service),
      message: `ports that programs of ${service} have opened (ports: auto) cannot all be listened on here, and calls to those are refused on this host; the first: ${first.message}`,
    });
  }
}
