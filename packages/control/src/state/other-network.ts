import type { StateStore } from './types.ts';

/**
 * Calls back with the name of each network that was removed, or begins: nobody can ask for what is left of one that was, and another of its name
 * is not to show it.
 */
export function onOtherNetwork(state: Pick<StateStore, 'subscribe'>, act: (network: string) => void): void {
  state.subscribe((next, previous, { networks }) => {
    for (const name of networks) {
      const [is, was] = [next.networks.get(name), previous.networks.get(name)];
      if (is === undefined || was === undefined || Buffer.compare(is.secret, was.secret) !== 0) act(name);
    }
  });
}
