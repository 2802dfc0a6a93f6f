/** What the made-up mesh shows to whom nobody has joined. */
import type { StartView } from '../../src/dashboard/api.ts';

export function start(): StartView {
  return {
    networks: [
      {
        name: 'prod',
        service: 'web',
        commands: [
          {
            title: 'Tell control of a network with one service',
            command: "printf 'network: prod\\n' | weft apply -f -",
          },
          { title: 'Make a token for the host', command: 'weft token create --network prod --services web' },
          { title: 'Start the agent', command: 'weft up --join TOKEN' },
        ],
      },
    ],
  };
}
